import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from helpers.preprocessing import cache_external, cache_images, realism
from helpers.preprocessing.realism import CohortImages
from helpers.study import ExternalCohort, ExternalParams, PreprocessingParams, Run, open_run

RISE_OF_GAUSSIAN = 2.5631  # 10 to 90 % of the normal distribution, in standard deviations


def noise(shape, *, sigma_hu, smooth_px=0.0, seed=0):
    """Noise of known standard deviation; smoothed on a periodic grid, so that its spectrum is known too."""
    field = np.random.default_rng(seed).normal(size=shape)
    if smooth_px:
        field = gaussian_filter(field, (0, smooth_px, smooth_px), mode="wrap")
    return sigma_hu * field / field.std()


def step(*, sigma_mm, spacing_mm, angle=0.4, size=128, low=40, high=600):
    """A straight edge through a square, blurred by a Gaussian."""
    rows, columns = (np.indices((size, size)) - size / 2 + 0.3) * spacing_mm
    distance = columns * np.cos(angle) + rows * np.sin(angle)
    return low + (high - low) * ndtr(distance / sigma_mm)


def cohort_of(images, title="one (real)"):
    return CohortImages(title, images, np.full(len(images), "A"))


class TestHistogram:
    def test_density_of_known_values(self):
        table = realism.hu_histogram(np.array([[-1024, -1024, -1004, 0, 5, 1100]], np.int16)).set_index("hu")
        assert table["density"].sum() * 20 == pytest.approx(1)
        assert table.loc[[-994, 6, 1106], "density"].mul(20).tolist() == pytest.approx([0.25, 0.5, 0.25])

    def test_padding_and_metal_do_not_count(self):
        bone = np.full(10, 500, np.int16)
        both = np.concatenate([bone, np.full(50, -1024, np.int16), np.full(5, 3071, np.int16)])
        pd.testing.assert_frame_equal(realism.hu_histogram(bone), realism.hu_histogram(both))

    def test_grey_values_are_refused(self):
        with pytest.raises(ValueError, match="not comparable"):
            realism.hu_histogram(np.zeros((2, 4, 4), np.uint8))


class TestNoise:
    @settings(max_examples=20, deadline=None)
    @given(
        sigma_hu=st.floats(1, 60),
        spacing_mm=st.floats(0.2, 2),
        smooth_px=st.sampled_from([0.0, 0.7, 1.5]),
        side=st.sampled_from([15, 16]),
    )
    def test_the_integral_of_the_spectrum_is_the_variance(self, sigma_hu, spacing_mm, smooth_px, side):
        patches = noise((12, side, side), sigma_hu=sigma_hu, smooth_px=smooth_px)
        patches -= patches.mean(axis=(1, 2), keepdims=True)
        table = realism.noise_power_spectrum(patches, spacing_mm=spacing_mm)
        integral = (table["nps_hu2_mm2"] * table["area_per_mm2"]).sum()
        assert integral == pytest.approx(patches.var(axis=(1, 2)).mean(), rel=1e-9)

    def test_white_noise_is_flat_at_variance_times_pixel_area(self):
        table = realism.noise_power_spectrum(noise((4000, 16, 16), sigma_hu=20), spacing_mm=0.5)
        np.testing.assert_allclose(table["nps_hu2_mm2"], 20**2 * 0.5**2, rtol=0.05)

    def test_filtered_noise_has_the_spectrum_of_its_filter(self):
        """Gaussian filter of s mm: power falls as exp(-(2 pi f s)^2), whatever the pixel size."""
        spacing_mm, smooth_mm = 0.5, 0.4
        patches = noise((4000, 16, 16), sigma_hu=10, smooth_px=smooth_mm / spacing_mm)
        table = realism.noise_power_spectrum(patches, spacing_mm=spacing_mm).query("frequency_per_mm < 0.7")
        shape = np.exp(-((2 * np.pi * table["frequency_per_mm"] * smooth_mm) ** 2))
        ratio = table["nps_hu2_mm2"] / shape
        np.testing.assert_allclose(ratio / ratio.iloc[1], 1, atol=0.1)

    def test_a_wave_has_its_own_frequency(self):
        wave = np.sin(2 * np.pi * 4 * np.arange(16) / 16) * np.ones((16, 1))
        found = realism.noise_frequencies(np.stack([wave, 3 * wave.T]), spacing_mm=0.5)
        assert found == pytest.approx([0.5, 0.5])

    def test_patches_lie_where_the_tissue_is_flat_and_soft(self):
        """Left bone with noise of its own, in the middle a slope with the same, right flat muscle with less noise."""
        image = noise((1, 96, 96), sigma_hu=40)[0] + 50
        image[:, :32] += 800
        image[:, 32:64] += np.linspace(-300, 300, 32)
        image[:, 64:] = 50 + noise((1, 96, 32), sigma_hu=5, seed=1)[0]
        patches = realism.homogeneous_patches(np.rint(image)[None].astype(np.int16))
        assert patches.shape == (realism.PATCHES_PER_IMAGE, 16, 16)
        assert patches.std(axis=(1, 2)) == pytest.approx(5, rel=0.2)
        assert patches.mean(axis=(1, 2)) == pytest.approx(0, abs=1e-9)

    def test_a_surface_of_second_order_is_not_noise(self):
        y, x = np.mgrid[:16, :16] - 7.5
        surface = 60 + x - 0.5 * y + 0.1 * x * y + 0.05 * x**2 - 0.02 * y**2
        patches = realism.homogeneous_patches(np.tile(surface, (1, 3, 3)))
        np.testing.assert_allclose(patches, 0, atol=1e-9)

    @pytest.mark.parametrize("hu", [-1024, 50, 800])
    def test_air_bone_and_what_was_filled_in_have_no_noise_to_measure(self, hu):
        patches = realism.homogeneous_patches(np.full((2, 64, 64), hu, np.int16))
        assert patches.shape == (0, 16, 16)
        assert realism.noise_power_spectrum(patches, spacing_mm=0.5).empty
        assert realism.noise_frequencies(patches, spacing_mm=0.5).shape == (0,)


