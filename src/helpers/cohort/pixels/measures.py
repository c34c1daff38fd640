"""What is kept of a picture's pixels once they are decoded: hash, thumbnail, and the facts that the audit asks for."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from scipy.fft import dctn

from helpers.cohort.picture import HU_BITS, Picture, middle_plane
from helpers.cohort.pixels.burned_in import count_glyphs
from helpers.cohort.pixels.pixel_facts import pixel_facts

THUMBNAIL_SIDE = 32
# A few pixels of metal or of a viewer's print must not make the rest of the picture dark.
WINDOW_PERCENTILES = (1, 99)
HASH_SIDE = 8
# Pillow averages small blocks of whole pixels first, which is faster, down to this many times the side.
REDUCING_GAP = 2.0


@dataclass(frozen=True)
class Measures:
    """Facts about the pixels of one picture.

    Attributes
    ----------
    columns
        Goes into the cohort table as it is: column name to plain value.
    thumbnail
        (32, 32) uint8, to compare pictures with; kept in memory only.
    """

    thumbnail: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)


def measure(picture: Picture) -> Measures:
    """Measure one decoded picture.

    Returns
    -------
    With the columns ``pixel_sha256``, ``perceptual_hash`` (16 hexadecimal digits), ``text_glyphs`` (letters in rows of
    print, see `burned_in`) and those of `pixel_facts`.
    """
    small = thumbnail(picture.pixels)
    columns = {
        "pixel_sha256": picture.sha256,
        "perceptual_hash": f"{int(perceptual_hash(small)):016x}",
        "text_glyphs": count_glyphs(picture.compact),
    }
    return Measures(small, columns | pixel_facts(picture.compact, is_hu=picture.bits == HU_BITS))


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Shrink a picture to (32, 32) uint8 by averaging, whatever its shape, and stretch its greys over 0 to 255.

    Two pictures that differ in size, brightness or contrast only have almost the same thumbnail. Of three planes the
    middle one is taken.
    """
    plane = middle_plane(pixels)
    image = Image.fromarray(np.ascontiguousarray(plane))
    image = image.resize((THUMBNAIL_SIDE,) * 2, Image.Resampling.BOX, reducing_gap=REDUCING_GAP)
    small = np.asarray(image, dtype=np.float32)
    low, high = np.percentile(small, WINDOW_PERCENTILES)
    if low == high:
        return np.zeros(small.shape, np.uint8)
    return np.rint(np.clip((small - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def perceptual_hash(small: np.ndarray) -> np.ndarray:
    """64 bits that say which of the lowest spatial frequencies of a thumbnail are stronger than their median.

    Pictures that look alike differ in few bits: the discrete cosine transform (DCT-II) sorts the coarse from the fine,
    and sharpening, noise and compression change the fine.

    Parameters
    ----------
    small
        (..., 32, 32) thumbnails.

    Returns
    -------
    (...) uint64.
    """
    frequencies = dctn(small.astype(np.float32), axes=(-2, -1), norm="ortho")[..., :HASH_SIDE, :HASH_SIDE]
    coarse = frequencies.reshape(*small.shape[:-2], HASH_SIDE**2)
    bits = coarse > np.median(coarse[..., 1:], axis=-1, keepdims=True)  # the first one is the mean brightness
    return np.packbits(bits, axis=-1).view(">u8")[..., 0].astype(np.uint64)
