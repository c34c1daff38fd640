import numpy as np

from helpers.cohort.picture import Picture


def test_hash_depends_on_values_and_shape_only():
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    same = Picture(np.asfortranarray(pixels), spacing_mm=(1, 1), header={"PatientID": "x"})
    assert Picture(pixels).sha256 == same.sha256
    assert Picture(pixels).sha256 != Picture(pixels.reshape(4, 3)).sha256
    assert Picture(pixels).sha256 != Picture(pixels + 1).sha256


def test_compact_pixels_are_exact():
    whole = np.array([[-1024, 0], [3071, -0.0]], np.float32)
    assert Picture(whole).compact.dtype == np.int16
    assert (Picture(whole).compact == whole).all()
    for other in (whole + np.float32(0.5), whole + 2**15, whole * 2**40):
        assert Picture(other).compact is other
    grey = np.eye(3, dtype=np.uint8)
    assert Picture(grey).compact is grey


def test_zero_has_no_sign_in_the_hash():
    zeros = np.zeros((2, 2), np.float32)
    assert Picture(zeros).sha256 == Picture(-zeros).sha256
    assert Picture(zeros).sha256 != Picture(zeros.astype(np.uint8)).sha256


def test_bits_tell_hu_from_grey():
    assert Picture(np.zeros((2, 2), np.uint8)).bits == 8
    assert Picture(np.zeros((2, 2), np.float32)).bits == 16
