"""One affine resampling from the source image to a square of set millimetres per pixel."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

# 12 bits with the usual offset span -1024 ... 3071 HU. Below lies only padding outside the scanner's field; above lies
# only metal on an extended scale, where HU carry no information about bone.
HU_RANGE = (-1024, 3071)
AIR_HU = -1024
BLACK = 0


@dataclass(frozen=True)
class Field:
    """The square that is cut out.

    Attributes
    ----------
    center_px
        Centre as (row, column) in coordinates of pixel centres of the source image.
    source_spacing_mm
        Distance of source pixels as (row, column).
    spacing_mm
        Distance of pixels in the square, both axes.
    size
        Side of the square in pixels.
    """

    center_px: tuple[float, float]
    source_spacing_mm: tuple[float, float]
    spacing_mm: float
    size: int

    @property
    def scale(self) -> np.ndarray:
        """Source pixels per pixel of the square, (row, column)."""
        return self.spacing_mm / np.asarray(self.source_spacing_mm)

    @property
    def offset(self) -> np.ndarray:
        """Source coordinates of the square's first pixel, (row, column)."""
        return np.asarray(self.center_px) - (self.size - 1) / 2 * self.scale

    def inside(self, shape: tuple[int, int]) -> np.ndarray:
        """Boolean (size, size): which pixels of the square lie on a source image of this shape."""
        covered = []
        for offset, scale, length in zip(self.offset, self.scale, shape, strict=True):
            position = offset + scale * np.arange(self.size)
            covered.append((position >= -0.5) & (position <= length - 0.5))
        return np.outer(*covered)


def cut_field(pixels: np.ndarray, field: Field) -> tuple[np.ndarray, float]:
    """Resample and crop in one step.

    Where the square is coarser than the source, a Gaussian of (factor - 1) / 2 source pixels removes what the coarser
    grid cannot show (the rule of scikit-image's `rescale`); then pixels are interpolated linearly, which, unlike
    splines, adds no overshoot beside cortical bone.

    Parameters
    ----------
    pixels
        (Rows, Columns) or (3, Rows, Columns) float HU, or uint8 grey values.
    field
        What to cut.

    Returns
    -------
    array
        (size, size) or (3, size, size), int16 HU within `HU_RANGE`, or uint8; outside the source air (-1024 HU), or
        black (0).
    padded_fraction
        Share of pixels that lie outside the source, 0 to 1.

    Raises
    ------
    ValueError
        If `pixels` is neither an image of two dimensions nor a stack of three such.
    """
    if pixels.ndim == 3 and len(pixels) == 3:
        planes, padded_fractions = zip(*(cut_field(plane, field) for plane in pixels), strict=True)
        return np.stack(planes), padded_fractions[0]
    if pixels.ndim != 2:
        raise ValueError(f"expected an image of two dimensions or three planes, got shape {pixels.shape}")
    in_hu = pixels.dtype != np.uint8
    low, high = HU_RANGE if in_hu else (0, 255)
    values = np.clip(pixels.astype(np.float32), low, high)
    smoothed = gaussian_filter(values, np.maximum(field.scale - 1, 0) / 2, mode="nearest")
    square = affine_transform(
        smoothed, field.scale, offset=field.offset, output_shape=(field.size,) * 2, order=1, mode="nearest"
    )
    inside = field.inside(pixels.shape)
    square = np.where(inside, np.rint(square), AIR_HU if in_hu else BLACK)
    return square.astype(np.int16 if in_hu else np.uint8), float(1 - inside.mean())
