"""One PNG, JPEG, TIFF, WebP or BMP image: grey values, or HU by a declared window or a given offset.

An image file says nothing about Hounsfield units. Eight bits become HU only where the parameters declare the window
that the images were exported with; more bits become HU only by `rescale_intercept`. Resolutions in dots per inch that
a file may hold are those of a screen or printer, not of the patient, and are not read.
"""

import io
import warnings
from pathlib import Path
from typing import IO, Optional

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.picture import Picture

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"})
# What a file is stands in its first bytes. Pillow knows more formats, some of which run other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")
SHALLOW_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")
TIFF_PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
# A grey JPEG stored as RGB differs by a few steps between channels; print in colour differs by far more.
GREY_TOLERANCE = 24
# The letters and the scale bar of a viewer cover about one per mille of a screenshot.
MAX_COLOURED_FRACTION = 0.02
GREY_STEPS = 255
# EXIF tags, PNG texts and JPEG comments that people fill in, and the place where a photograph was taken.
TELLING_TAGS = frozenset(
    {
        *("Artist", "CameraOwnerName", "DocumentName", "GPSInfo", "ImageDescription", "UserComment"),
        *("XPAuthor", "XPComment", "XPSubject", "XPTitle"),
        *("Author", "Comment", "Description", "Title", "comment"),
    }
)


def read_image(
    path: Path, *, rescale_intercept: Optional[float] = None, window: Optional[tuple[float, float]] = None
) -> Picture:
    """Read an image file.

    Parameters
    ----------
    path
        PNG, JPEG, TIFF, WebP or BMP file; turned upright if its EXIF orientation says so.
    rescale_intercept
        HU = stored value + intercept, for images of more than 8 bits.
    window
        (centre, width) in HU that 8-bit images were exported with: grey 0 is its lower end, 255 its upper end. What
        was darker or brighter is lost. None leaves grey values.

    Raises
    ------
    NotUsable
        If the file is not an image, damaged, in colour, see-through, of several pages, too large to open safely, or
        deep without a known offset.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise NotUsable(Reason.NOT_IMAGE, f"{path.name}: not one of {', '.join(sorted(IMAGE_SUFFIXES))}")
    with refusing(Reason.UNREADABLE_IMAGE, name=path.name):
        image = _opened(_content(path), name=path.name)
        _check_kind(image, name=path.name)
        telling = _telling(image)
        upright = ImageOps.exif_transpose(image)
        if upright.mode in DEEP_MODES:
            pixels, coloured = _deep(upright, name=path.name, rescale_intercept=rescale_intercept), 0.0
        else:
            grey, coloured = _grey(upright, name=path.name)
            pixels = grey if window is None else _hu_by_window(grey, window)
    return Picture(pixels=pixels, coloured_fraction=coloured, identifying_attributes=telling)


def _content(path: Path) -> IO[bytes]:
    """The bytes of a file; where there are none to be had, the reason without the folders of this machine."""
    try:
        return io.BytesIO(path.read_bytes())
    except OSError as error:
        raise NotUsable(Reason.UNREADABLE_IMAGE, f"{path.name}: {error.strerror}") from error


def _opened(stream: IO[bytes], *, name: str) -> Image.Image:
    """Open an image whose size is harmless; PNG only if its checksums hold, which decoding alone does not look at."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(stream, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotUsable(Reason.IMAGE_TOO_LARGE, f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise NotUsable(Reason.UNREADABLE_IMAGE, f"{name}: not a {', '.join(FORMATS)} image") from error
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise NotUsable(Reason.MULTI_FRAME, f"{name}: {pages} pages")
    if image.format != "PNG":
        return image
    image.verify()
    stream.seek(0)
    return Image.open(stream, formats=FORMATS)


def _check_kind(image: Image.Image, *, name: str) -> None:
    """Refuse what Pillow would decode to other grey values than were stored."""
    if image.mode in DEEP_MODES:
        if getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO:
            raise NotUsable(Reason.NOT_HU, f"{name}: white is zero, so that dense tissue has the small values")
        return
    if image.mode not in SHALLOW_MODES:
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: {image.mode} colours, whose grey depends on inks or a profile")
    stored = [tile.args if isinstance(tile.args, str) else str(tile.args[0]) for tile in image.tile if tile.args]
    if any("16" in mode for mode in stored):
        raise NotUsable(Reason.DEEP_COLOUR_IMAGE, f"{name}: {stored[0]}, of which only the upper 8 bits would be read")


def _telling(image: Image.Image) -> tuple[str, ...]:
    """Names of texts in the file that may identify someone; never the texts."""
    exif = image.getexif()
    tags = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    held = {ExifTags.TAGS.get(tag) for tag, value in tags.items() if value}
    held |= {name for name, value in image.info.items() if value}
    return tuple(sorted(held & TELLING_TAGS))


def _deep(image: Image.Image, *, name: str, rescale_intercept: Optional[float]) -> np.ndarray:
    """(Rows, Columns) float32 HU."""
    if rescale_intercept is None:
        raise NotUsable(Reason.MISSING_RESCALE, f"{name}: {image.mode} image without rescale_intercept")
    pixels = np.asarray(image).astype(np.float32) + np.float32(rescale_intercept)
    if not np.isfinite(pixels).all():
        raise NotUsable(Reason.UNREADABLE_IMAGE, f"{name}: holds values that are not finite")
    return pixels


def _grey(image: Image.Image, *, name: str) -> tuple[np.ndarray, float]:
    """(Rows, Columns) uint8 grey values, and the share of pixels that were coloured."""
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < GREY_STEPS:
        raise NotUsable(Reason.TRANSPARENT_IMAGE, f"{name}: some pixels are see-through")
    if image.mode == "L":
        return np.array(image), 0.0
    colours = image.convert("RGB")
    red, green, blue = (np.asarray(band) for band in colours.split())
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    fraction = float((spread > GREY_TOLERANCE).mean())
    if fraction > MAX_COLOURED_FRACTION:
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: {fraction:.1%} of the pixels are coloured")
    return np.array(colours.convert("L")), fraction


def _hu_by_window(grey: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """The inverse of the linear window (LINEAR_EXACT, DICOM PS3.3 C.11.2.1.3.2); float32."""
    center, width = window
    return (center - width / 2 + grey * (width / GREY_STEPS)).astype(np.float32)