class TestEdges:
    @settings(max_examples=25, deadline=None)
    @given(sigma_px=st.floats(0.7, 2.5), spacing_mm=st.floats(0.3, 0.6), angle=st.floats(0, 2 * np.pi))
    def test_a_blurred_step_rises_over_its_known_distance(self, sigma_px, spacing_mm, angle):
        image = step(sigma_mm=sigma_px * spacing_mm, spacing_mm=spacing_mm, angle=angle)
        widths = realism.edge_widths_mm(np.rint(image)[None].astype(np.int16), spacing_mm=spacing_mm)
        assert len(widths)
        assert np.median(widths) == pytest.approx(RISE_OF_GAUSSIAN * sigma_px * spacing_mm, rel=0.05)

    @pytest.mark.parametrize("sigma_mm", [0.5, 0.75, 1.0])
    def test_noise_changes_the_width_little(self, sigma_mm):
        images = np.stack([step(sigma_mm=sigma_mm, spacing_mm=0.5, angle=angle) for angle in range(12)])
        noisy = images + noise(images.shape, sigma_hu=20, smooth_px=0.8)
        widths = realism.edge_widths_mm(np.rint(noisy).astype(np.int16), spacing_mm=0.5)
        assert np.median(widths) == pytest.approx(RISE_OF_GAUSSIAN * sigma_mm, rel=0.15)

    def test_grey_values_give_the_same_widths_as_hu(self):
        image = step(sigma_mm=0.8, spacing_mm=0.5, low=0, high=1000)
        grey = np.rint(20 + image / 5).astype(np.uint8)
        found = [np.median(realism.edge_widths_mm(pixels[None], spacing_mm=0.5)) for pixels in (np.int16(image), grey)]
        assert found[1] == pytest.approx(found[0], rel=0.03)

    @pytest.mark.parametrize(("low", "high", "dtype"), [(-1024, 40, np.int16), (0, 200, np.uint8), (50, 255, np.uint8)])
    def test_edges_of_air_and_clipped_ones_are_left_out(self, low, high, dtype):
        image = step(sigma_mm=0.8, spacing_mm=0.5, low=low, high=high)
        assert realism.edge_widths_mm(np.rint(image)[None].astype(dtype), spacing_mm=0.5).size == 0

    def test_a_flat_image_has_no_edge(self):
        assert realism.edge_widths_mm(np.full((1, 64, 64), 40, np.int16), spacing_mm=1.0).size == 0


@pytest.fixture(scope="module")
def sharp():
    images = np.stack([step(sigma_mm=0.5, spacing_mm=0.5, angle=angle) for angle in range(6)])
    return np.rint(images + noise(images.shape, sigma_hu=10)).astype(np.int16)


