"""One PNG, JPEG or TIFF image: 8-bit grey values, or 16-bit values with a given offset to HU."""

from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image, ImageOps

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.picture import Picture

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "F")
# A grey JPEG stored as RGB differs by a few steps between channels; print in colour differs by far more.
GREY_TOLERANCE = 24
# The letters and the scale bar of a viewer cover about one per mille of a screenshot.
MAX_COLOURED_FRACTION = 0.02


def read_image(path: Path, *, rescale_intercept: Optional[float] = None) -> Picture:
    """Read an image file.

    Parameters
    ----------
    path
        PNG, JPEG or TIFF file; turned upright if its EXIF orientation says so.
    rescale_intercept
        HU = stored value + intercept, for images of more than 8 bits.

    Raises
    ------
    NotUsable
        If the file is not an image, damaged, in colour, of several pages, or deep without a known offset.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise NotUsable(Reason.NOT_IMAGE, f"{path.name}: not one of {', '.join(sorted(IMAGE_SUFFIXES))}")
    with refusing(Reason.UNREADABLE_IMAGE, name=path.name), path.open("rb") as stream, Image.open(stream) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise NotUsable(Reason.MULTI_FRAME, f"{path.name}: {image.n_frames} pages")
        upright = ImageOps.exif_transpose(image)
        if upright.mode in DEEP_MODES:
            return _deep(upright, name=path.name, rescale_intercept=rescale_intercept)
        return _grey(upright, name=path.name)


def _deep(image: Image.Image, *, name: str, rescale_intercept: Optional[float]) -> Picture:
    if rescale_intercept is None:
        raise NotUsable(Reason.MISSING_RESCALE, f"{name}: {image.mode} image without rescale_intercept")
    pixels = np.asarray(image).astype(np.float32) + np.float32(rescale_intercept)
    if not np.isfinite(pixels).all():
        raise NotUsable(Reason.UNREADABLE_IMAGE, f"{name}: holds values that are not finite")
    return Picture(pixels=pixels)


def _grey(image: Image.Image, *, name: str) -> Picture:
    if image.mode == "L":
        return Picture(pixels=np.array(image))
    channels = np.asarray(image.convert("RGB"))
    coloured = np.ptp(channels.astype(np.int16), axis=-1) > GREY_TOLERANCE
    fraction = float(coloured.mean())
    if fraction > MAX_COLOURED_FRACTION:
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: {fraction:.1%} of the pixels are coloured")
    return Picture(pixels=np.array(image.convert("RGB").convert("L")), coloured_fraction=fraction)
