import numpy as np
import pandas as pd

from helpers.preprocessing import cache_images, plots
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
