import numpy as np
import pytest

from helpers.phantom.anatomy import (
    ANATOMY,
    HEIGHT_SITES,
    LEVEL_NORMS,
    LEVELS,
    TARGET_LEVELS,
    BodyPlan,
    Cut,
    Piece,
    bowl,
    endplates,
    sample_body_plan,
)
from helpers.phantom.fracture import intact_body


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
    }
    return BodyPlan(**(fields | changes))


def test_targets_are_the_thoracolumbar_levels_in_order():
    assert TARGET_LEVELS == ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
    assert sum(LEVEL_NORMS[level].weight for level in TARGET_LEVELS) == pytest.approx(1.0)


def test_a_plain_body_is_a_rectangle_with_its_planned_heights():
    top, bottom = endplates(plain_plan(), HEIGHT_SITES)
    assert bottom - top == pytest.approx([28, 28, 28])


def test_hollows_take_height_from_the_middle_only():
    top, bottom = endplates(plain_plan(cavities_mm=(2.0, 1.0)), np.array([-1.0, 0.0, 1.0]))
    assert bottom - top == pytest.approx([28, 25, 28], abs=0.1)


def test_a_wedged_body_is_lower_in_front_by_its_ratio():
    top, bottom = endplates(plain_plan(anterior_ratio=0.9), np.array([-1.0, 1.0]))
    assert (bottom - top)[0] / (bottom - top)[1] == pytest.approx(0.9)


def test_the_reference_follows_the_levels_norm_and_not_the_bodys_own_wedging():
    plan = plain_plan(level="L5", anterior_ratio=0.9)
    anterior, _, posterior = plan.reference_heights_mm
    assert anterior / posterior == pytest.approx((1 + 0.1 * 0.95) / (1 + 0.1 * 0.05))


def test_a_bowl_is_one_at_its_centre_and_flat_at_the_rims():
    assert bowl(np.array([-1.0, 0.1, 1.0]), centre=0.1) == pytest.approx([0, 1, 0])


def test_depth_reaches_the_middle_of_the_body():
    # A rounded corner must not cap the depth inside: the deepest point is half the height away from a plate.
    shape = intact_body(plain_plan())
    u, v = np.array([0.0, 0.0, 17.0, -17.0, 30.0]), np.array([0.0, -14.0, 0.0, 0.0, 0.0])
    assert shape.depth(u, v) == pytest.approx([14, 0, 0, 0, -13], abs=0.1)


def test_corners_are_rounded_off():
    sharp, blunt = (intact_body(plain_plan(corner_mm=r)) for r in (0.5, 3.0))
    corner = (np.array([-16.7]), np.array([-13.7]))
    assert sharp.depth(*corner) > 0 > blunt.depth(*corner)


def test_bone_points_fill_the_bodys_area():
    points = intact_body(plain_plan()).bone_points(step_mm=0.2)
    assert len(points) * 0.2**2 == pytest.approx(34 * 28, rel=0.01)
    assert np.abs(points).max(axis=0) == pytest.approx([17, 14], abs=0.25)


def test_a_moved_piece_carries_its_material_along():
    piece = Piece((Cut((1.0, 0.0), 0.0),), shift_mm=(3.0, -1.0), turn_rad=0.4, pivot_mm=(5.0, 2.0))
    was = np.array([6.0, 4.0])
    cos, sin = np.cos(0.4), np.sin(0.4)
    now = np.array([[cos, -sin], [sin, cos]]) @ (was - (5, 2)) + (5, 2) + (3, -1)
    assert np.allclose(piece.material(now[:1], now[1:]), was[:, None], atol=1e-5)


def test_a_cut_and_its_flip_part_the_plane_without_overlap():
    cut = Cut((0.6, 0.8), 2.0, wave_mm=0.5, phase=1.0)
    u, v = np.random.default_rng(0).uniform(-10, 10, size=(2, 200))
    assert np.allclose(cut.depth(u, v), -cut.flipped().depth(u, v), atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_sampled_bodies_keep_to_the_ranges(level):
    rng = np.random.default_rng(3)
    plans = [sample_body_plan(rng, level=level, size_mm=(34, 27), cavity_mm=2.0) for _ in range(50)]
    wedging = [plan.anterior_ratio / LEVEL_NORMS[level].anterior_ratio - 1 for plan in plans]
    assert min(wedging) >= ANATOMY.wedging[0] - 1e-9
    assert max(wedging) <= ANATOMY.wedging[1] + 1e-9
    assert all(ANATOMY.cavity_mm[0] <= hollow <= ANATOMY.cavity_mm[1] for plan in plans for hollow in plan.cavities_mm)


def test_bodies_grow_downwards_and_the_sacrum_shrinks():
    rng = np.random.default_rng(0)
    means = {}
    for level in ("T11", "L1", "L5", "S3"):
        plans = [sample_body_plan(rng, level=level, size_mm=(34, 27), cavity_mm=1) for _ in range(40)]
        means[level] = np.mean([plan.posterior_mm for plan in plans])
    assert means["T11"] < means["L1"] < means["L5"]
    assert means["S3"] < means["L5"]
