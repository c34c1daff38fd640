import numpy as np
import pytest

from helpers.phantom.tissue import TISSUES, bone_texture, sample_tissue, stretch


@pytest.mark.parametrize("age", [25, 60, 90])
def test_palettes_keep_to_the_ranges(age):
    rng = np.random.default_rng(age)
    for _ in range(100):
        tissue = sample_tissue(rng, age=age, sex="F", fragile=True)
        for name in ("trabecular", "cortex", "posterior_cortex", "disc", "muscle", "fat", "sac"):
            low, high = getattr(TISSUES, name)
            assert low <= getattr(tissue, name) <= high, name
        low, high = TISSUES.vessel_enhanced if tissue.contrast else TISSUES.vessel
        assert low <= tissue.vessel <= high


def test_spongiosa_thins_out_with_age():
    def mean(age):
        rng = np.random.default_rng(0)
        return np.mean([sample_tissue(rng, age=age, sex="M", fragile=False).trabecular for _ in range(200)])

    assert mean(30) > mean(60) + 40 > mean(85) + 70


def test_texture_has_zero_mean_and_unit_spread():
    texture = bone_texture(seed=(1, 2), grain_mm=0.6, offset_mm=0.0)
    assert texture.fine.std() == pytest.approx(1, abs=0.01)
    assert abs(texture.fine.mean()) < 0.1


def test_planes_of_one_body_are_alike_and_less_so_farther_apart():
    middle, near, far = (bone_texture(seed=(1, 2), grain_mm=0.6, offset_mm=o).fine.ravel() for o in (0.0, 1.5, 5.0))
    other = bone_texture(seed=(1, 3), grain_mm=0.6, offset_mm=0.0).fine.ravel()
    near_r, far_r, other_r = (np.corrcoef(middle, field)[0, 1] for field in (near, far, other))
    assert near_r == pytest.approx(np.exp(-0.5), abs=0.1)
    assert far_r == pytest.approx(np.exp(-5 / 3), abs=0.1)
    assert abs(other_r) < 0.08


def test_texture_is_looked_up_in_local_millimetres():
    texture = bone_texture(seed=(4, 4), grain_mm=0.6, offset_mm=0.0)
    fine, patches = texture.at(np.array([[-32.0, 500.0]]), np.array([[-26.0, 500.0]]))
    assert fine.tolist() == [[texture.fine[0, 0], texture.fine[-1, -1]]]
    assert patches.tolist() == [[texture.patches[0, 0], texture.patches[-1, -1]]]


def test_stretch_interpolates_linearly_from_corner_to_corner():
    rows, columns = np.arange(4.0)[:, None], np.arange(3.0)[None, :]
    field = 2 * rows - columns
    got = stretch(field, shape=(7, 5))
    assert got == pytest.approx(2 * np.linspace(0, 3, 7)[:, None] - np.linspace(0, 2, 5)[None, :])
