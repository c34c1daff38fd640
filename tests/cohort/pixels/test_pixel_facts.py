import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from helpers.cohort.files.dicom import read_ct
from helpers.cohort.pixels.pixel_facts import HIGHEST, LOWEST, MIN_PEAK_SHARE, pixel_facts


@pytest.fixture
def body():
    """A crude body: air around, fat, soft tissue and bone with the noise of a scanner."""
    rng = np.random.default_rng(0)
    hu = np.full((128, 128), -1000.0)
    hu[20:108, 20:108], hu[30:98, 30:98], hu[50:70, 50:70] = -100, 50, 400
    return np.rint(hu + rng.normal(0, 12, hu.shape)).astype(np.float32)


def test_peaks_and_shares_of_tissue(body):
    facts = pixel_facts(body, is_hu=True)
    assert facts["air_peak_hu"] == pytest.approx(-1000, abs=6)
    assert facts["fat_peak_hu"] == pytest.approx(-100, abs=6)
    assert facts["soft_peak_hu"] == pytest.approx(50, abs=6)
    assert facts["bone_share"] == pytest.approx(20 * 20 / 128**2, abs=0.001)
    assert facts["tissue_share"] == pytest.approx((88**2 - 20**2) / 128**2, abs=0.001)
    assert facts["shifted_tissue_share"] == 0
    assert facts["padding_share"] == 0
    assert np.isnan(facts["padding_value"])


def test_a_peak_must_be_a_peak(body):
    facts = pixel_facts(np.where(body < -50, 60, body), is_hu=True)
    assert np.isnan(facts["air_peak_hu"])
    assert np.isnan(facts["fat_peak_hu"])
    few = body.copy()
    few[few < -850] = 50
    few.flat[: int(MIN_PEAK_SHARE * few.size / 4)] = -1000
    assert np.isnan(pixel_facts(few, is_hu=True)["air_peak_hu"])


def test_a_forgotten_intercept_shows(body):
    facts = pixel_facts(body + 1024, is_hu=True)
    assert facts["shifted_tissue_share"] > 0.4


def test_padding_is_what_fills_the_border(body):
    body[:10], body[-10:], body[:, :10], body[:, -10:] = (-2000,) * 4
    facts = pixel_facts(body, is_hu=True)
    assert facts["padding_value"] == -2000
    assert facts["padding_share"] == pytest.approx(1 - 108**2 / 128**2)
    assert facts["air_peak_hu"] == pytest.approx(-1000, abs=6)
    # Shares of tissue are of the image proper.
    assert facts["bone_share"] == pytest.approx(20 * 20 / 108**2, abs=0.001)


def test_a_constant_image_is_all_padding():
    facts = pixel_facts(np.full((8, 8), 3, np.float32), is_hu=True)
    assert (facts["pixel_min"], facts["pixel_max"], facts["pixel_levels"]) == (3, 3, 1)
    assert facts["most_common_share"] == facts["padding_share"] == facts["lowest_share"] == 1
    assert np.isnan(facts["tissue_share"])


def test_ends_are_counted():
    pixels = np.array([[0, 0, 1, 2], [3, 4, 5, 5], [6, 7, 9, 9], [9, 9, 9, 8]], np.uint8)
    facts = pixel_facts(pixels, is_hu=False)
    assert (facts["lowest_share"], facts["highest_share"], facts["pixel_levels"]) == (2 / 16, 5 / 16, 10)
    assert np.isnan(facts["tissue_share"])
    assert np.isnan(facts["soft_peak_hu"])


def test_values_between_whole_numbers_are_counted():
    pixels = np.array([[0, 0.5], [1, 1.9999]], np.float32)
    assert pixel_facts(pixels, is_hu=True)["fractional_share"] == 0.25


def test_three_planes_are_one_image(body):
    single, triple = pixel_facts(body, is_hu=True), pixel_facts(np.stack([body] * 3), is_hu=True)
    assert triple == pytest.approx(single, nan_ok=True)


def test_a_large_image_is_described_by_a_part_of_its_pixels(body):
    """Ends and padding are exact, shares nearly so; whole numbers give the same facts in every type."""
    large = np.tile(body, (6, 5))
    large[300, 301] = 5000
    facts, all_counted = pixel_facts(large, is_hu=True), pixel_facts(body, is_hu=True)
    assert (facts["pixel_max"], facts["highest_share"]) == (5000, 1 / large.size)
    assert facts["lowest_share"] == np.mean(large == large.min())
    for name in ("bone_share", "tissue_share", "most_common_share"):
        assert facts[name] == pytest.approx(all_counted[name], abs=0.006)
    for name in ("air_peak_hu", "fat_peak_hu", "soft_peak_hu"):
        assert facts[name] == pytest.approx(all_counted[name], abs=3)
    assert pixel_facts(large.astype(np.int16), is_hu=True) == pytest.approx(facts, nan_ok=True)


@given(
    arrays(np.float32, (4, 5), elements=st.floats(-1e6, 1e6, width=32)),
    st.booleans(),
)
def test_any_finite_image_has_facts_of_the_right_kind(pixels, is_hu):
    facts = pixel_facts(pixels, is_hu=is_hu)
    assert (facts["pixel_min"], facts["pixel_max"]) == (pixels.min(), pixels.max())
    shares = [value for name, value in facts.items() if name.endswith("_share") and np.isfinite(value)]
    assert all(0 <= share <= 1 for share in shares)
    whole = np.rint(np.clip(pixels, LOWEST, HIGHEST))
    assert facts["pixel_levels"] == len(np.unique(whole))
    assert facts == pytest.approx(pixel_facts(pixels[::-1, ::-1], is_hu=is_hu), nan_ok=True)


@pytest.mark.shared
def test_real_ct_has_its_peaks_where_hu_have_them(shared_data):
    folder = shared_data / "ircadb01_case17" / "PATIENT_DICOM"
    facts = pixel_facts(read_ct(folder / "image_60").pixels, is_hu=True)
    assert facts["padding_value"] == -1024
    assert -1050 < facts["air_peak_hu"] < -900
    assert -120 < facts["fat_peak_hu"] < -60
    assert 20 < facts["soft_peak_hu"] < 120
    assert facts["tissue_share"] > 0.4


@pytest.mark.shared
def test_a_real_screenshot_is_padded_with_black(shared_data):
    first = sorted((shared_data / "xvertseg" / "roi").glob("*.png"))[0]
    facts = pixel_facts(np.asarray(Image.open(first).convert("L")), is_hu=False)
    assert facts["padding_value"] == 0
    assert facts["pixel_levels"] <= 256
