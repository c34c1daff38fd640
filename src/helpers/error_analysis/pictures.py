"""Crops as a reader wants to see them: what the network saw, but in a bone window, whatever window it was given."""

import numpy as np

BONE_WINDOW = (300.0, 1500.0)  # centre and width in HU


def reading_crops(pixels: np.ndarray, *, size: int) -> np.ndarray:
    """Cut the centre and window it for reading.

    Parameters
    ----------
    pixels
        (N, H, W) cached images, int16 HU or uint8 grey; of three planes (N, 3, H, W) the middle one is shown.
    size
        Side of the crop in pixels, at most H and W.

    Returns
    -------
    (N, size, size) float32 in [0, 1]; 8-bit images keep the window that they came with.
    """
    shown = pixels if pixels.ndim == 3 else pixels[:, 1]
    crops = cut_centre(shown, size=size).astype(np.float32)
    if pixels.dtype == np.uint8:
        return crops / 255
    center, width = BONE_WINDOW
    return np.clip((crops - center) / width + 0.5, 0, 1)


def cut_centre(pixels: np.ndarray, *, size: int) -> np.ndarray:
    """The centre (..., size, size) of squares (..., H, H), where the network's input is cut."""
    offset = (pixels.shape[-1] - size) // 2
    cut = slice(offset, offset + size)
    return pixels[..., cut, cut]
