import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from helpers.cohort.deidentification import PRIVATE, PROFILE_TEXT, group_of, held_attributes, is_dummy, profile
from helpers.cohort.files.images import TELLING_TAGS

KEYWORDS = {entry[4] for entry in DicomDictionary.values()}
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def stored(dataset, syntax=ExplicitVRLittleEndian):
    """The dataset as a file gives it back: with raw, undecoded elements."""
    stream = DicomBytesIO()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    stream.seek(0)
    return pydicom.dcmread(stream)


def with_values(**values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def test_every_keyword_is_an_attribute_of_the_standard_and_stands_in_one_group():
    words = [word for text in PROFILE_TEXT.values() for word in text.split()]
    assert len(words) == len(set(words))
    assert set(profile()) <= KEYWORDS
    assert len(profile()) > 450


@pytest.mark.parametrize(
    ("keyword", "group"),
    [
        ("PatientName", "person"),
        ("PatientBirthDate", "person"),
        ("AccessionNumber", "person"),
        ("PatientAge", "characteristics"),
        ("ReferringPhysicianName", "staff"),
        ("OperatorsName", "staff"),
        ("InstitutionAddress", "institution"),
        ("DeviceSerialNumber", "device"),
        ("StudyDate", "dates"),
        ("AcquisitionDateTime", "dates"),
        ("SeriesDescription", "free text"),
        ("OverlayData", "free text"),
        (PRIVATE, "private"),
    ],
)
def test_attributes_are_grouped_by_what_they_tell(keyword, group):
    assert group_of(keyword) == group


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "SOPInstanceUID", "KVP", "Manufacturer", "Rows"])
def test_what_a_study_needs_is_not_in_the_list(keyword):
    assert keyword not in profile()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_names_are_told_and_values_are_not(syntax):
    dataset = with_values(
        PatientName="Doe^Jane", PatientID="4711", StudyDate="20240131", InstitutionName="", OperatorsName="ANONYMOUS"
    )
    assert held_attributes(stored(dataset, syntax)) == ("PatientName", "StudyDate")
    assert held_attributes(dataset) == ("PatientName", "StudyDate")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_sequences_are_looked_into(syntax):
    inner = with_values(ReferringPhysicianName="Roe^Richard")
    middle = with_values(SourceImageSequence=[inner])
    dataset = with_values(ContentSequence=[Dataset(), middle], OtherPatientIDsSequence=[with_values(PatientID="1")])
    assert held_attributes(stored(dataset, syntax)) == ("OtherPatientIDsSequence", "ReferringPhysicianName")


def test_empty_sequences_hold_nothing():
    dataset = with_values(OtherPatientIDsSequence=[], ReferencedPatientSequence=[Dataset()])
    assert held_attributes(stored(dataset)) == ()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_private_values_count_and_their_creator_alone_does_not(syntax):
    dataset = with_values(Modality="CT")
    block = dataset.private_block(0x0029, "ACME", create=True)
    assert held_attributes(stored(dataset, syntax)) == ()
    block.add_new(0x10, "LO", "Doe")
    assert held_attributes(stored(dataset, syntax)) == (PRIVATE,)


def test_overlays_count():
    dataset = Dataset()
    dataset.add_new(0x60023000, "OW", np.ones(8, "<u2").tobytes())
    dataset.add_new(0x60020010, "US", 4)
    assert held_attributes(stored(dataset)) == ("OverlayData",)


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "^^^^", "ANONYMOUS", "Anonymous^Patient", "anon-001", "REMOVED", "XXXX", "0", "000000.00",
     "19000101", "1900-01-01", "N/A", "de-identified", "None"],
)  # fmt: skip
def test_dummies_are_recognised(text):
    assert is_dummy(text)


@pytest.mark.parametrize(
    "text", ["Doe^Jane", "20240131", "4711", "Anonymous 20240131", "Xavier", "M\xfcller", "REMOVED BY DR DOE", "0" * 65]
)
def test_values_are_no_dummies(text):
    assert not is_dummy(text)


@given(st.sampled_from(sorted(k for k in profile() if k.endswith("Name"))), st.text("BCFGHJKQVW", min_size=2))
def test_any_name_that_holds_letters_is_told(keyword, value):
    dataset = Dataset()
    dataset.add_new(keyword, "LO", value[:60])
    assert held_attributes(dataset) == (keyword,)


@pytest.mark.parametrize("name", sorted(TELLING_TAGS))
def test_texts_of_image_files_have_a_group(name):
    assert group_of(name) in {"free text", "staff"}
