import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.geometry import (
    Frame,
    box_corners,
    capsule_depth,
    coverage,
    draw,
    draw_phase,
    ellipsoid_depth,
    intersect_depths,
    polygon_depth,
    triple,
    unite_depths,
)

SQUARE = np.array([(-2.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-2.0, 1.0)])
coordinate = st.floats(-5, 5, width=32)
angle = st.floats(-1.5, 1.5)
place = st.tuples(coordinate, coordinate, coordinate)
frames = st.builds(Frame, place, angle, angle, angle)


def box_depth(u, v):
    """Signed depth in the rectangle SQUARE, worked out by hand for comparison."""
    outside_u, outside_v = abs(u) - 2, abs(v) - 1
    if max(outside_u, outside_v) <= 0:
        return -max(outside_u, outside_v)
    return -float(np.hypot(max(outside_u, 0), max(outside_v, 0)))


def along(*points):
    """Points given one by one as three coordinate arrays."""
    return tuple(np.array(points, dtype=float).T)


@settings(deadline=None)
@given(u=coordinate, v=coordinate)
@pytest.mark.parametrize("vertices", [SQUARE, SQUARE[::-1]], ids=["clockwise", "counterclockwise"])
def test_polygon_depth_is_the_signed_distance_of_a_rectangle(u, v, vertices):
    expected = box_depth(u, v)
    got = float(polygon_depth(np.array([u]), np.array([v]), vertices=vertices)[0])
    assert abs(got) == pytest.approx(abs(expected), abs=1e-4)
    if abs(expected) > 1e-3:
        assert np.sign(got) == np.sign(expected)


def test_polygon_depth_of_a_notched_shape_is_negative_in_the_notch():
    arrow = np.array([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)])
    depth = polygon_depth(np.array([2.0, 0.5, 3.5]), np.array([3.0, 1.0, 1.0]), vertices=arrow)
    assert depth[0] < 0
    assert (depth[1:] > 0).all()


def test_polygon_depth_broadcasts_to_a_grid_whose_inside_has_the_polygons_area():
    u, v = np.arange(-3, 3, 0.02), np.arange(-2, 2, 0.02)
    inside = polygon_depth(u[None, :], v[:, None], vertices=SQUARE) > 0
    assert inside.shape == (len(v), len(u))
    assert inside.sum() * 0.02**2 == pytest.approx(8.0, rel=0.01)


@settings(deadline=None)
@given(frame=frames)
def test_the_axes_of_a_frame_are_a_rotation(frame):
    assert np.allclose(frame.axes.T @ frame.axes, np.eye(3), atol=1e-9)
    assert np.linalg.det(frame.axes) == pytest.approx(1)


@settings(deadline=None)
@given(frame=frames, point=place)
def test_a_frame_maps_there_and_back(frame, point):
    x, p, c = (np.float32([value]) for value in frame.to_patient(np.array(point)))
    assert np.allclose(np.concatenate(frame.to_local((x, p, c))), point, atol=1e-4)


def test_local_coordinates_of_a_grid_have_its_broadcast_shape():
    grid = np.zeros((4, 1, 1), np.float32), np.zeros((1, 3, 1), np.float32), np.zeros((1, 1, 2), np.float32)
    local = Frame((1.0, 2.0, 3.0), 0.1, 0.2, 0.3).to_local(grid)
    assert {(x.shape, x.dtype) for x in local} == {((4, 3, 2), np.dtype(np.float32))}


@pytest.mark.parametrize(
    ("turn", "local", "axis"),
    [("sagittal_rad", (0.0, 10.0, 0.0), 2), ("coronal_rad", (10.0, 0.0, 0.0), 2), ("axial_rad", (10.0, 0.0, 0.0), 1)],
    ids=["posterior end lower", "left end lower", "left end posterior"],
)
def test_positive_turns_go_the_documented_way(turn, local, axis):
    moved = Frame((5.0, 6.0, 7.0), **{turn: 0.3}).to_patient(np.array(local)) - (5, 6, 7)
    assert moved[axis] == pytest.approx(10 * np.sin(0.3))
    assert moved[np.flatnonzero(local)[0]] == pytest.approx(10 * np.cos(0.3))


