import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.dicom import open_ct, read_ct
from helpers.cohort.files.hounsfield import MAX_PIXELS, hounsfield, rescaled, stored_values


def real(name):
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip(f"{name} comes with the package pydicom-data, which is not installed")
    return Path(found)


def decoded(path):
    return hounsfield(open_ct(path.read_bytes(), name=path.name), name=path.name)


@pytest.fixture
def recode(tmp_path, write_ct):
    """recode(syntax, **attributes) -> the same 64 x 72 image as it is, and encoded in another transfer syntax."""
    stored = np.add.outer(np.arange(64) * 50, np.arange(72)) - 500

    def write(syntax, **attributes):
        plain = write_ct(tmp_path / "plain.dcm", stored=stored, **attributes)
        dataset = pydicom.dcmread(plain)
        other = tmp_path / "other.dcm"
        if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        pydicom.dcmwrite(other, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
        return plain, other

    return write


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.name,
)
@pytest.mark.parametrize("intercept", [-1024, 0])
def test_the_encoding_does_not_change_the_hu(recode, syntax, intercept):
    plain, other = recode(syntax, RescaleIntercept=intercept)
    assert pydicom.dcmread(other).file_meta.TransferSyntaxUID == syntax
    assert decoded(plain)[0, 0] == -500 + intercept
    np.testing.assert_array_equal(decoded(other), decoded(plain))


@pytest.mark.parametrize(
    ("compressed", "plain"), [("693_J2KR.dcm", "693_UNCR.dcm"), ("MR_small_RLE.dcm", "MR_small.dcm")]
)
def test_real_files_decode_like_their_uncompressed_twins(compressed, plain):
    twins = [pydicom.dcmread(real(name)) for name in (compressed, plain)]
    np.testing.assert_array_equal(*(stored_values(dataset, name="twin") for dataset in twins))


def lossless_jpeg(stored):
    """JPEG lossless, process 14, selection value 1 (ITU-T T.81, annex H): each pixel as the step from its left one.

    Our own encoder of few lines, since no library here writes the syntax that much of the world's CT comes in. All
    Huffman codes are five bits long: simple, not small.
    """
    rows, columns = stored.shape
    left = np.empty_like(stored, dtype=int)
    left[:, 1:] = stored[:, :-1]
    left[1:, 0], left[0, 0] = stored[:-1, 0], 2**15
    bits = []
    for step in ((stored - left + 2**15) % 2**16 - 2**15).ravel().tolist():
        size = abs(step).bit_length()
        extra = step if step > 0 else step + 2**size - 1
        bits.append(f"{size:05b}" + (f"{extra:0{size}b}" if 0 < size < 16 else ""))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    coded = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = struct.pack(">HBHHBBBB", 11, 16, rows, columns, 1, 1, 0x11, 0)
    table = struct.pack(">HB16B17B", 36, 0, 0, 0, 0, 0, 17, *[0] * 11, *range(17))
    scan = struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0)
    return b"\xff\xd8\xff\xc3" + frame + b"\xff\xc4" + table + b"\xff\xda" + scan + coded + b"\xff\xd9"


@pytest.mark.parametrize("intercept", [-1024, 0])
def test_lossless_jpeg_gives_the_same_hu(tmp_path, write_ct, intercept):
    stored = np.random.default_rng(2).integers(0, 4000, (32, 41))
    path = write_ct(tmp_path / "a.dcm", stored=stored, PixelRepresentation=0, RescaleIntercept=intercept)
    plain = decoded(path)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([lossless_jpeg(stored)])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    np.testing.assert_array_equal(decoded(path), plain)


def test_a_sign_that_the_codestream_contradicts_follows_the_header():
    """JPEG 2000 coded as unsigned, though PixelRepresentation says signed: air would be near +6000 HU."""
    path = real("J2K_pixelrep_mismatch.dcm")
    stored = stored_values(pydicom.dcmread(path), name="mismatch")
    naive = pixel_array(path, apply_j2k_sign_correction=False)
    assert (naive.min(), stored.min()) == (0, -2000)
    np.testing.assert_array_equal(stored, np.where(naive >= 2**12, naive.astype(int) - 2**13, naive))


@pytest.mark.parametrize("frame_format", ["unsigned", "signed"])
def test_bits_beyond_those_stored_are_no_pixels(tmp_path, write_ct, frame_format):
    """Old files keep an overlay in the upper four of sixteen bits."""
    signed = frame_format == "signed"
    values = np.array([[-5, 0], [7, 2000]]) if signed else np.array([[5, 0], [7, 4000]])
    stored = (values & 0x0FFF) | 0x3000
    attributes = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed), "RescaleIntercept": 0}
    path = write_ct(tmp_path / "a", stored=stored, **attributes)
    np.testing.assert_array_equal(decoded(path), values)
    np.testing.assert_array_equal(decoded(path), pydicom.dcmread(path).pixel_array)


def test_the_upper_half_of_unsigned_values_stays_positive(tmp_path, write_ct):
    path = write_ct(tmp_path / "a", stored=np.array([[0, 60000 - 65536]]), PixelRepresentation=0, RescaleIntercept=0)
    np.testing.assert_array_equal(decoded(path), [[0, 60000]])


def test_inverted_display_does_not_invert_hu(tmp_path, write_ct):
    stored = np.array([[24, 1024]])
    path = write_ct(tmp_path / "a", stored=stored, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(decoded(path), [[-1000, 0]])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"PixelPaddingValue": -2000}, [-1024, -1500, 0, 30]),
        ({"PixelPaddingValue": 63536}, [-1024, -1500, 0, 30]),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1400}, [-1024, -1024, 0, 30]),
        ({"PixelPaddingValue": 30}, [-2000, -1500, 0, 30]),
    ],
    ids=["outside the scale", "written unsigned", "a range", "could be tissue"],
)
def test_padding_becomes_air(tmp_path, write_ct, attributes, expected):
    path = write_ct(tmp_path / "a", stored=np.array([[-2000, -1500, 0, 30]]), RescaleIntercept=0)
    dataset = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        dataset.add_new(keyword, "SS" if value < 0 else "US", value)
    dataset.save_as(path)
    np.testing.assert_array_equal(decoded(path)[0], expected)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (1, 0.5), (0.5, -1000), (2, 3), (1, 2**24)])
def test_the_rescale_equals_that_of_pydicom(slope, intercept):
    stored = np.random.default_rng(0).integers(-(2**15), 2**15, (30, 40)).astype(np.int16)
    item = pydicom.Dataset()
    item.RescaleSlope, item.RescaleIntercept = slope, intercept
    found = rescaled(stored, slope=float(slope), intercept=float(intercept), name="a")
    np.testing.assert_array_equal(found, apply_modality_lut(stored, item).astype(np.float32))
    assert found.dtype == np.float32


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(tmp_path, write_ct):
    path = write_ct(tmp_path / "a", NumberOfFrames=MAX_PIXELS // 120 + 1)
    with pytest.raises(NotUsable) as caught:
        read_ct(path)
    assert caught.value.reason is Reason.CONTRADICTORY_HEADER
