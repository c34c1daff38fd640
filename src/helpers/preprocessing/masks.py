"""Masks drawn on a source image, brought into the pixels of its cached square."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import affine_transform


def cut_mask(mask: np.ndarray, *, place: Mapping[str, float], size: int) -> np.ndarray:
    """Resample a mask as `cut_field` resamples its image.

    Parameters
    ----------
    mask
        (Rows, Columns) bool in the pixels of the source image.
    place
        Row of the image index: field_x0, field_y0, field_x1 and field_y1 are the outer edges of the square.
    size
        Side of the cached square in pixels.

    Returns
    -------
    (size, size) bool: where the linearly interpolated mask is at least one half; nothing outside the source.
    """
    first = np.array([place["field_y0"], place["field_x0"]])
    last = np.array([place["field_y1"], place["field_x1"]])
    scale = (last - first) / size
    # edges lie half a pixel of the square before the centre of its first pixel
    values = affine_transform(
        mask.astype(np.float32), scale, offset=first + scale / 2, output_shape=(size, size), order=1, mode="constant"
    )
    return values >= 0.5
