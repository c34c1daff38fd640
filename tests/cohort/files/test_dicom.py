import contextlib
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.dicom import is_dicom_head, read_ct


@pytest.fixture(scope="module")
def valid_file(tmp_path_factory):
    """A real CT file, small enough to be damaged many times."""
    path = tmp_path_factory.mktemp("valid") / "valid.dcm"
    path.write_bytes(_path("CT_small.dcm").read_bytes())
    return path


def _path(name):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"{name} comes with the package pydicom-data, which is not installed")
    return Path(found)


def test_real_ct_is_read_in_hu():
    path = _path("CT_small.dcm")
    dataset = pydicom.dcmread(path)
    picture = read_ct(path)
    np.testing.assert_array_equal(picture.pixels, apply_modality_lut(dataset.pixel_array, dataset))
    assert picture.pixels.dtype == np.float32
    # One pixel followed by hand: stored 175, slope 1, intercept -1024.
    assert picture.pixels[0, 0] == dataset.pixel_array[0, 0] - 1024 == -849
    assert picture.spacing_mm == (0.661468, 0.661468)
    assert picture.header["StudyInstanceUID"] == dataset.StudyInstanceUID
    assert picture.header["PatientOrientation"] == "L\\P"


def test_lossless_compression_gives_the_same_hu():
    np.testing.assert_array_equal(read_ct(_path("693_J2KR.dcm")).pixels, read_ct(_path("693_UNCR.dcm")).pixels)


def test_rows_come_first_in_the_spacing(tmp_path, write_ct):
    picture = read_ct(write_ct(tmp_path / "a.dcm", PixelSpacing=[0.5, 0.4]))
    assert picture.spacing_mm == (0.5, 0.4)
    assert picture.header["PatientOrientation"] == "P\\F"


def test_slope_and_intercept_are_applied(tmp_path, write_ct):
    stored = np.array([[0, 10], [20, -30]])
    picture = read_ct(write_ct(tmp_path / "a.dcm", stored=stored, RescaleSlope=2, RescaleIntercept=-100.5))
    np.testing.assert_array_equal(picture.pixels, 2 * stored - 100.5)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Modality": "MR"}, Reason.NOT_CT),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, Reason.NOT_CT),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Reason.LOCALIZER),
        ({"NumberOfFrames": 2}, Reason.MULTI_FRAME),
        ({"SamplesPerPixel": 3}, Reason.COLOUR_IMAGE),
        ({"RescaleSlope": None}, Reason.MISSING_RESCALE),
        ({"RescaleIntercept": None}, Reason.MISSING_RESCALE),
        ({"RescaleSlope": 0}, Reason.MISSING_RESCALE),
        ({"RescaleSlope": "9E99"}, Reason.MISSING_RESCALE),
        ({"RescaleType": "Z_EFF"}, Reason.NOT_HU),
        ({"BitsStored": 8, "HighBit": 7}, Reason.NOT_HU),
    ],
)
def test_a_header_that_is_no_ct_in_hu_is_refused(tmp_path, write_ct, attributes, reason):
    path = write_ct(tmp_path / "planted.dcm", **attributes)
    with pytest.raises(NotUsable, match="planted.dcm") as caught:
        read_ct(path)
    assert caught.value.reason is reason


