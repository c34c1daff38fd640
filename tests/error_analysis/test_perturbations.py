import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from helpers.error_analysis.perturbations import (
    PERTURBATIONS,
    add_noise,
    add_streaks,
    blur,
    brighten,
    coarsen,
    compress,
    narrow,
    perturbed,
    rotate,
    shift,
)

WINDOW = (0.0, 2000.0)


@pytest.fixture
def shares() -> np.ndarray:
    """Smooth images, so that a mild change is a small one."""
    noise = np.random.default_rng(0).random((2, 48, 48))
    return gaussian_filter(noise, (0, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", PERTURBATIONS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 40, 40), np.int16), ((2, 3, 40, 40), np.int16), ((1, 40, 40), np.uint8)]
)
def test_shape_and_type_stay_and_severities_grow(kind, shape, dtype):
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(dtype)
    window = (127.5, 255.0) if dtype == np.uint8 else WINDOW
    away = []
    for severity in kind.severities:
        found = perturbed(pixels, change=kind.change, severity=severity, window=window, spacing_mm=0.5)
        assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
        away.append(np.abs(found.astype(float) - pixels).mean())
    assert away[0] > 0
    if kind.name not in ("rotation", "shift"):  # of noise, turned by more is not less alike
        assert away == sorted(away)


def test_noise_has_the_deviation_that_was_asked_for(shares):
    found = add_noise(np.zeros((4, 100, 100), dtype=np.float32), 5, spacing_mm=0.5)
    assert found.std() == pytest.approx(0.05, rel=0.02)
    assert found.mean() == pytest.approx(0, abs=0.001)
    np.testing.assert_array_equal(add_noise(shares, 5, spacing_mm=0.5), add_noise(shares, 5, spacing_mm=0.5))


def test_blur_and_coarse_pixels_keep_the_mean_and_lose_detail(shares):
    noise = np.random.default_rng(2).random((1, 64, 64)).astype(np.float32)
    for change in (blur, coarsen):
        found = change(noise, 2.0, spacing_mm=0.5)
        assert found.mean() == pytest.approx(noise.mean(), abs=0.01)
        assert found.std() < 0.3 * noise.std()


def test_blur_of_a_point_is_a_gaussian_in_millimetres():
    point = np.zeros((1, 81, 81), dtype=np.float32)
    point[0, 40, 40] = 1
    found = blur(point, 2.0, spacing_mm=0.5)[0]
    rows = np.arange(81) - 40
    assert np.sqrt((found.sum(1) * rows**2).sum()) * 0.5 == pytest.approx(2.0, rel=0.02)


def test_window_moves_and_narrows_about_its_centre():
    shares = np.array([[[0.0, 0.5, 1.0]]], dtype=np.float32)
    np.testing.assert_allclose(brighten(shares, 10, spacing_mm=0.5), shares + 0.1, rtol=1e-6)
    np.testing.assert_allclose(narrow(shares, 50, spacing_mm=0.5), [[[-0.5, 0.5, 1.5]]], rtol=1e-6)


def test_rotation_turns_a_quarter_and_shift_moves_down():
    image = np.zeros((1, 21, 21), dtype=np.float32)
    image[0, 10, 15] = 1
    turned = rotate(image, 90, spacing_mm=0.5)[0]
    assert np.unravel_index(turned.argmax(), (21, 21)) in ((5, 10), (15, 10))
    moved = shift(image, 2, spacing_mm=0.5)[0]
    assert np.unravel_index(moved.argmax(), (21, 21)) == (14, 15)


def test_streaks_are_bright_and_dark_and_fade_with_distance():
    found = add_streaks(np.zeros((1, 192, 192), dtype=np.float32), 10, spacing_mm=0.5)[0]
    assert 0.08 < found.max() <= 0.1
    assert -0.1 <= found.min() < -0.08
    assert np.abs(found[:, :40]).max() < 0.1 * np.exp(-1)


def test_compression_clips_to_the_window_and_is_mild_at_high_quality(shares):
    found = compress(shares * 3 - 1, 95, spacing_mm=0.5)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.abs(compress(shares, 95, spacing_mm=0.5) - shares).mean() < 0.01


@settings(max_examples=20, deadline=None)
@given(level=st.integers(-1000, 3000), kind=st.sampled_from(PERTURBATIONS))
def test_images_of_one_grey_level_give_no_error(level, kind):
    pixels = np.full((1, 32, 32), level, dtype=np.int16)
    found = perturbed(pixels, change=kind.change, severity=kind.severities[-1], window=WINDOW, spacing_mm=0.5)
    assert found.shape == pixels.shape
