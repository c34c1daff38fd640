import numpy as np
import pandas as pd

from helpers.preprocessing import cache_images, plots
from helpers.preprocessing.realism import CohortImages, measure
from helpers.study import PreprocessingParams

NAMES = {"A": "a", "B": "b"}


def test_sheet_shows_the_cached_pixels_of_each_class(cohort, run):
    params = PreprocessingParams(spacing_mm=1.0, image_size=32)
    cache_images(cohort.table, params, source=cohort.source, run=run)
    images = run.read_array("images")
    figure = plots.cached_sheet(images, cohort.table, class_names=NAMES, per_class=2)
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    rows = [row for key in NAMES for row in np.flatnonzero(cohort.table["label"] == key)[:2]]
    assert len(shown) == len(rows) == 4
    for picture, row in zip(shown, rows, strict=True):
        np.testing.assert_array_equal(picture, images[row])


def test_padding_is_shown_for_each_class(cohort):
    index = pd.DataFrame({"sample_id": cohort.table["sample_id"], "padded_fraction": np.linspace(0, 0.5, 6)})
    figure = plots.resampling(cohort.table, index, class_names=NAMES, spacing_mm=0.5)
    _, right = figure.axes
    points = np.concatenate([group.get_offsets()[:, 0] for group in right.collections])
    assert sorted(points) == sorted(100 * index["padded_fraction"])
    assert [label.get_text() for label in right.get_yticklabels()] == ["a", "b"]


def test_cohorts_stand_beside_each_other_by_class():
    images = np.random.default_rng(0).integers(-100, 900, (4, 16, 16)).astype(np.int16)
    one = CohortImages("one (simulated)", images, np.array(["A", "B", "A", "A"]))
    two = CohortImages("two (real)", images[::-1], np.array(["A", "fracture", "A", "A"]))
    figure = plots.side_by_side([one, two], class_names=NAMES, per_class=2)
    left, right = figure.subfigs
    shown = [[axis.images[0].get_array() for axis in part.axes if axis.images] for part in (left, right)]
    for found, cohort, rows in zip(shown, (one, two), ([0, 2, 1], [0, 2, 1]), strict=True):
        np.testing.assert_array_equal(found, cohort.images[rows])
    assert [axis.get_title(loc="left") for axis in right.axes[::2]] == ["a", "b: none", "fracture"]


def test_appearance_has_a_line_for_each_cohort_that_can_be_compared():
    rng = np.random.default_rng(0)
    hu, grey = rng.integers(20, 80, (3, 64, 64)).astype(np.int16), rng.integers(20, 80, (3, 64, 64)).astype(np.uint8)
    measured = [
        measure(CohortImages(name, images, np.full(3, "A")), spacing_mm=0.5)
        for name, images in (("one", hu), ("two", grey))
    ]
    histogram, spectrum, _ = plots.appearance(measured).axes
    np.testing.assert_allclose(histogram.lines[0].get_ydata(), measured[0].histogram["density"])
    assert [len(axis.lines[1].get_xdata()) for axis in (histogram, spectrum)] == [0, 0]
