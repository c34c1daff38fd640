from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.canvas import ORIENTATIONS, Canvas, Field, Plane, random_field

SAGITTAL = Plane("sagittal", (5.0, 10.0, 20.0), rows=5, columns=3, pixel_mm=2.0, thickness_mm=3.0)
PLANES = {orientation: replace(SAGITTAL, orientation=orientation) for orientation in ORIENTATIONS}


@pytest.fixture
def canvas():
    return Canvas.of(Plane("sagittal", (0.0, 0.0, 0.0), rows=240, columns=160, pixel_mm=0.25, thickness_mm=1.0))


@pytest.mark.parametrize(
    ("orientation", "corner", "along_row", "down_column"),
    [
        ("sagittal", (5, 8, 16), (0, 1, 0), (0, 0, 1)),
        ("coronal", (3, 10, 16), (1, 0, 0), (0, 0, 1)),
        ("axial", (3, 6, 20), (1, 0, 0), (0, 1, 0)),
    ],
)
def test_planes_lie_as_radiologists_see_them(orientation, corner, along_row, down_column):
    plane = PLANES[orientation]
    assert plane.corner_mm == corner
    assert plane.row_direction == along_row
    assert plane.column_direction == down_column


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pixels_are_counted_from_the_corner_along_columns_and_rows(orientation):
    plane = PLANES[orientation]
    corner, along, down = (np.array(x) for x in (plane.corner_mm, plane.row_direction, plane.column_direction))
    points = np.stack([corner, corner + 4 * along, corner + 3 * down, np.array(plane.centre_mm)])
    assert plane.to_pixels(points).tolist() == [[0, 0], [2, 0], [0, 1.5], [1, 2]]
    off = np.array(plane.centre_mm) + 7.0 * (1 - along - down)
    assert plane.to_pixels(off).tolist() == [1, 2]


def test_an_unknown_orientation_is_refused_by_name():
    with pytest.raises(ValueError, match="orientation: 'oblique'"):
        replace(SAGITTAL, orientation="oblique")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("oversampling", "slices"), [(1, 1), (2, 3), (3, 2)])
def test_fine_samples_average_to_the_pixel_centres(orientation, oversampling, slices):
    plane = PLANES[orientation]
    points = plane.coordinates(oversampling=oversampling, slices=slices)
    shape = (slices, plane.rows * oversampling, plane.columns * oversampling)
    assert np.broadcast_shapes(*(x.shape for x in points)) == shape
    fine = np.stack(np.broadcast_arrays(*points), axis=-1)
    pixels = fine.reshape(slices, plane.rows, oversampling, plane.columns, oversampling, 3).mean(axis=(0, 2, 4))
    rows, columns = np.mgrid[: plane.rows, : plane.columns]
    assert np.allclose(plane.to_pixels(pixels), np.stack([columns, rows], axis=-1), atol=1e-5)
    across = np.unique(fine[..., plane.axes[0]])
    assert np.allclose(np.diff(across), plane.thickness_mm / slices)
    assert across.mean() == pytest.approx(plane.centre_mm[plane.axes[0]])


def test_painting_conserves_a_thin_layers_amount(canvas):
    # A layer of 0.4 mm lying anywhere between samples adds thickness times HU: partial volume, not loss.
    for shift in (0.0, 0.1, 0.2):
        canvas.hu[:] = 0
        _, p, c = canvas.points
        canvas.paint(canvas.everywhere, depth_mm=0.2 - np.abs(p - shift) + 0 * c, hu=500.0)
        assert canvas.hu[0, 0].sum() * 0.25 == pytest.approx(0.4 * 500, rel=0.02)


def test_opacity_mixes_with_what_lies_below(canvas):
    canvas.hu[:] = 100
    canvas.paint(canvas.everywhere, depth_mm=np.full(canvas.hu.shape, 5.0, np.float32), hu=300.0, opacity=0.25)
    assert canvas.hu == pytest.approx(150.0)


def test_a_window_covers_the_points_and_nothing_else_is_painted(canvas):
    window = canvas.around(np.array([(0, -5, 0), (0, 5, 10)]), margin_mm=2)
    _, p, c = window.points
    assert (p.min(), p.max()) == pytest.approx((-6.875, 6.875))
    assert (c.min(), c.max()) == pytest.approx((-1.875, 11.875))
    canvas.paint(window, depth_mm=np.full((1, c.size, p.size), 9.0, np.float32), hu=1.0)
    assert canvas.hu.sum() == c.size * p.size
    assert canvas.hu[window.part].min() == 1


