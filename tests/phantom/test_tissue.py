import numpy as np
import pytest

from helpers.phantom.tissue import TISSUES, sample_texture, sample_tissue


@pytest.mark.parametrize("age", [25, 60, 90])
def test_palettes_keep_to_the_ranges(age):
    rng = np.random.default_rng(age)
    for _ in range(100):
        tissue = sample_tissue(rng, age=age, sex="F", fragile=True)
        for name in ("trabecular", "texture", "cortex", "posterior_cortex", "disc", "muscle", "fat", "sac"):
            low, high = getattr(TISSUES, name)
            assert low <= getattr(tissue, name) <= high, name
        for name in ("plate_mm", "wall_mm"):
            assert TISSUES.cortex_mm[0] <= getattr(tissue, name) <= TISSUES.cortex_mm[1]
        low, high = TISSUES.vessel_enhanced if tissue.contrast else TISSUES.vessel
        assert low <= tissue.vessel <= high


def mean_trabecular(**patient):
    rng = np.random.default_rng(0)
    return np.mean([sample_tissue(rng, **patient).trabecular for _ in range(200)])


def test_spongiosa_thins_out_with_age():
    young, old, oldest = (mean_trabecular(age=age, sex="M", fragile=False) for age in (30, 60, 85))
    assert young > old + 40 > oldest + 70


def test_spongiosa_is_thinner_in_old_women_and_in_fragile_patients():
    men, women, fragile = (
        mean_trabecular(age=65, sex=sex, fragile=weak) for sex, weak in (("M", False), ("F", False), ("F", True))
    )
    assert men > women + 5 > fragile + 10


@pytest.fixture(scope="module")
def texture():
    return sample_texture(np.random.default_rng(4), grain_mm=0.7)


def test_texture_has_zero_mean_and_unit_spread(texture):
    for field in (texture.fine, texture.patches):
        assert field.values.std() == pytest.approx(1, abs=0.01)
        assert abs(field.values.mean()) < 0.1


def correlation(field, *, shift_mm, axis):
    steps = round(shift_mm / field.step_mm[axis])
    return float((field.values * np.roll(field.values, steps, axis=axis)).mean() - field.values.mean() ** 2)


def test_trabeculae_run_along_the_body(texture):
    x, p, c = (correlation(texture.fine, shift_mm=1.0, axis=axis) for axis in range(3))
    assert c > x + 0.1
    assert c > p + 0.1


def test_neighbouring_places_are_alike_and_distant_ones_are_not(texture):
    near, far = (correlation(texture.patches, shift_mm=d, axis=0) for d in (2.0, 16.0))
    assert near > 0.7
    assert abs(far) < 0.25
