import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from helpers.cohort.picture import Picture
from helpers.cohort.pixels.measures import HASH_SIDE, measure, perceptual_hash, thumbnail
from helpers.cohort.pixels.pixel_facts import pixel_facts


@pytest.fixture
def hu(rng):
    """A smooth image in HU, higher than wide."""
    return (gaussian_filter(rng.normal(size=(120, 90)), 5) * 4000).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_measures_are_those_of_their_modules(hu):
    picture = Picture(hu)
    measures = measure(picture)
    facts = pixel_facts(hu, is_hu=True)
    assert measures.columns["pixel_sha256"] == picture.sha256
    assert measures.columns["text_glyphs"] == 0
    assert len(measures.columns["perceptual_hash"]) == 16
    assert {name: measures.columns[name] for name in facts} == pytest.approx(facts, nan_ok=True)
    assert (measures.thumbnail == thumbnail(hu)).all()


def test_a_thumbnail_is_the_mean_of_blocks():
    blocks = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    small = thumbnail(np.kron(blocks, np.ones((4, 3), np.float32)))
    low, high = np.percentile(blocks, (1, 99))
    expected = np.rint(np.clip((blocks - low) / (high - low), 0, 1) * 255)
    assert small.dtype == np.uint8
    assert np.abs(small - expected).max() <= 1


def test_brightness_contrast_and_size_hardly_matter(hu):
    grey = ((hu - hu.min()) / np.ptp(hu) * 200 + 30).astype(np.uint8)
    larger = np.asarray(Image.fromarray(hu).resize((180, 240), Image.Resampling.BICUBIC))
    for other in (grey, larger, 0.5 * hu - 300):
        assert np.abs(thumbnail(other).astype(int) - thumbnail(hu)).max() <= 12


def test_of_three_planes_the_middle_one_counts(hu):
    assert (thumbnail(np.stack([hu * 0, hu, hu * 2])) == thumbnail(hu)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_blank_picture_has_a_blank_thumbnail(dtype):
    assert not thumbnail(np.full((50, 40), 7, dtype)).any()


def test_the_hash_is_made_of_the_signs_around_the_median_of_coarse_frequencies(hu):
    """Against the definition of the DCT-II, written out."""
    small = thumbnail(hu).astype(float)
    k, n = np.mgrid[:HASH_SIDE, :32]
    basis = np.cos(np.pi * k * (2 * n + 1) / 64) * np.where(k == 0, np.sqrt(1 / 32), np.sqrt(2 / 32))
    coarse = (basis @ small @ basis.T).ravel()
    bits = "".join("1" if value > np.median(coarse[1:]) else "0" for value in coarse)
    assert int(perceptual_hash(thumbnail(hu))) == int(bits, 2)


def test_hashes_of_a_stack_are_those_of_its_pictures(rng):
    stack = rng.integers(0, 256, (5, 32, 32)).astype(np.uint8)
    assert perceptual_hash(stack).tolist() == [int(perceptual_hash(small)) for small in stack]


def test_pictures_that_look_alike_differ_in_few_bits(hu, rng):
    noisy = hu + rng.normal(0, 0.1 * hu.std(), hu.shape).astype(np.float32)
    other = (gaussian_filter(rng.normal(size=(120, 90)), 5) * 4000).astype(np.float32)
    one, same, strange = (perceptual_hash(thumbnail(pixels)) for pixels in (hu, noisy, other))
    assert np.bitwise_count(one ^ same) <= 6
    assert np.bitwise_count(one ^ strange) >= 16
