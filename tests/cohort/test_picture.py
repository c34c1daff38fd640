import numpy as np

from helpers.cohort.picture import Picture


def test_hash_depends_on_values_and_shape_only():
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    same = Picture(np.asfortranarray(pixels), spacing_mm=(1, 1), header={"PatientID": "x"})
    assert Picture(pixels).sha256 == same.sha256
    assert Picture(pixels).sha256 != Picture(pixels.reshape(4, 3)).sha256
    assert Picture(pixels).sha256 != Picture(pixels + 1).sha256


def test_bits_tell_hu_from_grey():
    assert Picture(np.zeros((2, 2), np.uint8)).bits == 8
    assert Picture(np.zeros((2, 2), np.float32)).bits == 16
