from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from helpers.phantom.acquisition import AIR_HU, MAX_HU, SCANNERS, acquire, correlated_noise, sample_acquisition


@pytest.fixture
def settings():
    return replace(
        sample_acquisition(np.random.default_rng(0)),
        pixel_mm=0.5, slice_mm=1.0, psf_mm=0.4, enhancement=0.0, noise_hu=0.0, rows=120, columns=100,
    )  # fmt: skip


def test_settings_keep_to_their_familys_ranges():
    rng = np.random.default_rng(1)
    families = {family.model: family for family in SCANNERS}
    for _ in range(300):
        got = sample_acquisition(rng)
        family = families[got.model]
        kernel = {kernel.name: kernel for kernel in family.kernels}[got.kernel]
        assert got.manufacturer == family.manufacturer
        assert got.manufacturer.startswith("SIM ")
        assert family.pixel_mm[0] - 1e-3 <= got.pixel_mm <= family.pixel_mm[1] + 1e-3
        assert got.slice_mm in family.slice_mm
        assert kernel.psf_mm[0] <= got.psf_mm <= kernel.psf_mm[1]
        assert 2 <= got.noise_hu <= 40
        assert got.pixel_mm / got.oversampling <= 0.3
        assert got.rows * got.pixel_mm >= 149  # a 96 mm crop around the target fits
        assert got.columns * got.pixel_mm >= 129


def test_every_family_is_used_about_as_often_as_its_weight_says():
    rng = np.random.default_rng(2)
    models = [sample_acquisition(rng).model for _ in range(1000)]
    for family in SCANNERS:
        assert models.count(family.model) / 1000 == pytest.approx(family.weight, abs=0.05)


def test_a_noise_free_image_is_the_blurred_plane_averaged_to_pixels(settings):
    k = settings.oversampling
    fine = np.random.default_rng(3).normal(100, 50, size=(120 * k, 100 * k)).astype(np.float32)
    got = acquire(fine, settings=settings, rng=np.random.default_rng(0))
    sigma = np.array(settings.blur_mm) / (0.5 / k)
    blurred = gaussian_filter(fine, sigma, truncate=3.0)
    assert got.dtype == np.int16
    assert got.shape == (120, 100)
    assert got[5, 7] == pytest.approx(blurred[5 * k : 6 * k, 7 * k : 8 * k].mean(), abs=0.51)


def test_an_edges_width_is_the_point_spread(settings):
    k = settings.oversampling
    fine = np.zeros((120 * k, 100 * k), np.float32)
    fine[:, 50 * k :] = 1000
    row = acquire(fine, settings=settings, rng=np.random.default_rng(0))[60].astype(float)
    spread = np.diff(row) / 1000
    place = np.arange(len(spread)) * 0.5
    sigma = np.sqrt((spread * place**2).sum() - (spread * place).sum() ** 2)
    assert sigma == pytest.approx(np.hypot(0.4, 0.5 * np.sqrt(1 / 12 + 1 / 12)), rel=0.05)


def test_enhancement_overshoots_at_an_edge(settings):
    k = settings.oversampling
    fine = np.zeros((120 * k, 100 * k), np.float32)
    fine[:, 50 * k :] = 1000
    image = acquire(fine, settings=replace(settings, enhancement=0.8), rng=np.random.default_rng(0))
    assert image.max() > 1030
    assert image.min() < -30


def test_noise_has_the_asked_spread_and_is_correlated(settings):
    flat = np.zeros((120 * settings.oversampling, 100 * settings.oversampling), np.float32)
    image = acquire(flat, settings=replace(settings, noise_hu=25.0), rng=np.random.default_rng(5)).astype(float)
    assert image.std() == pytest.approx(25, rel=0.02)
    neighbours = np.corrcoef(image[1:].ravel(), image[:-1].ravel())[0, 1]
    assert neighbours > 0.1


def test_a_finer_grain_is_less_correlated(settings):
    def correlation(grain):
        noise = correlated_noise((120, 100), settings=replace(settings, grain_mm=grain), rng=np.random.default_rng(1))
        return np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]

    assert correlation(0.9) > correlation(0.3) + 0.2


def test_thick_slices_blur_lengthwise_only(settings):
    thick = replace(settings, slice_mm=3.0).blur_mm
    assert thick[0] > settings.blur_mm[0]
    assert thick[1] == settings.blur_mm[1]


def test_values_are_kept_within_twelve_bits(settings):
    fine = np.full((120 * settings.oversampling, 100 * settings.oversampling), 9000, np.float32)
    assert acquire(fine, settings=settings, rng=np.random.default_rng(0)).max() == MAX_HU
    assert acquire(-fine, settings=settings, rng=np.random.default_rng(0)).min() == AIR_HU
