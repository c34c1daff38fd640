"""What one histogram tells of an image: its range, what fills its border, whether its ends are cut, where tissue lies.

The facts go into the cohort table; the audit judges them. An image is counted once, in whole steps of its unit; of a
large one every second (third, ...) pixel of every second row is enough for shares and peaks.
"""

from math import isqrt

import numpy as np
from scipy.ndimage import gaussian_filter1d

LOWEST, HIGHEST = -4096, 8191  # bins of 1 HU; CT rarely goes beyond 12 bits, extended scales reach about 31 000
SMOOTHING_HU = 8.0  # about the noise of a diagnostic CT: peaks of tissue survive, single values do not
MIN_PEAK_SHARE = 0.002
# Where air, fat and soft tissue are looked for: their usual values (-1000, -100 and about 50 HU) with room around.
PEAK_RANGES_HU = {"air": (-1150, -850), "fat": (-180, -40), "soft": (-30, 140)}
# All of them, and what the smoothing draws on beyond.
SMOOTHED_HU = (-1150 - 24, 140 + 24)
# Trabecular and cortical bone, and enhanced vessels; from the first value on that unenhanced soft tissue rarely has.
BONE_FROM_HU = 150
TISSUE_RANGE_HU = (-200, 300)
# Soft tissue and bone whose intercept of -1024 (or -1000) was never applied.
SHIFTED_TISSUE_RANGE = (820, 1330)
SHARES_HU = {
    "tissue": TISSUE_RANGE_HU,
    "bone": (BONE_FROM_HU, HIGHEST),
    "shifted_tissue": SHIFTED_TISSUE_RANGE,
}
WHOLE = 1e-3
# Pixels that are counted at least, if the image has them: a share is then known to 0.002 (one standard error).
COUNTED_PIXELS = 2**16


def pixel_facts(pixels: np.ndarray, *, is_hu: bool) -> dict[str, float]:
    """Describe the values of one image.

    Parameters
    ----------
    pixels
        (Rows, Columns) or (3, Rows, Columns), finite; HU or grey values, fastest as whole numbers.
    is_hu
        Whether the values are HU; tissue is looked for only then.

    Returns
    -------
    Plain numbers, NaN where not known:

    ``pixel_min``, ``pixel_max``, ``pixel_levels`` (number of different whole values that were counted);
    ``most_common_share``, ``lowest_share``, ``highest_share`` (share of pixels with the most frequent, least and
    greatest value); ``fractional_share`` (share of pixels that hold no whole number);
    ``padding_value`` and ``padding_share`` (the value that fills more than half of the border, and its share of the
    image); ``air_peak_hu``, ``fat_peak_hu``, ``soft_peak_hu`` (where the histogram has its peaks);
    ``tissue_share``, ``bone_share``, ``shifted_tissue_share`` (share of the pixels, without padding, in the ranges of
    `SHARES_HU`).
    """
    low, high = pixels.min(), pixels.max()
    rounded = np.rint(pixels) if pixels.dtype.kind == "f" else pixels.astype(np.int16, copy=False)
    whole = rounded.clip(LOWEST, HIGHEST).astype(np.int16, copy=False)
    step = max(1, isqrt(pixels.size // COUNTED_PIXELS))
    counts = _counts(whole[..., ::step, ::step])
    padding = _padding(whole)
    facts = {
        "pixel_min": float(low),
        "pixel_max": float(high),
        "pixel_levels": int(np.count_nonzero(counts)),
        "most_common_share": float(counts.max() / counts.sum()),
        "lowest_share": float(np.count_nonzero(pixels == low) / pixels.size),
        "highest_share": float(np.count_nonzero(pixels == high) / pixels.size),
        "fractional_share": _fractional_share(pixels, rounded),
        "padding_value": np.nan if padding is None else float(padding),
        "padding_share": 0.0 if padding is None else float(np.count_nonzero(whole == padding) / pixels.size),
    }
    if padding is not None:
        counts[padding - LOWEST] = 0
    return facts | _tissue(counts, is_hu=is_hu)


def _counts(whole: np.ndarray) -> np.ndarray:
    """How often each value from `LOWEST` to `HIGHEST` occurs."""
    return np.bincount((whole - np.int16(LOWEST)).ravel(), minlength=HIGHEST - LOWEST + 1)


def _fractional_share(pixels: np.ndarray, rounded: np.ndarray) -> float:
    if pixels.dtype.kind != "f":
        return 0.0
    return float(np.count_nonzero(np.abs(pixels - rounded) > WHOLE) / pixels.size)


def _padding(whole: np.ndarray) -> int | None:
    """The value of more than half of the border, as outside a round field of view or around a pasted image."""
    plane = whole.reshape(-1, *whole.shape[-2:])[0]
    border = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
    counts = _counts(border)
    most = int(counts.argmax())
    return most + LOWEST if counts[most] > len(border) / 2 else None


def _tissue(counts: np.ndarray, *, is_hu: bool) -> dict[str, float]:
    """Peaks and shares of tissue among the pixels that are no padding."""
    total = counts.sum()
    if not is_hu or not total:
        return {f"{name}_peak_hu": np.nan for name in PEAK_RANGES_HU} | {f"{name}_share": np.nan for name in SHARES_HU}
    smooth = gaussian_filter1d(_part(counts, SMOOTHED_HU) / total, SMOOTHING_HU, mode="constant", truncate=3)
    shares = {f"{name}_share": float(_part(counts, limits).sum() / total) for name, limits in SHARES_HU.items()}
    return {f"{name}_peak_hu": _peak(smooth, limits) for name, limits in PEAK_RANGES_HU.items()} | shares


def _peak(smooth: np.ndarray, limits: tuple[int, int]) -> float:
    """Highest place of the histogram within the limits, NaN if it only rises towards a limit or hardly holds pixels."""
    part = _part(smooth, limits, first=SMOOTHED_HU[0])
    top = int(part.argmax())
    # A Gaussian peak of the smoothing width holds about 2.5 times its height and width.
    if top in (0, len(part) - 1) or part[top] * SMOOTHING_HU * 2.5 < MIN_PEAK_SHARE:
        return np.nan
    return float(limits[0] + top)


def _part(counts: np.ndarray, limits: tuple[int, int], *, first: int = LOWEST) -> np.ndarray:
    """The bins of these values, where the first bin is that of `first`."""
    return counts[limits[0] - first : limits[1] - first + 1]
