from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.anatomy import BodyPlan, sample_body_plan
from helpers.phantom.body import Cut, Piece, SchmorlNode, Spur, region_depth
from helpers.phantom.fracture import intact_body

HALF_DEPTH, HALF_WIDTH, HALF_HEIGHT = 17.0, 23.0, 14.0
PLAIN = BodyPlan(
    level="L3",
    depth_mm=2 * HALF_DEPTH,
    posterior_mm=2 * HALF_HEIGHT,
    anterior_ratio=1.0,
    cavities_mm=(0.0, 0.0),
    cavity_centre=0.0,
    waists_mm=(0.0, 0.0),
    corner_mm=1.5,
    ripple=(),
    width_mm=2 * HALF_WIDTH,
    flatness=0.13,
)
SPLIT = Cut((0.2, 0.9, 0.3), 2.0, wave_mm=0.5, phase=1.0)


def at(*points):
    """Points given one by one as three float32 arrays (w, u, v)."""
    return tuple(np.array(points, dtype=np.float32).T)


def plain(**changes):
    return intact_body(replace(PLAIN, **changes))


def sampled(seed):
    return intact_body(
        sample_body_plan(np.random.default_rng(seed), level="L1", size_mm=(34, 27), cavity_mm=2.0),
        slants_mm=(1.0, -0.5),
    )


def scattered(seed, *, reach=(30, 24, 20), count=4000):
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(-r, r, size=count).astype(np.float32) for r in reach)


def test_depth_is_the_distance_to_the_nearest_surface_on_the_bodys_axes():
    # A rounded corner must not cap the depth inside: the deepest point is half the height away from a plate.
    points = at((0, 0, 0), (0, 0, -14), (0, 0, 14), (0, 17, 0), (0, -17, 0), (23, 0, 0), (0, 30, 0), (0, 0, 20))
    assert plain().depth(points) == pytest.approx([14, 0, 0, 0, 0, 0, -13, -6], abs=0.05)


@pytest.mark.parametrize("u", [0.0, 1e-4, 0.01, 0.05, 0.5])
def test_the_wall_is_far_from_the_bodys_own_axis(u):
    shape = plain(waists_mm=(2.0, 1.0))
    assert shape.wall_depth(at((0, u, 0), (0, -u, 3))).min() > HALF_DEPTH - 3


def test_an_axial_section_is_an_ellipse_with_a_flattened_back():
    round_, flat = plain(flatness=0.0), plain(flatness=0.13)
    rim = at((HALF_WIDTH * 0.6, HALF_DEPTH * 0.8, 0), (HALF_WIDTH * 0.6, -HALF_DEPTH * 0.8, 0))
    assert round_.depth(rim) == pytest.approx([0, 0], abs=0.05)
    behind, before = flat.depth(rim)
    assert behind > 1
    assert before == pytest.approx(0, abs=0.05)


def test_end_plates_are_hollow_in_the_middle_of_their_width_only():
    shape = plain(cavities_mm=(3.0, 0.0))
    under = [shape.endplate_depths(at((w, 0, -14)))[0].item() for w in (0.0, 22.9)]
    assert under[0] == pytest.approx(-3, abs=0.05)
    assert under[1] == pytest.approx(0, abs=0.05)


def test_a_slant_lowers_the_left_rim():
    shape = intact_body(PLAIN, slants_mm=(2.0, 0.0))
    top, bottom = shape.endplate_depths(at((HALF_WIDTH, 0, -12), (-HALF_WIDTH, 0, -16)))
    assert top == pytest.approx([0, 0], abs=0.05)
    assert bottom == pytest.approx([26, 30], abs=0.05)


def test_walls_are_waisted_between_the_plates():
    shape = plain(waists_mm=(2.0, 1.0))
    points = at((0, -15, 0), (0, 16, 0), (0, -17, 13.9), (0, 17, 13.9))
    assert shape.wall_depth(points) == pytest.approx([0, 0, 0, 0], abs=0.1)


def test_corners_are_rounded_off():
    sharp, blunt = plain(corner_mm=0.5), plain(corner_mm=3.0)
    corner = at((0, -16.7, -13.7))
    assert sharp.depth(corner) > 0 > blunt.depth(corner)


