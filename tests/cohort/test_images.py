import numpy as np
import pytest
from PIL import Image

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.images import read_image

GREY = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "A.PNG", "a.tiff"])
def test_grey_values_are_kept(tmp_path, name):
    picture = read_image(save(tmp_path / name, GREY))
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert picture.pixels.dtype == np.uint8
    assert picture.spacing_mm is None


def test_rgb_that_is_grey_becomes_grey(tmp_path):
    picture = read_image(save(tmp_path / "a.png", np.dstack([GREY] * 3)))
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert picture.coloured_fraction == 0


def test_transparency_is_ignored(tmp_path):
    opaque = np.full_like(GREY, 255)
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", np.dstack([GREY] * 3 + [opaque]))).pixels, GREY)


def test_a_grey_jpeg_is_not_taken_for_colour(tmp_path):
    smooth = np.tile(np.linspace(20, 230, 64, dtype=np.uint8), (64, 1))
    picture = read_image(save(tmp_path / "a.jpg", np.dstack([smooth] * 3), quality=70))
    assert picture.coloured_fraction == 0
    assert np.abs(picture.pixels.astype(int) - smooth).max() < 12


def test_a_few_coloured_letters_are_noted(tmp_path):
    pixels = np.full((100, 100, 3), 90, np.uint8)
    pixels[:10, :10] = (0, 255, 0)
    picture = read_image(save(tmp_path / "a.png", pixels))
    assert picture.coloured_fraction == pytest.approx(0.01)
    assert picture.pixels[50, 50] == 90


def test_a_colour_image_is_refused(tmp_path):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10, 0] = 200
    with pytest.raises(NotUsable, match="50.0%") as caught:
        read_image(save(tmp_path / "a.png", pixels))
    assert caught.value.reason is Reason.COLOUR_IMAGE


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_images_become_hu_by_their_intercept(tmp_path, dtype):
    stored = np.array([[0, 24], [1024, 2000]], dtype=dtype)
    path = save(tmp_path / "a.tif", stored)
    picture = read_image(path, rescale_intercept=-1024)
    np.testing.assert_array_equal(picture.pixels, [[-1024, -1000], [0, 976]])
    assert picture.bits == 16


def test_a_deep_image_without_intercept_is_refused(tmp_path):
    with pytest.raises(NotUsable, match="rescale_intercept") as caught:
        read_image(save(tmp_path / "a.png", GREY.astype(np.uint16)))
    assert caught.value.reason is Reason.MISSING_RESCALE


def test_values_that_are_no_numbers_are_refused(tmp_path):
    stored = np.array([[0, np.nan]], dtype=np.float32)
    with pytest.raises(NotUsable) as caught:
        read_image(save(tmp_path / "a.tif", stored), rescale_intercept=0)
    assert caught.value.reason is Reason.UNREADABLE_IMAGE


def test_camera_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture was stored turned: show it turned clockwise by a quarter
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, np.rot90(GREY, -1))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_damaged_images_are_refused(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = save(tmp_path / name, pixels)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(NotUsable, match=name) as caught:
        read_image(path)
    assert caught.value.reason is Reason.UNREADABLE_IMAGE


def test_text_called_png_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(NotUsable) as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.reason is Reason.UNREADABLE_IMAGE


def test_other_kinds_of_files_are_told_by_their_ending(tmp_path):
    with pytest.raises(NotUsable) as caught:
        read_image(tmp_path / "a.dcm")
    assert caught.value.reason is Reason.NOT_IMAGE


def test_several_pages_are_refused(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(GREY)])
    with pytest.raises(NotUsable, match="2 pages") as caught:
        read_image(tmp_path / "a.tif")
    assert caught.value.reason is Reason.MULTI_FRAME
