"""What may be different about an image from elsewhere: noise, sharpness, grey values, place, metal and compression.

Each change has graded severities after Hendrycks & Dietterich 2019 (arXiv:1903.12261), in units of the clinic. Pixels
are given as shares of the window that the network sees, 0 at its lower and 1 at its upper end; all but compression keep
what lies outside.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

SEED = 0
STREAKS = 24
#: Where the metal lies in the image, as shares of its rows and columns, and how far its streaks reach.
METAL_PLACE = (0.5, 0.8)
STREAK_REACH_MM = 30.0

Change = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Perturbation:
    """A change of the image in several severities, the mildest first.

    Attributes
    ----------
    name, unit
        What changes and in what it is measured.
    severities
        In that unit.
    change
        ``change(shares, severity, spacing_mm=...)`` for (N, ..., H, W) float32 shares of the window.
    """

    name: str
    unit: str
    severities: tuple[float, ...]
    change: Change


def add_noise(shares: np.ndarray, percent: float, *, spacing_mm: float) -> np.ndarray:
    """Independent Gaussian noise with a standard deviation in percent of the window."""
    rng = np.random.default_rng(SEED)
    return shares + rng.normal(0, percent / 100, shares.shape).astype(np.float32)


def blur(shares: np.ndarray, sigma_mm: float, *, spacing_mm: float) -> np.ndarray:
    """Smooth with a Gaussian."""
    return ndimage.gaussian_filter(shares, sigma_mm / spacing_mm, axes=(-2, -1))


def coarsen(shares: np.ndarray, pixel_mm: float, *, spacing_mm: float) -> np.ndarray:
    """Resample to larger pixels and back."""
    images = torch.from_numpy(shares.reshape(-1, 1, *shares.shape[-2:]))
    size = max(1, round(shares.shape[-1] * spacing_mm / pixel_mm))
    small = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return functional.interpolate(small, shares.shape[-2:], mode="bilinear").numpy().reshape(shares.shape)


def brighten(shares: np.ndarray, percent: float, *, spacing_mm: float) -> np.ndarray:
    """Move the centre of the window down, so that all looks brighter, by percent of its width."""
    return shares + np.float32(percent / 100)


def narrow(shares: np.ndarray, percent: float, *, spacing_mm: float) -> np.ndarray:
    """Make the window narrower by percent of its width, which raises the contrast."""
    return (shares - np.float32(0.5)) / np.float32(1 - percent / 100) + np.float32(0.5)


def rotate(shares: np.ndarray, degrees: float, *, spacing_mm: float) -> np.ndarray:
    """Turn about the centre; outer pixels are repeated beyond the edge."""
    return ndimage.rotate(shares, degrees, axes=(-1, -2), reshape=False, order=1, mode="nearest")


def shift(shares: np.ndarray, distance_mm: float, *, spacing_mm: float) -> np.ndarray:
    """Move the image down, as if the crop were cut too high; outer pixels are repeated beyond the edge."""
    offset = (0,) * (shares.ndim - 2) + (distance_mm / spacing_mm, 0)
    return ndimage.shift(shares, offset, order=1, mode="nearest")


def add_streaks(shares: np.ndarray, percent: float, *, spacing_mm: float) -> np.ndarray:
    """Bright and dark streaks from a point, as metal throws them, with an amplitude in percent of the window.

    They only look alike: nothing of how scanners make them is simulated here.
    """
    rows, columns = np.indices(shares.shape[-2:]) - np.reshape(METAL_PLACE, (2, 1, 1)) * shares.shape[-1]
    distance_mm = np.hypot(rows, columns) * spacing_mm
    streaks = np.cos(STREAKS * np.arctan2(rows, columns)) * np.exp(-distance_mm / STREAK_REACH_MM)
    return shares + (percent / 100 * streaks).astype(np.float32)


def compress(shares: np.ndarray, quality: float, *, spacing_mm: float) -> np.ndarray:
    """Save in the window as 8-bit JPEG of a quality between 1 and 95, and read it back."""
    planes = np.rint(255 * shares.clip(0, 1)).astype(np.uint8).reshape(-1, *shares.shape[-2:])
    return np.stack([_jpeg(plane, quality=int(quality)) for plane in planes]).reshape(shares.shape)


def _jpeg(plane: np.ndarray, *, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, format="JPEG", quality=quality)
    return np.asarray(Image.open(stream), dtype=np.float32) / 255


PERTURBATIONS = (
    Perturbation("noise", "% of the window", (2, 5, 10), add_noise),
    Perturbation("blur", "mm, sigma", (0.5, 1, 2), blur),
    Perturbation("coarse pixels", "mm", (1, 2, 3), coarsen),
    Perturbation("brighter window", "% of its width", (5, 10, 20), brighten),
    Perturbation("narrower window", "% of its width", (20, 40, 60), narrow),
    Perturbation("rotation", "degrees", (5, 10, 20), rotate),
    Perturbation("shift", "mm", (2, 4, 8), shift),
    Perturbation("metal-like streaks", "% of the window", (5, 10, 20), add_streaks),
    Perturbation("JPEG", "quality", (50, 20, 5), compress),
)


def perturbed(
    pixels: np.ndarray, *, change: Change, severity: float, window: tuple[float, float], spacing_mm: float
) -> np.ndarray:
    """Change cached pixels and give them back in their own type.

    Parameters
    ----------
    pixels
        (N, ..., H, W) int16 HU or uint8 grey.
    change, severity
        See `Perturbation`.
    window
        Centre and width of what the network sees, in the unit of the pixels.
    spacing_mm
        Pixel size.
    """
    center, width = window
    low = center - width / 2
    shares = change((pixels.astype(np.float32) - low) / width, severity, spacing_mm=spacing_mm)
    limits = np.iinfo(pixels.dtype)
    return np.rint(shares * width + low).clip(limits.min, limits.max).astype(pixels.dtype)