def test_the_body_has_the_volume_of_an_elliptic_cylinder():
    steps = [np.arange(0.25 - r, r, 0.5, dtype=np.float32) for r in (24, 18, 15)]
    grid = np.meshgrid(*steps, indexing="ij", sparse=True)
    volume = (plain(flatness=0.0).depth(tuple(grid)) > 0).sum() * 0.5**3
    assert volume == pytest.approx(np.pi * HALF_DEPTH * HALF_WIDTH * 2 * HALF_HEIGHT, rel=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_the_corners_hold_the_body_and_the_outline_its_midline(seed):
    shape = sampled(seed)
    points = scattered(seed)
    inside = np.stack(points)[:, shape.depth(points) > 1.1]  # slants reach out by up to 1 mm
    low, high = shape.corners().min(axis=0), shape.corners().max(axis=0)
    assert (inside.min(axis=1) > low).all()
    assert (inside.max(axis=1) < high).all()
    outline = shape.outline().astype(np.float32)
    # Rounded corners lie inside the outline, nothing else does.
    assert np.median(np.abs(shape.depth((np.zeros(len(outline), np.float32), *outline.T)))) < 0.1


def test_the_corners_of_a_plate_reach_from_its_rim_to_its_deepest_hollow():
    shape = plain(cavities_mm=(3.0, 1.0))
    for lower, expected in ((False, (-14, -11)), (True, (13, 14))):
        v = shape.plate_corners(lower=lower)[:, 2]
        assert (v.min(), v.max()) == pytest.approx(expected, abs=0.05)


def test_a_moved_piece_carries_its_material_along():
    piece = Piece((Cut((0.0, 1.0, 0.0), 0.0),), shift_mm=(2.0, 3.0, -1.0), turn_rad=0.4, pivot_mm=(5.0, 2.0))
    was = np.array([1.0, 6.0, 4.0])
    cos, sin = np.cos(0.4), np.sin(0.4)
    now = np.array([[cos, -sin], [sin, cos]]) @ (was[1:] - (5, 2)) + (5, 2) + (3, -1)
    assert np.allclose(np.ravel(piece.material(at((3.0, *now)))), was, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), wave=st.floats(0, 1), phase=st.floats(0, 6))
def test_a_cut_and_its_flip_part_space_without_overlap(seed, wave, phase):
    normal = np.random.default_rng(seed).normal(size=3)
    cut = Cut(tuple(normal / np.linalg.norm(normal)), 2.0, wave_mm=wave, phase=phase)
    points = scattered(seed, count=200)
    assert np.allclose(cut.depth(points), -cut.flipped().depth(points), atol=1e-4)


def test_pieces_that_have_not_moved_are_the_whole_body():
    shape, region = plain(), (SPLIT, Cut((1.0, 0.0, 0.0), -4.0))
    pieces = (
        Piece((SPLIT.flipped(),), without=region),
        Piece((SPLIT,), without=region),
        Piece(region),
    )
    points = scattered(0)
    whole, parts = shape.depth(points), replace(shape, pieces=pieces).broken_depth(points)
    assert ((whole > 0.01) == (parts > 0.01))[np.abs(parts) > 0.02].all()


def test_a_gap_is_as_wide_as_asked_along_the_cut():
    cut = Cut((0.0, 1.0, 0.0), 0.0)
    shape = replace(plain(), pieces=(Piece((cut.flipped(),), gap_mm=1.0), Piece((cut,), gap_mm=1.0)))
    u = np.arange(-5, 5, 0.01, dtype=np.float32)
    empty = u[shape.broken_depth((np.zeros_like(u), u, np.zeros_like(u))) <= 0]
    assert np.ptp(empty) == pytest.approx(1.0, abs=0.03)
    assert empty.mean() == pytest.approx(0.0, abs=0.02)


def test_a_region_lies_on_the_positive_side_of_all_its_cuts():
    region = (Cut((1.0, 0.0, 0.0), 2.0), Cut((0.0, 0.0, -1.0), -3.0))
    points = at((4, 9, 0), (1, 0, 0), (5, 0, 4))
    assert region_depth(region, points=points) == pytest.approx([2, -1, -1])


def test_a_spur_adds_bone_beside_the_rim_and_takes_none():
    shape = replace(plain(), spurs=(Spur(((0.0, -15.0, -12.0), (0.0, -21.0, -14.0)), (2.0, 0.6), (0.25, 1.0)),))
    points = scattered(1)
    bare = shape.depth(points)
    assert (shape.with_spurs(bare, points=points) >= bare).all()
    tip = at((0, -20.5, -14))
    assert shape.depth(tip) < 0 < shape.with_spurs(shape.depth(tip), points=tip)


@pytest.mark.parametrize("lower", [False, True])
def test_a_node_dents_its_own_plate_only(lower):
    shape = replace(plain(), nodes=(SchmorlNode(lower, (3.0, -2.0), 4.0, 3.0),))
    depths = shape.endplate_depths(at((3, -2, 0), (3, 10, 0)))
    assert depths[lower] == pytest.approx([11, 14], abs=0.1)
    assert depths[not lower] == pytest.approx([14, 14], abs=0.1)
    assert shape.heights == plain().heights


def test_the_smallest_ratio_decides():
    assert replace(plain().heights, ratios=(0.9, 0.7, 1.0)).ratio == 0.7
