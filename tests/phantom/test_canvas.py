import numpy as np
import pytest

from helpers.phantom.canvas import FIELD_HALF_MM, FIELD_STEP_MM, Canvas, random_field, sample_field


@pytest.fixture
def canvas():
    p = np.arange(-20, 20, 0.25, dtype=np.float32)
    c = np.arange(-30, 30, 0.25, dtype=np.float32)
    return Canvas(np.zeros((len(c), len(p)), np.float32), p, c)


def test_painting_conserves_a_thin_layers_amount(canvas):
    # A layer of 0.4 mm lying anywhere between samples adds thickness times HU: partial volume, not loss.
    for shift in (0.0, 0.1, 0.2):
        canvas.hu[:] = 0
        window = canvas.everywhere
        canvas.paint(window, depth_mm=0.2 - np.abs(window.p - shift) + 0 * window.c, hu=500.0)
        assert canvas.hu[0].sum() * 0.25 == pytest.approx(0.4 * 500, rel=0.02)


def test_opacity_mixes_with_what_lies_below(canvas):
    canvas.hu[:] = 100
    window = canvas.everywhere
    canvas.paint(window, depth_mm=np.full(canvas.hu.shape, 5.0, np.float32), hu=300.0, opacity=0.25)
    assert canvas.hu == pytest.approx(150.0)


def test_a_window_covers_the_points_and_nothing_else_is_painted(canvas):
    window = canvas.around(np.array([(-5, 0), (5, 10)]), margin_mm=2)
    assert (window.p.min(), window.p.max()) == pytest.approx((-7, 6.75))
    assert (window.c.min(), window.c.max()) == pytest.approx((-2, 11.75))
    canvas.paint(window, depth_mm=np.full((window.c.size, window.p.size), 9.0), hu=1.0)
    assert canvas.hu.sum() == window.c.size * window.p.size


def test_a_window_off_the_canvas_is_none(canvas):
    assert canvas.around(np.array([(100, 0)]), margin_mm=5) is None


def test_a_field_is_sampled_at_its_nodes_and_between_them():
    field = random_field(np.random.default_rng(0), length_mm=8.0)
    assert field.std() == pytest.approx(1, abs=1e-3)
    row, column = 20, 30
    c, p = row * FIELD_STEP_MM - FIELD_HALF_MM[0], column * FIELD_STEP_MM - FIELD_HALF_MM[1]
    got = sample_field(field, p=np.array([p, p + FIELD_STEP_MM / 2]), c=np.array([c]))
    expected = [field[row, column], (field[row, column] + field[row, column + 1]) / 2]
    assert got[0] == pytest.approx(expected, abs=1e-5)


def test_two_canvases_see_the_same_field_at_the_same_place():
    field = random_field(np.random.default_rng(1), length_mm=8.0)
    wide = sample_field(field, p=np.arange(-40, 40, 1.0), c=np.arange(-40, 40, 1.0))
    part = sample_field(field, p=np.arange(-10, 10, 1.0), c=np.arange(0, 20, 1.0))
    assert np.allclose(part, wide[40:60, 30:50], atol=1e-5)
