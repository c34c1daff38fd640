from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.canvas import ORIENTATIONS
from helpers.phantom.noise import correlated_noise, noise_power_spectrum
from helpers.phantom.response import Response

SOFT = Response(apodisation_mm=0.5, aperture_mm=0.15, enhancement=0.1, slice_mm=1.5, increment_mm=1.0, reformat_mm=1.0)
SHARP = replace(SOFT, apodisation_mm=0.2, enhancement=0.8)


def measured_power(response, *, pixel_mm, orientation, side=128, images=30):
    """Periodograms averaged over images: the textbook estimate, full (side, side)."""
    rng = np.random.default_rng(3)
    draws = [
        correlated_noise((side, side), pixel_mm=pixel_mm, response=response, orientation=orientation, rng=rng)
        for _ in range(images)
    ]
    return np.mean([np.abs(np.fft.fft2(draw)) ** 2 for draw in draws], axis=0) * pixel_mm**2 / side**2


@pytest.mark.parametrize(("response", "pixel_mm"), [(SOFT, 0.4), (SHARP, 0.35)], ids=["soft", "sharp"])
def test_the_axial_radial_spectrum_is_the_ramp_times_the_squared_apodisation(response, pixel_mm):
    power = measured_power(response, pixel_mm=pixel_mm, orientation="axial")
    axis = np.fft.fftfreq(128, pixel_mm)
    radius = np.hypot(axis[:, None], axis)
    edges = np.linspace(0.05, 0.9, 18)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        ring = (radius >= low) & (radius < high)
        expected = response.noise_power(radius[ring])
        assert power[ring].mean() == pytest.approx(expected.mean(), rel=0.06, abs=0.01)


def test_a_reformats_spectrum_falls_along_the_patient_and_is_filled_at_low_frequencies():
    power = measured_power(SOFT, pixel_mm=0.4, orientation="sagittal")
    rows, columns = power[:, :65].mean(axis=1), power.mean(axis=0)
    assert rows[1:4].mean() > 5 * rows[40:60].mean()  # 1.5 mm slices leave little beyond 0.8 cycles/mm
    assert columns[1:4].mean() > 0.3 * columns.max()
    axial = measured_power(SOFT, pixel_mm=0.4, orientation="axial")
    assert axial[0, 1:4].mean() < 0.3 * axial[0].max()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("pixel_mm", [0.35, 0.85])
@pytest.mark.parametrize("response", [SOFT, SHARP], ids=["soft", "sharp"])
def test_noise_has_unit_variance_and_no_mean(response, pixel_mm, orientation):
    rng = np.random.default_rng(0)
    noise = correlated_noise((397, 311), pixel_mm=pixel_mm, response=response, orientation=orientation, rng=rng)
    assert noise.dtype == np.float32
    assert noise.shape == (397, 311)
    assert noise.std() == pytest.approx(1, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.02)


def test_power_beyond_the_nyquist_frequency_folds_back_to_frequency_zero():
    coarse = noise_power_spectrum((64, 64), pixel_mm=0.8, response=SHARP, orientation="axial")
    fine = noise_power_spectrum((64, 64), pixel_mm=0.2, response=SHARP, orientation="axial")
    assert coarse[0, 0] > 0.2 * coarse.max()
    assert fine[0, 0] < 0.01 * fine.max()


def test_the_same_seed_gives_the_same_noise():
    draws = [
        correlated_noise((40, 30), pixel_mm=0.5, response=SOFT, orientation="coronal", rng=np.random.default_rng(5))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*draws)