@settings(deadline=None)
@given(centre=st.tuples(*[st.floats(-40, 40)] * 3), orientation=st.sampled_from(ORIENTATIONS))
def test_a_window_holds_exactly_the_samples_near_the_points(centre, orientation):
    canvas = Canvas.of(Plane(orientation, (1.0, 2.0, 3.0), 30, 20, 1.0, 2.0), slices=3)
    near = [np.abs(x - y) <= 6 for x, y in zip(canvas.points, centre, strict=True)]
    expected = np.logical_and.reduce(np.broadcast_arrays(*near))
    marked = np.zeros(canvas.hu.shape, dtype=bool)
    window = canvas.around(np.array([centre]), margin_mm=6.0)
    if window is not None:
        marked[window.part] = True
    assert (marked != expected).mean() < 0.1  # samples right at the rim may fall either way
    assert (window is None) == (not marked.any())


@pytest.mark.parametrize("place", [(0, 100, 0), (0, 0, -90), (6, 0, 0)], ids=["beside", "above", "off the slab"])
def test_a_window_off_the_canvas_is_none(canvas, place):
    assert canvas.around(np.array([place]), margin_mm=5) is None


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(0)
    return random_field(rng, extent_mm=(24.0, 30.0, 40.0), step_mm=(2.0, 1.0, 0.5), length_mm=(3.0, 2.0, 1.5))


def lines(x, p, c):
    """Three coordinate lines along x, p and c, as a coronal stack would not have them: in order."""
    return tuple(np.expand_dims(np.asarray(v, float), [i for i in range(3) if i != k]) for k, v in enumerate((x, p, c)))


def test_a_random_field_has_unit_variance_and_the_asked_extent(field):
    assert field.values.shape == (12, 30, 80)
    assert field.values.std() == pytest.approx(1, abs=1e-3)


def test_features_of_a_field_are_as_long_as_asked():
    rng = np.random.default_rng(1)
    field = random_field(rng, extent_mm=(60.0, 60.0, 60.0), step_mm=(1.0, 1.0, 1.0), length_mm=(1.0, 2.0, 3.0))
    for axis, length in enumerate((1.0, 2.0, 3.0)):
        # Smoothing white noise with sigma s leaves an autocorrelation exp(-d^2 / 4 s^2).
        shifted = np.roll(field.values, 2, axis=axis)
        assert (field.values * shifted).mean() == pytest.approx(np.exp(-1 / length**2), abs=0.06)


def test_a_field_is_sampled_at_its_nodes_and_linearly_between_them(field):
    got = field.at(lines([6.0, 7.0], [4.0, 4.25], [10.0]))
    a, b = field.values[3, [4, 5], 20]
    assert got[0, :, 0] == pytest.approx([a, 0.75 * a + 0.25 * b], abs=1e-5)
    assert got[1, 0, 0] == pytest.approx((a + field.values[4, 4, 20]) / 2, abs=1e-5)


@pytest.mark.parametrize("shift", [(24, 0, 0), (0, -30, 0), (0, 0, 80), (-48, 60, -40)])
def test_a_field_is_periodic(field, shift):
    places = [np.linspace(-13, 29, 11)] * 3
    moved = [place + s for place, s in zip(places, shift, strict=True)]
    assert np.allclose(field.at(lines(*places)), field.at(lines(*moved)), atol=1e-4)


@pytest.mark.parametrize("below", [1e-9, 1e-7, 1e-3])
def test_a_field_is_continuous_where_it_repeats(below):
    field = Field(np.arange(27, dtype=np.float32).reshape(3, 3, 3), (1.0, 1.0, 1.0))
    place = np.float32([[[-below]]])
    assert field.at((place, place, place)).item() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_planes_see_the_same_field_at_the_same_place(field, orientation):
    plane = Plane(orientation, (3.0, -4.0, 5.0), 9, 7, 1.5, 3.0)
    points = plane.coordinates(slices=3)
    got = field.at(points)
    x, p, c = (np.unique(line) for line in points)
    cube = field.at(lines(x, p, c))
    assert got.shape == (3, 9, 7)
    assert np.allclose(got, np.transpose(cube, plane.axes), atol=1e-5)
