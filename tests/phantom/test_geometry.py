import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.geometry import Frame, capsule_depth, coverage, draw, ellipse_depth, polygon_depth

SQUARE = np.array([(-2.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-2.0, 1.0)])
coordinate = st.floats(-5, 5, width=32)


def box_depth(u, v):
    """Signed depth in the rectangle SQUARE, worked out by hand for comparison."""
    outside_u, outside_v = abs(u) - 2, abs(v) - 1
    if max(outside_u, outside_v) <= 0:
        return -max(outside_u, outside_v)
    return -float(np.hypot(max(outside_u, 0), max(outside_v, 0)))


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
@given(p=coordinate, c=coordinate, angle=st.floats(-3, 3), u=coordinate, v=coordinate)
def test_a_frame_maps_there_and_back(p, c, angle, u, v):
    frame = Frame(p, c, angle)
    plane = frame.to_plane(np.array([u, v]))
    assert np.allclose(frame.to_local(*plane), (u, v), atol=1e-4)


def test_a_positive_angle_lowers_the_posterior_end():
    assert Frame(0, 0, 0.3).to_plane(np.array([10.0, 0.0]))[1] == pytest.approx(10 * np.sin(0.3))


def test_coverage_is_half_at_the_edge_and_ramps_over_its_width():
    assert coverage(np.array([-1.0, -0.1, 0.0, 0.1, 1.0]), edge_mm=0.4) == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_capsule_tapers_from_one_end_to_the_other():
    depth = capsule_depth(
        np.array([0.0, 10.0, 5.0, -3.0]), np.array([0.0, 0.0, 2.0, 0.0]), ends=((0, 0), (10, 0)), radii=(2, 1)
    )
    assert depth == pytest.approx([2.0, 1.0, -0.5, -1.0], abs=1e-5)


def test_an_ellipse_is_deepest_at_its_centre_and_zero_on_its_axes():
    depth = ellipse_depth(np.array([1.0, 4.0, 1.0]), np.array([0.0, 0.0, 2.0]), centre=(1, 0), radii=(3, 2))
    assert depth == pytest.approx([2, 0, 0], abs=1e-5)


@settings(deadline=None)
@given(low=st.floats(-10, 10), width=st.floats(0, 5), seed=st.integers(0, 1000))
def test_draws_stay_within_bounds(low, width, seed):
    assert low <= draw(np.random.default_rng(seed), (low, low + width)) <= low + width
