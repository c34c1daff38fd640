import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.preprocessing.geometry import AIR_HU, Field, cut_field


def field(*, center_px=(99.5, 99.5), source_spacing_mm=(1.0, 1.0), spacing_mm=1.0, size=64):
    return Field(center_px, source_spacing_mm, spacing_mm, size)


def draw_disc(shape, *, center_px, radius_mm, spacing_mm):
    """A disc that falls from 1000 to -1000 HU over 4 mm, through zero at its radius."""
    rows, columns = np.indices(shape, dtype=float)
    distance = np.hypot((rows - center_px[0]) * spacing_mm[0], (columns - center_px[1]) * spacing_mm[1])
    return np.clip(500 * (radius_mm - distance), -1000, 1000).astype(np.float32)


def diameter_px(profile):
    """Length above zero, with the crossing points interpolated."""
    above = np.flatnonzero(profile > 0)
    first, last = above[0], above[-1]
    start = first - profile[first] / (profile[first] - profile[first - 1])
    end = last + profile[last] / (profile[last] - profile[last + 1])
    return end - start


SPACINGS = [(0.5, 0.5), (0.3, 0.8), (1.6, 0.743), (0.35, 0.35), (0.9, 0.4)]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("cached_mm", [0.4, 0.5, 1.0])
def test_a_disc_keeps_its_millimetres_in_both_directions(spacing, cached_mm):
    center, size = (140.3, 170.7), round(60 / cached_mm)
    disc = draw_disc((300, 340), center_px=center, radius_mm=20, spacing_mm=spacing)
    square, padded = cut_field(disc, Field(center, spacing, cached_mm, size))
    assert padded == 0
    for profile in (square[:, size // 2], square[size // 2]):
        assert diameter_px(profile.astype(float)) * cached_mm == pytest.approx(40, abs=0.5 * cached_mm)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_smooth_shape_lies_where_it_was(spacing):
    """The centroid of a Gaussian blob, off the centre of the square by known millimetres, within 1/20 pixel."""
    center, offset_mm, cached_mm, size = (80.2, 120.6), (6.0, -9.0), 0.5, 161
    rows, columns = np.indices((200, 260), dtype=float)
    y = (rows - center[0]) * spacing[0] - offset_mm[0]
    x = (columns - center[1]) * spacing[1] - offset_mm[1]
    blob = 2000 * np.exp(-(x**2 + y**2) / (2 * 4.0**2))
    square, _ = cut_field(blob.astype(np.float32), Field(center, spacing, cached_mm, size))
    weight = np.clip(square, 0, None).astype(float)
    found = [(weight.sum(axis=1 - axis) @ np.arange(size)) / weight.sum() for axis in (0, 1)]
    expected = [(size - 1) / 2 + offset / cached_mm for offset in offset_mm]
    assert found == pytest.approx(expected, abs=0.05)


def test_equal_spacing_copies_pixels_exactly():
    pixels = np.random.default_rng(0).integers(-1000, 2000, (200, 200)).astype(np.float32)
    square, padded = cut_field(pixels, field(center_px=(99.5, 79.5), size=64))
    np.testing.assert_array_equal(square, pixels[68:132, 48:112])
    assert padded == 0
    assert square.dtype == np.int16


def test_halving_averages_instead_of_picking():
    """A chequered pattern at the limit of the source is grey on the coarse grid: no aliasing."""
    rows, columns = np.indices((200, 200))
    pixels = np.where((rows + columns) % 2, 500.0, -500.0).astype(np.float32)
    square, _ = cut_field(pixels, field(spacing_mm=3.0, size=32))
    assert np.abs(square[4:-4, 4:-4]).max() < 60


def test_outside_is_air_and_counted():
    pixels = np.full((40, 40), 100, np.float32)
    square, padded = cut_field(pixels, field(center_px=(0, 20), size=20))
    np.testing.assert_array_equal(square[:9], AIR_HU)
    np.testing.assert_array_equal(square[10:], 100)
    assert padded == pytest.approx(0.5, abs=0.06)


@settings(deadline=None, max_examples=30)
@given(row=st.floats(-30, 70), column=st.floats(-30, 70), spacing=st.floats(0.3, 3), cached=st.floats(0.3, 3))
def test_padding_is_what_lies_outside(row, column, spacing, cached):
    pixels = np.full((40, 50), 100, np.float32)
    square, padded = cut_field(pixels, Field((row, column), (spacing, spacing), cached, 24))
    assert (square == AIR_HU).mean() == pytest.approx(padded)
    assert set(np.unique(square)) <= {AIR_HU, 100}


def test_grey_values_stay_grey_values():
    pixels = np.full((30, 30), 200, np.uint8)
    square, padded = cut_field(pixels, field(center_px=(14.5, 14.5), size=40))
    assert square.dtype == np.uint8
    assert set(np.unique(square)) == {0, 200}
    assert padded == pytest.approx(1 - 30**2 / 40**2)


def test_hu_beyond_twelve_bits_are_clipped_before_they_spread():
    pixels = np.zeros((60, 60), np.float32)
    pixels[30, 30], pixels[20, 20] = 30000, -30000
    square, _ = cut_field(pixels, field(center_px=(29.5, 29.5), size=60))
    assert (square.max(), square.min()) == (3071, -1024)


def test_three_planes_are_cut_alike():
    planes = np.random.default_rng(0).normal(size=(3, 40, 30)).astype(np.float32) * 100
    square, padded = cut_field(planes, field())
    apart = [cut_field(plane, field()) for plane in planes]
    np.testing.assert_array_equal(square, np.stack([one for one, _ in apart]))
    assert padded == apart[0][1]


@pytest.mark.parametrize("shape", [(2, 4, 4), (4,), (1, 3, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="two dimensions or three planes"):
        cut_field(np.zeros(shape, np.float32), field())
