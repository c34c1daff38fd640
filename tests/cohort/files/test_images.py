import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.images import read_image

GREY = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "A.PNG", "a.tiff", "a.bmp"])
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


def refused(path, reason, **options):
    with pytest.raises(NotUsable, match=path.name) as caught:
        read_image(path, **options)
    assert caught.value.reason is reason


def test_lossless_webp_keeps_grey_values(tmp_path):
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.webp", GREY, lossless=True)).pixels, GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_every_orientation_shows_the_image_upright(tmp_path, name, orientation):
    """EXIF 2.32, tag Orientation: where row 0 and column 0 of the stored image lie."""
    turned = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / name, exif=exif, **options)
    np.testing.assert_array_equal(read_image(tmp_path / name).pixels, GREY)


def test_a_deep_image_is_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY.astype(np.uint16)).save(tmp_path / "a.tif", exif=exif)
    picture = read_image(tmp_path / "a.tif", rescale_intercept=0)
    np.testing.assert_array_equal(picture.pixels, np.rot90(GREY, -1))


def test_a_grey_palette_becomes_grey(tmp_path):
    image = Image.fromarray(GREY // 4).convert("P")
    image.putpalette([value for step in range(256) for value in (255 - step,) * 3])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, 255 - GREY // 4)


def test_a_coloured_palette_is_refused(tmp_path):
    image = Image.fromarray(GREY // 4).convert("P")
    image.putpalette([value for step in range(256) for value in (step, 255 - step, 0)])
    image.save(tmp_path / "a.png")
    refused(tmp_path / "a.png", Reason.COLOUR_IMAGE)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_see_through_pixels_are_refused(tmp_path, mode):
    image = Image.fromarray(GREY).convert(mode)
    image.putpixel((3, 2), (9, 0) if mode == "LA" else (9, 9, 9, 120))
    image.save(tmp_path / "a.png")
    refused(tmp_path / "a.png", Reason.TRANSPARENT_IMAGE)


def test_printing_colours_are_refused(tmp_path):
    Image.fromarray(GREY).convert("CMYK").save(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", Reason.COLOUR_IMAGE)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, *, colour_type):
    """16 bits per channel, which Pillow cannot write in colour; PNG specification, section 11.2."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    written = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_deep_colours_are_refused_since_half_of_them_would_be_lost(tmp_path, colour_type, channels):
    path = tmp_path / "a.png"
    path.write_bytes(png(np.full((4, 5, channels), 1000), colour_type=colour_type))
    refused(path, Reason.DEEP_COLOUR_IMAGE)


def test_sixteen_bit_png_keeps_all_bits(tmp_path):
    stored = np.array([[0, 1, 65535], [1024, 4095, 256]])
    (tmp_path / "a.png").write_bytes(png(stored, colour_type=0))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", rescale_intercept=-1024).pixels, stored - 1024)


def test_deep_tiff_with_white_as_zero_is_refused(tmp_path):
    Image.fromarray(GREY.astype(np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    refused(tmp_path / "a.tif", Reason.NOT_HU, rescale_intercept=0)


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_moving_images_are_refused(tmp_path, name):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    refused(tmp_path / name, Reason.MULTI_FRAME)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_images_that_could_exhaust_the_memory_are_refused_unread(tmp_path, side):
    path = tmp_path / "a.png"
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(path, Reason.IMAGE_TOO_LARGE)


def test_a_flipped_bit_of_a_png_is_noticed(tmp_path):
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(path, Reason.UNREADABLE_IMAGE)


def test_what_a_file_is_does_not_depend_on_its_name(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg").pixels, GREY)
    Image.fromarray(GREY).save(tmp_path / "b.png", format="GIF")
    refused(tmp_path / "b.png", Reason.UNREADABLE_IMAGE)


def test_a_declared_window_gives_hu(tmp_path):
    picture = read_image(save(tmp_path / "a.png", np.array([[0, 51, 255]], np.uint8)), window=(300.0, 1500.0))
    np.testing.assert_allclose(picture.pixels, [[-450, -150, 1050]], atol=1e-4)
    assert (picture.pixels.dtype, picture.bits) == (np.float32, 16)


def test_a_window_undoes_itself(tmp_path):
    hu = np.linspace(-449, 1049, 60).reshape(6, 10)
    exported = np.rint((hu + 450) / 1500 * 255).astype(np.uint8)
    picture = read_image(save(tmp_path / "a.png", exported), window=(300.0, 1500.0))
    np.testing.assert_allclose(picture.pixels, hu, atol=1500 / 255 / 2 + 1e-3)


def test_a_deep_image_does_not_take_the_window(tmp_path):
    path = save(tmp_path / "a.png", GREY.astype(np.uint16))
    refused(path, Reason.MISSING_RESCALE, window=(300.0, 1500.0))
    np.testing.assert_array_equal(read_image(path, rescale_intercept=-5, window=(300.0, 1500.0)).pixels, GREY - 5.0)


def test_texts_in_the_file_are_named_but_not_told(tmp_path):
    exif = Image.Exif()
    exif[0x013B], exif[0x8825] = "Dr A. Nobody", {1: "N"}
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif, comment="Mr B. Nobody")
    assert read_image(tmp_path / "a.jpg").identifying_attributes == ("Artist", "GPSInfo", "comment")
    assert read_image(save(tmp_path / "b.png", GREY)).identifying_attributes == ()