class TestComparison:
    def test_a_cohort_equals_itself(self, sharp):
        one = realism.measure(cohort_of(sharp), spacing_mm=0.5)
        table = realism.compare(one, [one])
        assert table["value"].tolist() == pytest.approx([0, 1, 1, 1])

    def test_distances_are_those_that_were_put_in(self, sharp):
        """50 HU more everywhere, and noise of twice the strength where all is flat."""
        flat = np.full((6, 64, 64), 30.0)
        weak, strong = flat + noise(flat.shape, sigma_hu=8), flat + 50 + noise(flat.shape, sigma_hu=16)
        one, two = (
            realism.measure(cohort_of(np.rint(images).astype(np.int16)), spacing_mm=0.5) for images in (weak, strong)
        )
        value = realism.compare(one, [two]).set_index("quantity")["value"]
        assert value["histogram"] == pytest.approx(50, abs=2)
        assert value["noise"] == pytest.approx(2, rel=0.1)
        assert value["noise frequency"] == pytest.approx(1, rel=0.1)

    def test_grey_values_are_compared_by_edges_alone(self, sharp):
        grey = (20 + np.clip(sharp, 0, 1000) / 5).astype(np.uint8)
        one = realism.measure(cohort_of(sharp), spacing_mm=0.5)
        two = realism.measure(cohort_of(grey, title="two (real)"), spacing_mm=0.5)
        table = realism.compare(one, [two]).set_index("quantity")
        assert table["value"].isna().to_dict() == {
            "histogram": True, "noise": True, "noise frequency": True, "edge width": False,
        }  # fmt: skip
        assert table.loc["histogram", "reading"].startswith("not comparable")
        summary = realism.summarise([one, two]).query("cohort == 'two (real)'").set_index("quantity")
        assert summary.loc["noise", "n"] == 0
        assert np.isnan(summary.loc["noise", "median"])

    def test_no_other_cohort_gives_an_empty_table(self, sharp):
        assert realism.compare(realism.measure(cohort_of(sharp), spacing_mm=0.5), []).empty

    def test_summary_holds_quartiles(self, sharp):
        appearance = realism.measure(cohort_of(sharp), spacing_mm=0.5)
        row = realism.summarise([appearance]).set_index("quantity").loc["noise"]
        values = appearance.values["noise"]
        assert row[["q25", "median", "q75"]].tolist() == pytest.approx(np.quantile(values, (0.25, 0.5, 0.75)).tolist())
        assert (row["n"], row["images"]) == (len(values), 6)


class TestSample:
    def test_no_more_images_than_asked_for_and_always_the_same(self, sharp):
        two = [realism.measure(cohort_of(sharp), spacing_mm=0.5, at_most=4) for _ in range(2)]
        assert two[0].n_images == 4
        np.testing.assert_array_equal(*(item.values["edge width"] for item in two))

    def test_three_planes_are_measured_by_the_middle_one(self, sharp):
        stack = np.stack([np.zeros_like(sharp), sharp, np.zeros_like(sharp)], axis=1)
        one, three = (realism.measure(cohort_of(images), spacing_mm=0.5) for images in (sharp, stack))
        pd.testing.assert_frame_equal(one.histogram, three.histogram)
        np.testing.assert_array_equal(one.values["noise"], three.values["noise"])


def test_cohorts_of_a_run_are_its_own_and_the_external_ones(cohort, run):
    params = PreprocessingParams(spacing_mm=1.0, image_size=32)
    writer = Run(run.folder, stage="01_data_audit")
    writer.write_table("cohort", cohort.table)
    cache_images(cohort.table, params, source=cohort.source, run=run)
    (alone,) = realism.cohort_images(run)
    assert alone.title == "this study (simulated)"  # the run's parameters say so
    assert alone.labels.tolist() == cohort.table["label"].tolist()

    external = ExternalCohort(name="clinic", **cohort.source.params.model_dump())
    opened = open_run(str(run.folder), ExternalParams(external=[external]), stage="02_preprocessing")
    writer.write_table("external", cohort.table.head(2).assign(cohort="clinic"))
    cache_external([external], params, run=opened)
    own, other = realism.cohort_images(opened)
    assert (other.title, len(other.images), other.labels.tolist()) == (
        "clinic (real)", 2, cohort.table["label"].head(2).tolist(),
    )  # fmt: skip
    np.testing.assert_array_equal(other.images, own.images[:2])
