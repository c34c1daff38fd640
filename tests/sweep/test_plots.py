import numpy as np
import pytest

from helpers.sweep.comparison import compare_rows
from helpers.sweep.plots import plot_learning_curve, plot_rows
from helpers.sweep.rows import run_rows
from helpers.sweep.variations import load_sweep


@pytest.fixture
def table(project, folder, screen):
    sweep = load_sweep("tiny.yaml")
    return compare_rows(sweep, folder, problems=run_rows(sweep, folder, screen=screen))


def test_rows_with_a_result_stand_below_each_other_first_on_top(table):
    left, right = plot_rows(table).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["reference", "weaker", "fewer", "coarse"]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    shown = table[(table["metric"] == "balanced_accuracy") & table["estimate"].notna()]
    np.testing.assert_allclose(left.lines[0].get_xdata(), shown["estimate"])
    np.testing.assert_allclose(right.lines[0].get_xdata(), shown["difference"])


def test_learning_curve_rises_from_few_to_many_patients(table):
    (axes,) = plot_learning_curve(table, rows=["reference", "fewer"]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "20"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "Accuracy",
        "Balanced accuracy",
        "Macro AUROC",
    ]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [10, 20])
