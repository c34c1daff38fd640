import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import FancyBboxPatch

from helpers.cohort import plots, read_cohort, split_cohort
from helpers.study import SplitParams


@pytest.fixture
def cohort(clean_cohort, dicom_params):
    return read_cohort(dicom_params)


NAMES = {"A": "compression", "B": "burst", "C": "normal"}


def words(figure):
    figure.canvas.draw()
    return [text.get_text() for axis in figure.axes for text in [axis.title, *axis.texts]]


def test_examples_prefer_different_patients(cohort):
    table = cohort.table.assign(PatientID=["p"] * 6 + ["q", "r", "s"], label="A")
    chosen = plots.examples(table, per_class=4)
    assert set(chosen["PatientID"]) == {"p", "q", "r", "s"}
    assert chosen.equals(plots.examples(table.sample(frac=1, random_state=0), per_class=4))


def test_contact_sheet_shows_all_classes_at_one_scale(cohort):
    figure = plots.contact_sheet(cohort.table, source=cohort.source, class_names=NAMES, per_class=4)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 9
    for axis in shown:
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        assert (right - left) * 0.4 == pytest.approx(plots.FIELD_MM)
        assert (bottom - top) * 0.5 == pytest.approx(plots.FIELD_MM)
        # A source pixel is 0.5 mm high and 0.4 mm wide, and drawn so.
        assert axis.get_aspect() == pytest.approx(0.5 / 0.4)


def test_bars_show_the_number_of_samples(cohort):
    splits = split_cohort(cohort.table, SplitParams(n_folds=3, validation_fraction=0.3))
    figure = plots.class_by_split(cohort.table, splits, class_names=NAMES)
    for axis in figure.axes:
        heights = sum(patch.get_height() for patch in axis.patches)
        assert heights == (splits["split"] == axis.get_title()).sum()


def test_flow_diagram_tells_counts_and_reasons():
    flow = [
        {"step": "files", "n_files": 12, "n_samples": None, "n_patients": None, "excluded": {}},
        {"step": "samples", "n_files": 9, "n_samples": 8, "n_patients": 7, "excluded": {"not_ct": 3}},
    ]
    text = "\n".join(words(plots.flow_diagram(flow)))
    for expected in ("12 files", "9 files, 8 samples, 7 patients", "not ct: 3"):
        assert expected in text


def test_flow_boxes_hold_their_text():
    many = {f"a_rather_long_reason_{number}": 1234 for number in range(9)}
    flow = [
        {"step": "rows with file and label in order", "n_files": 99999, "n_samples": 99999, "n_patients": 99999}
    ] * 3
    figure = plots.flow_diagram([step | {"excluded": many if place else {}} for place, step in enumerate(flow)])
    figure.canvas.draw()
    (axis,) = figure.axes
    inside = axis.get_window_extent()
    for text in axis.texts:
        box = text.get_window_extent()
        assert box.x0 >= inside.x0
        assert box.x1 <= inside.x1
        holders = [patch.get_window_extent() for patch in axis.patches if patch.get_window_extent().height > 30]
        assert any(_within(box, holder) for holder in holders), text.get_text()
    assert any("1 other reasons: 1234" in text.get_text() for text in axis.texts)


def test_flow_boxes_do_not_overlap():
    excluded = {f"reason_{number}": number for number in range(8)}
    step = {"step": "step", "n_files": 9, "n_samples": 9, "n_patients": 9}
    figure = plots.flow_diagram([step | {"excluded": excluded if place else {}} for place in range(4)])
    figure.canvas.draw()
    (axis,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axis.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == 7
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_confounds_are_dots_with_their_intervals():
    table = pd.DataFrame(
        {
            "column": ["KVP", "ConvolutionKernel", "KVP"],
            "kind": ["numeric", "text", "missing"],
            "effect": [0.1, 0.8, 0.3],
            "ci_low": [0.0, 0.7, 0.2],
            "ci_high": [0.2, 0.9, 0.4],
            "p_holm": [0.5, 0.001, 0.2],
        }
    )
    figure = plots.confounds(table)
    figure.canvas.draw()
    (axis,) = figure.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["tube voltage (kV)", "tube voltage (kV), missing or not", "kernel"]
    intervals, dots = axis.lines[::2], axis.lines[1::2]
    assert [list(line.get_xdata()) for line in intervals] == [[0, 0.2], [0.2, 0.4], [0.7, 0.9]]
    assert [line.get_xdata()[0] for line in dots] == [0.1, 0.3, 0.8]
    assert [line.get_markerfacecolor() == "white" for line in dots] == [True, True, False]


def test_confounds_of_nothing_say_so():
    columns = ["column", "kind", "effect", "ci_low", "ci_high", "p_holm"]
    assert "no column varies" in words(plots.confounds(pd.DataFrame(columns=columns)))


def test_leakage_counts_are_summed_over_folds():
    pairs = ["train and validation", "train and test"]
    matrix = pd.DataFrame(
        [
            {"fold": fold, "pair": pair, "patients": fold, "identical_images": 0}
            for fold in (1, 2)
            for pair in reversed(pairs)
        ]
    )
    figure = plots.leakage(matrix)
    figure.canvas.draw()
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == pairs[::-1]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["patients", "identical\nimages"]
    assert [text.get_text() for text in axis.texts] == ["3", "0", "3", "0"]
    assert "over all folds" in axis.get_title()


def _within(inner, outer):
    return inner.x0 >= outer.x0 and inner.x1 <= outer.x1 and inner.y0 >= outer.y0 and inner.y1 <= outer.y1


def test_histogram_of_hu_finds_the_value_of_every_pixel(clean_cohort, dicom_params, folder, write_ct):
    for row in clean_cohort:
        write_ct(folder / row["file"], stored=np.full((4, 4), 1024 + 300), PatientID=row["PatientID"])
    cohort = read_cohort(dicom_params)
    shares = plots.pixel_values(cohort.table, source=cohort.source, class_names=NAMES, per_class=2)
    assert shares[list(NAMES.values())].sum().tolist() == pytest.approx([100] * 3)
    (axis,) = plots.intensities(shares).axes
    assert axis.get_xlabel() == "HU"
    for line in axis.lines:
        assert line.get_xdata()[np.argmax(line.get_ydata())] == pytest.approx(300, abs=25)


def test_geometry_names_the_classes(cohort):
    left, _ = plots.geometry(cohort.table, class_names=NAMES).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(NAMES.values())


def test_confounds_of_a_table_without_rows_say_so():
    figure = plots.confounds(pd.DataFrame([]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["no column varies"]
