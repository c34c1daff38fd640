import numpy as np
import pytest

from helpers.phantom.anatomy import (
    ANATOMY,
    HEIGHT_SITES,
    LEVEL_NORMS,
    LEVELS,
    TARGET_LEVELS,
    BodyPlan,
    bowl,
    endplates,
    sample_body_plan,
)


def plain_plan(**changes):
    """A body without unevenness: 34 mm deep, 28 mm high behind, no hollows or waists."""
    fields = {
        "level": "L3",
        "depth_mm": 34.0,
        "posterior_mm": 28.0,
        "anterior_ratio": 1.0,
        "cavities_mm": (0.0, 0.0),
        "cavity_centre": 0.0,
        "waists_mm": (0.0, 0.0),
        "corner_mm": 1.5,
        "ripple": (),
        "width_mm": 46.0,
        "flatness": 0.13,
    }
    return BodyPlan(**(fields | changes))


def heights(plan, *, at):
    top, bottom = endplates(plan, np.array(at))
    return bottom.midline - top.midline


def test_targets_are_the_thoracolumbar_levels_in_order():
    assert TARGET_LEVELS == ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
    assert sum(LEVEL_NORMS[level].weight for level in TARGET_LEVELS) == pytest.approx(1.0)


def test_a_plain_body_has_its_planned_height_everywhere():
    assert heights(plain_plan(), at=HEIGHT_SITES) == pytest.approx([28, 28, 28])


def test_hollows_take_height_from_the_middle_only_and_leave_the_rim_line():
    plan = plain_plan(cavities_mm=(2.0, 1.0))
    assert heights(plan, at=[-1.0, 0.0, 1.0]) == pytest.approx([28, 25, 28], abs=0.1)
    top, bottom = endplates(plan, np.array([0.0]))
    assert (top.rim, bottom.rim) == (pytest.approx(-14), pytest.approx(14))
    assert top.hollow[0] > 0 > bottom.hollow[0]


def test_a_wedged_body_is_lower_in_front_by_its_ratio():
    anterior, posterior = heights(plain_plan(anterior_ratio=0.9), at=[-1.0, 1.0])
    assert anterior / posterior == pytest.approx(0.9)


def test_ripples_make_both_plates_uneven():
    top, bottom = endplates(plain_plan(ripple=((0.1, 5.0, 0.0),)), np.linspace(-1, 1, 101))
    for plate in (top, bottom):
        assert np.ptp(plate.rim) == pytest.approx(0.2, abs=0.01)


def test_the_reference_follows_the_levels_norm_and_not_the_bodys_own_wedging():
    anterior, _, posterior = plain_plan(level="L5", anterior_ratio=0.9).reference_heights_mm
    norm = LEVEL_NORMS["L5"].anterior_ratio - 1
    assert anterior / posterior == pytest.approx((1 + norm * 0.95) / (1 + norm * 0.05))


def test_a_bowl_is_one_at_its_centre_and_flat_at_the_rims():
    assert bowl(np.array([-1.0, 0.1, 1.0]), centre=0.1) == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("level", LEVELS)
def test_sampled_bodies_keep_to_the_ranges(level):
    rng = np.random.default_rng(3)
    plans = [sample_body_plan(rng, level=level, size_mm=(34, 27), cavity_mm=2.0) for _ in range(50)]
    values = {
        "wedging": [plan.anterior_ratio / LEVEL_NORMS[level].anterior_ratio - 1 for plan in plans],
        "cavity_mm": [hollow for plan in plans for hollow in plan.cavities_mm],
        "corner_mm": [plan.corner_mm for plan in plans],
        "width_ratio": [plan.width_mm / plan.depth_mm for plan in plans],
        "flatness": [plan.flatness for plan in plans],
    }
    for name, drawn in values.items():
        low, high = getattr(ANATOMY, name)
        assert low - 1e-9 <= min(drawn), name
        assert max(drawn) <= high + 1e-9, name


def test_bodies_have_the_proportions_of_their_level():
    """Published means: depth grows to L4, posterior height to L2, and L5 is lower behind than L4 (Panjabi)."""
    rng = np.random.default_rng(0)
    means = {}
    for level in ("T11", "L1", "L4", "L5", "S3"):
        plans = [sample_body_plan(rng, level=level, size_mm=(34, 27), cavity_mm=1) for _ in range(40)]
        means[level] = np.mean([(plan.posterior_mm, plan.depth_mm, plan.width_mm) for plan in plans], axis=0)
    assert (means["T11"] < means["L1"]).all()
    assert (means["S3"] < means["L5"]).all()
    assert means["L1"][1] < means["L4"][1]
    assert means["L5"][0] / means["L4"][0] == pytest.approx(22.9 / 24.1, abs=0.02)
    assert means["T11"][0] / means["L1"][0] == pytest.approx(21.3 / 23.8, abs=0.02)
