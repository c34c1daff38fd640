from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from helpers.phantom.acquisition import (
    AIR_HU,
    CORRELATION,
    MAX_HU,
    NOISE_HU,
    Correlation,
    acquire,
    mineral_contrast,
    sample_acquisition,
)
from helpers.phantom.canvas import ORIENTATIONS
from helpers.phantom.scanners import FAMILIES, FLEET


@pytest.fixture
def settings():
    """A quiet series at 120 kV with a plain kernel and thin slices."""
    return replace(
        sample_acquisition(np.random.default_rng(0)),
        pixel_mm=0.4, slice_mm=0.1, increment_mm=0.1, psf_mm=0.5, aperture_mm=0.15, enhancement=0.0, noise_hu=0.0,
        offset_hu=0.0, kvp=120, rows=120, columns=100,
    )  # fmt: skip


def acquired(fine, *, settings, orientation="sagittal", seed=0):
    return acquire(fine, settings=settings, orientation=orientation, rng=np.random.default_rng(seed)).astype(float)


def settings_of(count, *, seed=1, **arguments):
    rng = np.random.default_rng(seed)
    return [sample_acquisition(rng, **arguments) for _ in range(count)]


def edge(shape, *, axis):
    """A step of 1000 HU half-way along an axis."""
    fine = np.zeros(shape, np.float32)
    fine.swapaxes(0, axis)[shape[axis] // 2 :] = 1000
    return fine


def edge_sigma(line, *, pixel_mm):
    spread, place = np.diff(line) / 1000, pixel_mm * np.arange(line.size - 1)
    return np.sqrt((spread * place**2).sum() - (spread * place).sum() ** 2)


def test_settings_keep_to_their_familys_ranges():
    families = {family.model: family for family in FAMILIES}
    for got in settings_of(300):
        family = families[got.model]
        kernel = {kernel.name: kernel for kernel in family.kernels}[got.kernel]
        assert got.manufacturer == family.manufacturer
        assert family.pixel_mm[0] - 1e-3 <= got.pixel_mm <= family.pixel_mm[1] + 1e-3
        assert got.slice_mm in family.slice_mm
        assert got.increment_mm <= got.slice_mm
        assert got.kvp in family.kvp
        assert kernel.psf_mm[0] <= got.psf_mm <= kernel.psf_mm[1]
        assert kernel.enhancement[0] <= got.enhancement <= kernel.enhancement[1]
        assert NOISE_HU[0] <= got.noise_hu <= NOISE_HU[1]
        assert got.pixel_mm / got.oversampling <= 0.45
        assert 117.5 <= got.rows * got.pixel_mm <= 134.5
        assert 113.5 <= got.columns * got.pixel_mm <= 130.5


def test_every_family_is_used_about_as_often_as_its_weight_says():
    models = Counter(got.model for got in settings_of(1000, seed=2))
    for family in FAMILIES:
        assert models[family.model] / 1000 == pytest.approx(family.weight, abs=0.05)


def test_images_of_a_scanner_share_its_offset_and_habits():
    faithful = Correlation(scanner_share=1.0, scanner_offset_hu=4.0, patient_offset_hu=0.0, patient_noise=0.0)
    for station, group in grouped(settings_of(200, correlation=faithful)).items():
        scanner = next(scanner for scanner in FLEET if scanner.station == station)
        assert len(set(group)) == 1
        assert group[0].offset_hu == pytest.approx(4 * scanner.calibration)
        assert group[0].kernel == scanner.kernel.name


def grouped(sample):
    groups = {}
    for got in sample:
        groups.setdefault(got.station, []).append(got)
    return groups


def test_scanners_without_habits_differ_by_family_only():
    free = Correlation(scanner_share=0.0, scanner_offset_hu=0.0)
    groups = grouped(settings_of(2000, correlation=free))
    first, second = groups["SIMCT04"], groups["SIMCT08"]
    assert first[0].model == second[0].model
    means = [np.mean([(got.psf_mm, got.pixel_mm, got.offset_hu) for got in group], axis=0) for group in (first, second)]
    assert means[0] == pytest.approx(means[1], abs=0.6)
    assert Counter(got.kernel for got in first)["D"] / len(first) == pytest.approx(1 / 3, abs=0.1)


def test_the_default_scanner_explains_part_of_the_noise_and_of_the_offset():
    sample = settings_of(2000)
    for name in ("noise_hu", "offset_hu", "pixel_mm"):
        total = np.var([getattr(got, name) for got in sample])
        within = np.mean([np.var([getattr(got, name) for got in group]) for group in grouped(sample).values()])
        assert 0.2 < 1 - within / total < 0.9


def test_the_class_chooses_the_scanner_as_often_as_asked():
    for share in (0.0, 0.5, 1.0):
        correlation = replace(CORRELATION, scanner_by_class=share)
        stations = [got.station for got in settings_of(600, class_index=2, correlation=correlation)]
        chance = FLEET[2].family.weight / 2
        assert stations.count("SIMCT03") / 600 == pytest.approx(share + (1 - share) * chance, abs=0.06)


def test_the_association_moves_patients_to_other_scanners_and_changes_nothing_else():
    following = []
    for share in (0.0, 1.0):
        rng = np.random.default_rng(8)
        for _ in range(30):
            sample_acquisition(rng, class_index=3, correlation=Correlation(scanner_by_class=share))
        following.append(rng.random())
    assert following[0] == following[1]


def test_without_association_the_class_changes_nothing():
    assert settings_of(20, class_index=0) == settings_of(20, class_index=2) == settings_of(20)


@given(st.sampled_from(["scanner_share", "scanner_by_class"]), st.one_of(st.floats(1.001, 9), st.floats(-9, -0.001)))
def test_shares_outside_zero_to_one_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Correlation(**{name: value})


@pytest.mark.parametrize("name", ["scanner_offset_hu", "patient_offset_hu", "patient_noise"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_bad_spreads_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Correlation(**{name: value})


def test_a_class_without_a_scanner_is_refused():
    with pytest.raises(ValueError, match="class_index"):
        settings_of(1, class_index=8, correlation=Correlation(scanner_by_class=1.0))


def test_thicker_slices_and_more_dose_are_less_noisy():
    sample = [got for got in settings_of(3000) if got.kernel == "B31" and NOISE_HU[0] < got.noise_hu < NOISE_HU[1]]
    photons = [got.slice_mm * got.exposure_mas for got in sample]
    slope = np.polyfit(np.log(photons), np.log([got.noise_hu for got in sample]), 1)[0]
    assert slope < -0.2


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_noise_free_image_is_the_blurred_plane(settings, orientation):
    fine = 100 + 50 * gaussian_filter(np.random.default_rng(3).normal(size=(120, 100)), 1.0)
    got = acquired(fine, settings=settings, orientation=orientation)
    across = 0.5 / 0.4
    along = across if orientation == "axial" else np.sqrt(0.1**2 / 12 + 0.1**2 / 6) / 0.4
    expected = gaussian_filter(fine, [along, across], mode="nearest", truncate=8)
    assert np.abs(got - expected).max() < 0.6 + 0.5 * (orientation != "axial")


def test_pixels_are_means_of_the_fine_grid(settings):
    coarse = replace(settings, pixel_mm=0.8)
    fine = np.random.default_rng(3).normal(100, 50, size=(60, 40))
    blurred = acquired(fine, settings=settings)
    got = acquired(fine, settings=coarse)
    assert got.shape == (30, 20)
    assert got == pytest.approx(blurred.reshape(30, 2, 20, 2).mean(axis=(1, 3)), abs=1.01)


def test_an_edges_width_is_the_point_spread(settings):
    row = acquired(edge((120, 100), axis=1), settings=settings)[60]
    assert edge_sigma(row, pixel_mm=0.4) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(("orientation", "blurred"), [("sagittal", True), ("coronal", True), ("axial", False)])
def test_slices_blur_reformats_lengthwise(settings, orientation, blurred):
    thick = replace(settings, slice_mm=3.0, increment_mm=1.5)
    column = acquired(edge((120, 100), axis=0), settings=thick, orientation=orientation)[:, 50]
    expected = np.sqrt(3**2 / 12 + 1.5**2 / 6) if blurred else 0.5
    assert edge_sigma(column, pixel_mm=0.4) == pytest.approx(expected, rel=0.05)


def test_opposite_edges_do_not_meet(settings):
    image = acquired(edge((120, 100), axis=1), settings=replace(settings, psf_mm=0.7))
    assert image[:, 0] == pytest.approx(0, abs=1)
    assert image[:, -1] == pytest.approx(1000, abs=1)


def test_enhancement_overshoots_at_an_edge(settings):
    image = acquired(edge((120, 100), axis=1), settings=replace(settings, enhancement=0.8, psf_mm=0.3))
    assert image.max() > 1030
    assert image.min() < -30


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_noise_and_offset_are_as_asked(settings, orientation):
    flat = np.zeros((300, 280), np.float32)
    noisy = replace(settings, noise_hu=25.0, offset_hu=7.0, slice_mm=1.0, increment_mm=0.7)
    image = acquired(flat, settings=noisy, orientation=orientation, seed=5)
    assert image.std() == pytest.approx(25, rel=0.03)
    assert image.mean() == pytest.approx(7, abs=1)


def test_bone_has_more_contrast_at_lower_voltage(settings):
    assert 670 * mineral_contrast(80) == pytest.approx(872, rel=0.01)
    bone, muscle = np.full((8, 8), 460.0), np.full((8, 8), 55.0)
    assert acquired(bone, settings=replace(settings, kvp=100)) == pytest.approx(60 + 400 * 1.1258, abs=1)
    assert acquired(muscle, settings=replace(settings, kvp=100)) == pytest.approx(55, abs=1)


def test_the_same_seed_gives_the_same_bytes(settings):
    fine = np.random.default_rng(3).normal(100, 50, size=(120, 100))
    first, second = (acquire(fine, settings=settings, rng=np.random.default_rng(2)) for _ in range(2))
    assert first.dtype == np.int16
    np.testing.assert_array_equal(first, second)


def test_thickness_is_the_slices_in_axial_and_the_reformats_elsewhere(settings):
    assert settings.thickness_mm("axial") == settings.slice_mm
    assert settings.thickness_mm("sagittal") == settings.thickness_mm("coronal") == settings.reformat_mm


def test_values_are_kept_within_twelve_bits(settings):
    fine = np.full((20, 20), 9000, np.float32)
    assert acquired(fine, settings=settings).max() == MAX_HU
    assert acquired(-fine, settings=settings).min() == AIR_HU


def test_unknown_planes_and_odd_grids_are_refused_by_name(settings):
    fine = np.zeros((21, 20), np.float32)
    with pytest.raises(ValueError, match="orientation"):
        acquire(fine, settings=settings, orientation="oblique", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="fine_hu"):
        acquire(fine, settings=replace(settings, pixel_mm=0.8), rng=np.random.default_rng(0))
