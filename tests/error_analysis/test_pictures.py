import numpy as np

from helpers.error_analysis import reading_crops
from helpers.error_analysis.pictures import cut_centre


def test_hu_are_shown_in_a_bone_window_around_the_centre():
    pixels = np.full((1, 6, 6), -1000, dtype=np.int16)
    pixels[0, 1:5, 1:5] = 300
    pixels[0, 1, 1], pixels[0, 4, 4] = -450, 2000
    crops = reading_crops(pixels, size=4)
    assert crops.shape == (1, 4, 4)
    assert crops[0, 1, 1] == 0.5
    assert (crops[0, 0, 0], crops[0, 3, 3]) == (0, 1)


def test_eight_bit_images_keep_their_window():
    crops = reading_crops(np.full((2, 4, 4), 51, dtype=np.uint8), size=4)
    np.testing.assert_allclose(crops, 0.2)


def test_the_cut_is_that_of_the_network():
    pixels = np.arange(2 * 7 * 7).reshape(2, 7, 7)
    np.testing.assert_array_equal(cut_centre(pixels, size=4), pixels[:, 1:5, 1:5])
    np.testing.assert_array_equal(cut_centre(pixels[0], size=7), pixels[0])
