from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from helpers.phantom.canvas import ORIENTATIONS
from helpers.phantom.response import Response, frequency_axes, plane_transfer

SOFT = Response(apodisation_mm=0.5, aperture_mm=0.2, enhancement=0.0, slice_mm=1.5, increment_mm=1.0, reformat_mm=1.0)

responses = st.builds(
    Response,
    apodisation_mm=st.floats(0.18, 0.7),
    aperture_mm=st.floats(0.1, 0.2),
    enhancement=st.floats(0, 0.9),
    slice_mm=st.floats(0.75, 3),
    increment_mm=st.floats(0.4, 3),
    reformat_mm=st.floats(0.5, 3),
)


@given(responses)
def test_mean_values_pass_unchanged(response):
    zero = np.zeros(1, np.float32)
    assert response.transfer(zero) == pytest.approx(1)
    assert response.longitudinal_transfer(zero) == pytest.approx(1)


def test_a_plain_kernels_transfer_is_the_gaussian_of_its_total_width():
    frequency = np.array([0.1, 0.4, 0.9])
    total = 0.5**2 + 0.2**2
    assert SOFT.transfer(frequency) == pytest.approx(np.exp(-2 * np.pi**2 * total * frequency**2), rel=1e-5)


def test_enhancement_lifts_middle_frequencies_above_one():
    sharp = replace(SOFT, apodisation_mm=0.2, enhancement=0.8)
    assert sharp.transfer(np.linspace(0, 1, 50)).max() > 1.05


def test_noise_rises_as_the_ramp_and_peaks_where_calculus_says():
    low = SOFT.noise_power(np.array([0.01, 0.02]))
    assert low[1] / low[0] == pytest.approx(2, rel=0.01)
    frequency = np.linspace(0, 1, 2001)
    # d/df [f exp(-4 pi^2 s^2 f^2)] = 0
    assert frequency[SOFT.noise_power(frequency).argmax()] == pytest.approx(1 / (np.sqrt(8) * np.pi * 0.5), abs=1e-3)


@given(responses)
def test_each_noise_spectrum_integrates_to_one(response):
    frequency = 0.005 * (np.arange(800) + 0.5)
    assert (2 * np.pi * frequency * response.noise_power(frequency)).sum() * 0.005 == pytest.approx(1, abs=0.01)
    for spectrum in (response.reformat_noise_power, response.longitudinal_noise_power):
        assert (2 * spectrum(frequency)).sum() * 0.005 == pytest.approx(1, abs=0.01)


def test_the_reformats_spectrum_is_the_axial_one_projected():
    def projected(across):
        def integrand(through):
            at = np.array([np.hypot(across, through)])
            return float(SOFT.noise_power(at)[0]) * np.sinc(through * SOFT.reformat_mm) ** 2

        return quad(integrand, 0, 3, limit=200)[0]

    got = SOFT.reformat_noise_power(np.array([0.0, 0.1, 0.3, 0.6]))
    expected = np.array([projected(f) for f in (0.0, 0.1, 0.3, 0.6)])
    assert got / got[2] == pytest.approx(expected / expected[2], rel=0.02)
    assert got[0] > 0.3 * got.max()  # no ramp is left at low frequencies


def test_a_slice_blurs_lengthwise_by_its_thickness_over_root_twelve():
    unsampled = replace(SOFT, slice_mm=3.0, increment_mm=1e-6)
    frequency = 0.02
    curvature = (1 - unsampled.longitudinal_transfer(np.array([frequency]))[0]) / (2 * np.pi**2 * frequency**2)
    assert np.sqrt(curvature) == pytest.approx(3 / np.sqrt(12), rel=0.01)


def test_slices_act_on_the_rows_of_reformats_only():
    rows, columns = frequency_axes((40, 30), step_mm=0.5)
    thick = replace(SOFT, slice_mm=3.0)
    transfer = {o: plane_transfer((40, 30), step_mm=0.5, response=thick, orientation=o) for o in ORIENTATIONS}
    assert transfer["axial"] == pytest.approx(thick.transfer(np.hypot(rows, columns)))
    np.testing.assert_array_equal(transfer["sagittal"], transfer["coronal"])
    assert transfer["sagittal"][0] == pytest.approx(thick.transfer(columns[0]))
    assert transfer["sagittal"][:, 0] == pytest.approx(thick.longitudinal_transfer(rows[:, 0]))
    assert all(values.dtype == np.float32 and values.shape == (40, 16) for values in transfer.values())
