import numpy as np
import pytest

from helpers.phantom.scanners import FAMILIES, FLEET, sample_fleet


def test_families_offer_no_more_than_the_modelled_ranges():
    assert sum(family.weight for family in FAMILIES) == pytest.approx(1)
    for family in FAMILIES:
        assert family.manufacturer.startswith("SIM ")
        assert 0.35 <= family.pixel_mm[0] < family.pixel_mm[1] <= 0.85
        assert min(family.slice_mm) >= 0.75
        assert max(family.slice_mm) <= 3
        assert 0 <= family.overlap < 1
        for kernel in family.kernels:
            assert 0.25 <= kernel.psf_mm[0] < kernel.psf_mm[1] <= 0.7
            assert family.aperture_mm < kernel.psf_mm[0]


def test_a_fleet_takes_its_settings_from_its_families():
    fleet = sample_fleet(np.random.default_rng(0), per_family=3)
    assert len({scanner.station for scanner in fleet}) == len(fleet) == 3 * len(FAMILIES)
    assert [scanner.family for scanner in fleet[: len(FAMILIES)]] == list(FAMILIES)
    for scanner in fleet:
        assert scanner.kernel in scanner.family.kernels
        assert scanner.kvp in scanner.family.kvp
        assert scanner.slice_mm in scanner.family.slice_mm
        assert scanner.reformat_mm in scanner.family.reformat_mm


def test_habits_are_spread_evenly_and_calibrations_have_no_lean():
    for fleet in (FLEET, sample_fleet(np.random.default_rng(9))):
        levels = sorted(scanner.pixel_level for scanner in fleet)
        assert levels == pytest.approx((np.arange(8) + 0.5) / 8)
        assert np.mean([scanner.calibration for scanner in fleet]) == pytest.approx(0, abs=1e-9)
        assert np.std([scanner.calibration for scanner in fleet]) == pytest.approx(0.95, abs=0.1)


def test_another_seed_makes_another_fleet():
    first, second = (sample_fleet(np.random.default_rng(seed)) for seed in (0, 1))
    assert first != second
    assert first == sample_fleet(np.random.default_rng(0))


def test_an_empty_fleet_is_refused():
    with pytest.raises(ValueError, match="per_family"):
        sample_fleet(np.random.default_rng(0), per_family=0)
