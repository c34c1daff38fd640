"""Quantum noise whose power spectrum is the reconstruction's, sampled at pixels."""

import itertools

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from helpers.phantom.canvas import Orientation
from helpers.phantom.response import Response, frequency_axes

#: Frequency (cycles/mm) beyond which the sharpest kernel here leaves next to no noise.
_HIGHEST_FREQUENCY = 2.5


def noise_power_spectrum(
    shape: tuple[int, int], *, pixel_mm: float, response: Response, orientation: Orientation
) -> np.ndarray:
    """Two-dimensional noise power spectrum of an image with a variance of 1 HU^2, aliases included.

    Pixels are samples, not areas: power beyond the Nyquist frequency folds back, and lifts the spectrum at
    frequency 0 (Kijewski and Judy 1987, doi 10.1088/0031-9155/32/5/003).

    Parameters
    ----------
    shape
        Rows and columns of the image.

    Returns
    -------
    Power in HU^2 mm^2 for the frequencies of `scipy.fft.rfft2`, float32 of shape (rows, columns // 2 + 1).
    """
    rows, columns = frequency_axes(shape, step_mm=pixel_mm)
    aliases = round(_HIGHEST_FREQUENCY * pixel_mm)
    shifts = np.arange(-aliases, aliases + 1, dtype=np.float32) / np.float32(pixel_mm)
    if orientation == "axial":
        folded = (response.noise_power(np.hypot(rows + i, columns + j)) for i, j in itertools.product(shifts, repeat=2))
        return sum(folded)
    along = sum(response.longitudinal_noise_power(rows + shift) for shift in shifts)
    across = sum(response.reformat_noise_power(columns + shift) for shift in shifts)
    return (along * across).astype(np.float32)


def correlated_noise(
    shape: tuple[int, int],
    *,
    pixel_mm: float,
    response: Response,
    orientation: Orientation,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw Gaussian noise of unit variance with the spectrum of `noise_power_spectrum`, float32 of ``shape``."""
    # A longer period is faster where a side is prime, and cutting it off makes opposite edges less alike.
    period = (next_fast_len(shape[0], real=True), next_fast_len(shape[1], real=True))
    power = noise_power_spectrum(period, pixel_mm=pixel_mm, response=response, orientation=orientation)
    white = rfft2(rng.standard_normal(period, dtype=np.float32))
    noise = irfft2(white * (np.sqrt(power) / np.float32(pixel_mm)), s=period)
    return noise[: shape[0], : shape[1]]