def test_coverage_is_half_at_the_edge_and_ramps_over_its_width():
    assert coverage(np.array([-1.0, -0.1, 0.0, 0.1, 1.0]), edge_mm=0.4) == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_capsule_tapers_from_one_end_to_the_other_in_space():
    points = along((0, 0, 0), (0, 0, 10), (0, 2, 5), (1.2, 1.6, 5), (0, 0, -3))
    depth = capsule_depth(points, ends=((0, 0, 0), (0, 0, 10)), radii=(2, 1))
    assert depth == pytest.approx([2.0, 1.0, -0.5, -0.5, -1.0], abs=1e-5)


def test_a_capsule_of_no_length_is_a_ball():
    depth = capsule_depth(along((1, 2, 3), (1, 2, 6)), ends=((1, 2, 3), (1, 2, 3)), radii=(2, 2))
    assert depth == pytest.approx([2, -1], abs=1e-5)


def test_an_ellipsoid_is_deepest_at_its_centre_and_zero_on_its_axes():
    points = along((1, 0, 2), (4, 0, 2), (1, 2, 2), (1, 0, 7), (1, 0, 12))
    depth = ellipsoid_depth(points, centre=(1, 0, 2), radii=(3, 2, 5))
    assert depth == pytest.approx([2, 0, 0, 0, -2], abs=1e-5)


@settings(deadline=None)
@given(low=st.floats(-10, 10), width=st.floats(0, 5), seed=st.integers(0, 1000))
def test_draws_stay_within_bounds(low, width, seed):
    assert low <= draw(np.random.default_rng(seed), (low, low + width)) <= low + width


@given(seed=st.integers(0, 1000))
def test_phases_stay_within_one_turn(seed):
    assert 0 <= draw_phase(np.random.default_rng(seed)) <= 2 * np.pi


def test_a_triple_is_of_plain_floats():
    assert triple(np.float32([1, 2, 3])) == (1.0, 2.0, 3.0)
    assert all(type(value) is float for value in triple(np.arange(3)))
    with pytest.raises(ValueError, match="unpack"):
        triple((1, 2))


def test_a_box_has_eight_distinct_corners_between_its_limits():
    corners = box_corners((-1, 0, 2), high=(1, 4, 3))
    assert len({tuple(corner) for corner in corners}) == 8
    assert corners.min(axis=0) == pytest.approx([-1, 0, 2])
    assert corners.max(axis=0) == pytest.approx([1, 4, 3])


depths = st.floats(-20, 20, width=32)


@given(one=depths, other=depths, radius=st.floats(0.5, 5))
def test_a_rounded_intersection_lies_within_both_and_loses_no_more_than_its_corner(one, other, radius):
    both = min(one, other)
    got = intersect_depths(np.float32(one), np.float32(other), rounding_mm=radius)
    assert got <= both + 1e-4
    if both >= radius or max(one, other) >= radius:
        assert got == pytest.approx(both, abs=1e-4)
    if both >= 0:
        assert got >= both - radius * (np.sqrt(2) - 1) - 1e-4


@given(one=depths, other=depths, blend=st.floats(0.5, 5))
def test_a_blended_union_holds_both_and_adds_at_most_a_quarter_of_its_width(one, other, blend):
    either = max(one, other)
    got = unite_depths(np.float32(one), np.float32(other), blend_mm=blend)
    assert either - 1e-4 <= got <= either + blend / 4 + 1e-4
    if abs(one - other) >= blend:
        assert got == pytest.approx(either, abs=1e-4)
    assert got == pytest.approx(unite_depths(np.float32(other), np.float32(one), blend_mm=blend))
