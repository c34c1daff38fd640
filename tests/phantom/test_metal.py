import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.phantom.metal import METAL_HU, Metal, Rod, Streak, sample_metal

UPPER, LOWER = (lambda points, down=down: points + [0, 0, down] for down in (0, 35))


def fixed(seed=0):
    return sample_metal(np.random.default_rng(seed), vertebrae=[UPPER, LOWER], rate=1.0)


def grid(half=60.0, step=1.0):
    return np.arange(-half, half + step, step, dtype=np.float32)


@given(st.floats(-0.5, 1.5), st.floats(0, 10), st.floats(0, 2 * np.pi))
def test_a_rods_depth_is_its_radius_less_the_distance_from_its_axis(along, away, turn):
    start, end = np.array([3.0, -2.0, 1.0]), np.array([3.0, 8.0, 1.0])
    point = start + along * (end - start) + away * np.array([np.cos(turn), 0, np.sin(turn)])
    past = 10 * max(0, -along, along - 1)
    got = Rod(tuple(start), tuple(end), radius_mm=2.5).depth(tuple(np.float32(value) for value in point))
    assert got == pytest.approx(2.5 - np.hypot(away, past), abs=1e-4)


def test_few_patients_have_metal():
    rng = np.random.default_rng(4)
    with_metal = sum(bool(sample_metal(rng, vertebrae=[UPPER, LOWER]).rods) for _ in range(3000))
    assert 30 <= with_metal <= 90  # 2 %


def test_without_metal_nothing_is_drawn():
    assert Metal().depth((np.float32(0), grid()[None], grid()[:, None])) is None
    assert Metal().streak_hu((np.float32(0), grid()[None], grid()[:, None])) == 0


def test_screws_enter_both_pedicles_and_rods_join_two_levels():
    metal = fixed()
    assert len(metal.rods) == 6
    for x in (10.0, -10.0):
        assert metal.depth((np.float32(x), np.float32(14), np.float32(-5))) > -4  # in the pedicle, above the middle
    assert metal.depth((np.float32(0), np.float32(20), np.float32(-5))) < 0  # not in the canal
    rods = metal.rods[-2:]
    assert all(abs(rod.end_mm[2] - rod.start_mm[2]) == pytest.approx(35, abs=8) for rod in rods)
    assert METAL_HU > 3071


def test_streaks_are_bands_at_the_metals_levels():
    metal = fixed()
    c = grid(100, 0.5)
    rows = np.abs(metal.streak_hu((np.float32(0), grid()[None], c[:, None]))).mean(axis=1)
    near = (np.abs(c + 5) < 2) | (np.abs(c - 30) < 2)
    assert rows[near].min() > 10
    assert rows[(c < -25) | (c > 50)].max() == 0


def test_the_darkest_streaks_run_between_and_along_the_screws():
    plane = (grid()[None], grid()[:, None], np.float32(-5.5))
    patients = [fixed(seed) for seed in range(6)]
    streaks = np.array([metal.streak_hu(plane) for metal in patients])
    outside = np.array([metal.depth(plane) for metal in patients]) < -2
    between = streaks[:, 60 + 16, 60]  # p = 16 mm, in the midline
    assert between.mean() < -100
    assert -1600 < streaks[outside].min() < -300
    assert 50 < streaks[outside].max() < 900


def test_planes_agree_where_they_meet():
    metal = fixed(3)
    sagittal = metal.streak_hu((np.float32(4), grid()[None], grid()[:, None]))
    axial = metal.streak_hu((grid()[None], grid()[:, None], np.float32(-5)))
    np.testing.assert_allclose(sagittal[60 - 5], axial[:, 60 + 4], atol=1e-3)


def test_a_streak_fades_with_distance_and_is_brightest_on_its_line():
    streak = Streak((0, 0, 0), (0, 0, 0), reach_mm=2, angle_rad=np.pi / 2, width_mm=1.0, strength_hu=200)
    on_line = streak.hu((np.float32(0), grid(), np.float32(0)))
    assert on_line[60] == pytest.approx(200)
    assert on_line[75] == pytest.approx(100, rel=0.01)
    beside = streak.hu((np.float32(1), np.float32(0), np.float32(0)))
    assert beside < 200 * np.exp(-0.5)
    assert streak.hu((np.float32(0), grid(), np.float32(5))) is None


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"rate": 1.5}, "rate"), ({"rate": -0.1}, "rate"), ({"vertebrae": [UPPER]}, "vertebrae")],
)
def test_bad_arguments_are_refused_by_name(arguments, name):
    with pytest.raises(ValueError, match=name):
        sample_metal(np.random.default_rng(0), **{"vertebrae": [UPPER, LOWER], **arguments})
