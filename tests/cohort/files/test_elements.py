from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from helpers.cohort.files.elements import frame_count, number, numbers, text, texts, whole

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


def stored(syntax=ExplicitVRLittleEndian, **values):
    """A dataset as it comes from a file, its elements not decoded yet."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return pydicom.dcmread(BytesIO(stream.getvalue()), force=True)


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(
    rows=st.integers(0, 2**16 - 1), spacing=st.tuples(*[st.floats(0.001, 999).map(lambda value: round(value, 3))] * 2)
)
def test_raw_values_are_those_that_pydicom_decodes(syntax, rows, spacing):
    dataset = stored(syntax, Rows=rows, PixelSpacing=list(spacing), ImageType=["ORIGINAL", "PRIMARY"])
    assert whole(dataset, "Rows") == dataset.Rows
    assert numbers(dataset, "PixelSpacing", count=2) == tuple(map(float, dataset.PixelSpacing))
    assert texts(dataset, "ImageType") == list(dataset.ImageType)
    decoded = (whole(dataset, "Rows"), numbers(dataset, "PixelSpacing", count=2), texts(dataset, "ImageType"))
    assert decoded == (rows, spacing, ["ORIGINAL", "PRIMARY"])


def test_what_is_missing_or_empty_is_none():
    dataset = stored(KVP=None, Manufacturer="")
    assert (text(dataset, "Manufacturer"), number(dataset, "KVP"), whole(dataset, "Rows")) == (None, None, None)
    assert (texts(dataset, "ImageType"), frame_count(dataset)) == ([], 1)


def test_text_beyond_ascii_is_decoded_in_its_character_set():
    assert text(stored(SpecificCharacterSet="ISO_IR 192", Manufacturer="Größe"), "Manufacturer") == "Größe"


def test_numbers_of_another_count_are_none():
    dataset = stored(PixelSpacing=[1, 2])
    assert numbers(dataset, "PixelSpacing", count=3) is None
    assert number(dataset, "PixelSpacing") is None


def test_a_number_in_binary_is_read_by_its_representation():
    dataset = stored()
    dataset.add_new("KVP", "FD", 2.0)
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    assert number(pydicom.dcmread(BytesIO(stream.getvalue()), force=True), "KVP") == 2.0
