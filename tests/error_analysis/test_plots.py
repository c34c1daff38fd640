import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis import reading_crops
from helpers.error_analysis.plots import (
    component_names,
    gallery_titles,
    plot_error_rates,
    plot_feature_map,
    plot_gallery,
    plot_robustness,
    plot_saliency,
    plot_saliency_pairs,
    plot_thumbnails,
    score_titles,
)


def test_titles_name_reference_prediction_and_level():
    rows = pd.DataFrame(
        {
            "sample_id": ["s1", "s2"],
            "y_true": ["A", "B"],
            "y_pred": ["B", "B"],
            "confidence": [0.91, 0.5],
            "level": ["L1", None],
        }
    )
    first, second = gallery_titles(rows)
    assert first == "L1 A → B, 0.91\ns1"
    assert second == "B → B, 0.50\ns2"
    assert gallery_titles(rows.iloc[:0]) == []


@pytest.mark.parametrize("n", [1, 4, 5])
def test_one_picture_for_each_image(n):
    images = np.zeros((n, 8, 8))
    figure = plot_gallery(images, titles=[str(i) for i in range(n)])
    assert [axis.get_title() for axis in figure.axes if axis.images] == [str(i) for i in range(n)]


def test_saliency_is_laid_over_its_image_on_one_scale():
    maps = np.zeros((2, 8, 8))
    maps[0, 2, 3] = 0.5
    figure = plot_saliency(np.zeros((2, 8, 8)), maps, titles=["a", "b"])
    overlays = [axis.images[1] for axis in figure.axes[:2]]
    assert [overlay.get_clim() for overlay in overlays] == [(0, 1), (0, 1)]
    assert overlays[0].get_array()[2, 3] == 0.5


@pytest.mark.parametrize("overlaid", [False, True])
def test_nothing_to_show_is_said_in_words(overlaid):
    none = np.zeros((0, 8, 8))
    figure = plot_saliency(none, none, titles=[]) if overlaid else plot_gallery(none, titles=[])
    assert "nothing to show" in figure.texts[0].get_text()


def test_outlines_are_drawn_where_there_is_a_mask_and_explained():
    masks = {"body": np.zeros((2, 8, 8), dtype=bool), "broken": np.zeros((2, 8, 8), dtype=bool)}
    masks["body"][:, 2:6, 2:6] = True
    masks["broken"][0, 2:4, 2:6] = True
    figure = plot_saliency(np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), titles=["a", "b"], outlines=masks)
    assert [len(axis.collections) for axis in figure.axes[:2]] == [2, 1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["body", "broken"]


def test_every_error_rate_has_its_line_below_its_factor():
    rates = pd.DataFrame(
        [("class", "A", 10, 0.5, 0.2, 0.8), ("class", "B", 4, 0.0, 0.0, 0.5), ("age", "acute", 7, 1.0, 0.6, 1.0)],
        columns=["factor", "group", "images", "error_rate", "ci_low", "ci_high"],
    )
    (axis,) = plot_error_rates(rates, overall=0.4).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "class", "A  (n = 10)", "B  (n = 4)", "age", "acute  (n = 7)",
    ]  # fmt: skip
    points = [line.get_xydata()[0].tolist() for line in axis.lines if line.get_marker() == "o"]
    assert points == [[0.5, 1], [0.0, 2], [1.0, 4]]
    assert axis.get_xlim() == (0, 1)


def test_small_error_rates_fill_their_axis():
    columns = ["factor", "group", "images", "error_rate", "ci_low", "ci_high"]
    (axis,) = plot_error_rates(pd.DataFrame([("class", "A", 90, 0.1, 0.0, 0.3)], columns=columns), overall=0.1).axes
    assert axis.get_xlim() == pytest.approx((0, 0.33))
    (axis,) = plot_error_rates(pd.DataFrame([("class", "A", 90, 0.0, np.nan, np.nan)], columns=columns), overall=0).axes
    assert axis.get_xlim() == (0, 0.2)