def test_unspecified_rescale_type_is_taken_as_hu(tmp_path, write_ct):
    assert read_ct(write_ct(tmp_path / "a.dcm", RescaleType="US")).bits == 16


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda uid: uid.name)
@pytest.mark.parametrize("start", [128 + 4, None], ids=["no preamble", "no file meta"])
def test_a_file_that_lost_its_beginning_is_still_read(tmp_path, write_ct, syntax, start):
    path = write_ct(tmp_path / "whole.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    content = path.read_bytes()
    first = pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength + 128 + 4 + 12
    bare = tmp_path / "bare"
    bare.write_bytes(content[first if start is None else start :])
    assert is_dicom_head(bare.read_bytes())
    np.testing.assert_array_equal(read_ct(bare).pixels, read_ct(path).pixels)


def test_a_missing_modality_is_ct_by_its_class_or_by_what_the_source_knows(tmp_path, write_ct):
    assert read_ct(write_ct(tmp_path / "a", Modality=None)).pixels.shape == (12, 10)
    other = write_ct(tmp_path / "b", Modality=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert read_ct(other, modality_required=False).pixels.shape == (12, 10)
    wrong = write_ct(tmp_path / "c", Modality="MR")
    with pytest.raises(NotUsable) as caught:
        read_ct(wrong, modality_required=False)
    assert caught.value.reason is Reason.NOT_CT


def test_a_missing_file_is_a_finding(tmp_path):
    with pytest.raises(NotUsable) as caught:
        read_ct(tmp_path / "gone.dcm")
    assert caught.value.reason is Reason.UNREADABLE_DICOM


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("ConvolutionKernel", ["B30f ", "3"], "B30f\\3"),
        ("Manufacturer", "  ", None),
        ("Manufacturer", "Müller", "Müller"),
        ("XRayTubeCurrent", 210, 210),
        ("SliceThickness", None, None),
        ("ContrastBolusAgent", "Iomeron 400, 80 ml", "present"),
        ("ContrastBolusAgent", None, "absent"),
    ],
)
def test_the_header_is_read_as_pydicom_would(tmp_path, write_ct, keyword, value, expected):
    path = write_ct(tmp_path / "a", SpecificCharacterSet="ISO_IR 192", **{keyword: value})
    assert read_ct(path).header[keyword] == expected


@pytest.mark.parametrize("kept", [140, 500, 700, -200, -1])
def test_a_file_cut_short_is_refused(tmp_path, write_ct, kept):
    """Within the file meta, before Modality, before the rescale, within the pixels, and one byte before the end."""
    path = write_ct(tmp_path / "cut.dcm")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NotUsable, match="cut.dcm") as caught:
        read_ct(path)
    assert caught.value.reason is Reason.UNREADABLE_DICOM


def test_another_kind_of_file_is_no_dicom(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not an image")
    assert not is_dicom_head(path.read_bytes())
    with pytest.raises(NotUsable) as caught:
        read_ct(path)
    assert caught.value.reason is Reason.NOT_DICOM


def test_compression_without_a_decoder_is_told_apart_from_damage(tmp_path, write_ct):
    path = write_ct(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLosslessSV1
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    with pytest.raises(NotUsable, match="JPEG Lossless") as caught:
        read_ct(path)
    assert caught.value.reason is Reason.UNSUPPORTED_COMPRESSION


@pytest.mark.parametrize("spacing", [None, [0, 0.4]])
def test_an_unusable_spacing_is_unknown(tmp_path, write_ct, spacing):
    assert read_ct(write_ct(tmp_path / "a.dcm", PixelSpacing=spacing)).spacing_mm is None


def test_identifiers_are_named_and_never_shown(tmp_path, write_ct):
    path = write_ct(tmp_path / "a.dcm", PatientName="Doe^Jane", PatientBirthDate="19500101", AccessionNumber="")
    picture = read_ct(path)
    assert picture.identifying_attributes == ("PatientBirthDate", "PatientName")
    assert not {"Doe^Jane", "19500101"} & {str(value) for value in picture.header.values()}


def test_a_malformed_number_in_the_header_is_unknown(tmp_path, write_ct):
    path = write_ct(tmp_path / "a.dcm", KVP="117")
    path.write_bytes(path.read_bytes().replace(b"117 ", b"1x7 "))
    assert read_ct(path).header["KVP"] is None
    assert read_ct(write_ct(tmp_path / "b.dcm", KVP="117")).header["KVP"] == 117


def test_an_orientation_that_makes_no_sense_is_unknown(tmp_path, write_ct):
    assert read_ct(write_ct(tmp_path / "a.dcm", ImageOrientationPatient=[1, 0, 0])).header["PatientOrientation"] is None


@settings(deadline=None, max_examples=150)
@given(changes=st.lists(st.tuples(st.integers(132, 6000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_are_read_or_refused_never_a_crash(valid_file, changes):
    content, path = bytearray(valid_file.read_bytes()), valid_file.with_name("damaged.dcm")
    for place, value in changes:
        content[place] = value
    path.write_bytes(content)
    with contextlib.suppress(NotUsable), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = read_ct(path)
        assert picture.pixels.ndim == 2
        assert np.isfinite(picture.pixels).all()