@pytest.mark.parametrize("pixels", [np.full((11, 8, 8), 200, np.uint8), np.full((11, 8, 8), 675, np.int16)])
def test_thumbnails_stand_in_rows_of_ten_with_a_frame_by_answer(pixels):
    is_right = [True] * 8 + [False] * 3
    images = reading_crops(pixels, size=4)
    figure = plot_thumbnails(images, titles=[str(number) for number in range(11)], is_right=is_right)
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in shown] == [str(number) for number in range(11)]
    assert {axis.get_subplotspec().colspan.start for axis in shown} == set(range(10))
    widths = [axis.spines["left"].get_linewidth() for axis in shown]
    colours = [axis.spines["left"].get_edgecolor() for axis in shown]
    assert len(set(colours[:8])) == len(set(colours[8:])) == 1
    assert colours[0] != colours[8]
    assert min(widths[8:]) > max(widths[:8])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["right: 8", "wrong: 3"]
    np.testing.assert_allclose(shown[0].images[0].get_array(), 200 / 255 if pixels.dtype == np.uint8 else 0.75)


def test_titles_of_scored_samples_leave_out_what_is_not_known():
    scores = pd.DataFrame(
        {"level": ["T12", None], "label": ["fracture", "C"], "grade": [2.0, np.nan], "score": [0.876, 0.1]}
    )
    assert score_titles(scores) == ["T12 fracture\ngrade 2, 0.88", "C\n0.10"]


def test_methods_stand_side_by_side_for_each_image():
    maps = {"LayerCAM": np.zeros((3, 8, 8)), "Occlusion": np.ones((3, 8, 8))}
    figure = plot_saliency_pairs(np.zeros((3, 8, 8)), maps, titles=["a\ns1", "b\ns2", "c\ns3"])
    shown = [axis for axis in figure.axes if len(axis.images) == 2]
    assert [axis.get_title() for axis in shown] == [f"{name}\n{key}" for key in "abc" for name in maps]
    assert [axis.images[1].get_array().max() for axis in shown] == [0, 1] * 3
    assert {axis.images[1].get_clim() for axis in shown} == {(0, 1)}


def test_robustness_has_an_axis_for_each_change_and_a_line_at_the_notable_loss():
    columns = ["change", "unit", "severity", "estimate", "ci_low", "ci_high"]
    rows = [(name, "mm", step, 0.9 - 0.1 * step, 0.5, 1.0) for name in ("blur", "shift") for step in (0.0, 1.0, 2.0)]
    figure = plot_robustness(pd.DataFrame(rows, columns=columns), notable_drop=0.05)
    drawn = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in drawn] == ["blur", "shift"]
    assert [label.get_text() for label in drawn[0].get_xticklabels()] == ["none", "1", "2"]
    np.testing.assert_allclose(drawn[0].lines[0].get_ydata(), [0.9, 0.8, 0.7])
    np.testing.assert_allclose(drawn[0].lines[1].get_ydata(), 0.85)


def robustness_axis(severities: list[float]):
    columns = ["change", "unit", "severity", "estimate", "ci_low", "ci_high"]
    rows = [("change", "unit", step, 0.8, 0.5, 1.0) for step in (0.0, *severities)]
    return plot_robustness(pd.DataFrame(rows, columns=columns), notable_drop=0.05).axes[0]


def test_severities_stand_at_their_true_places():
    axis = robustness_axis([2.0, 5.0, 10.0])
    assert axis.lines[0].get_xdata().tolist() == [0, 2, 5, 10]
    assert axis.get_xticks().tolist() == [0, 2, 5, 10]


def test_on_a_falling_scale_unchanged_images_stand_apart_and_first():
    axis = robustness_axis([50.0, 20.0, 5.0])
    assert [line.get_xdata().tolist() for line in axis.lines[:2]] == [[68], [50, 20, 5]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["none", "50", "20", "5"]
    left, right = axis.get_xlim()
    assert left > 68 > 5 > right


def test_map_is_drawn_once_for_each_colouring_that_is_known():
    coordinates = np.arange(16.0).reshape(8, 2)
    colourings = {
        "class": pd.Series(list("AABBABAB")),
        "scanner": pd.Series([*"abcdefg", None]),
        "unknown": pd.Series([np.nan] * 8),
    }
    figure = plot_feature_map(coordinates, colourings=colourings, axis_names=component_names(np.array([0.5, 0.25])))
    assert [axis.get_legend().get_title().get_text() for axis in figure.axes] == ["class", "scanner"]
    assert figure.axes[0].get_xlabel() == "1st component (50% of variance)"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["A", "B"]
    points = [sum(len(collection.get_offsets()) for collection in axis.collections) for axis in figure.axes]
    assert points == [8, 8]
    assert len(figure.axes[1].get_legend().get_texts()) == 6
