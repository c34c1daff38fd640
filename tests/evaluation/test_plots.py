import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers.evaluation import evaluate, plots

FIGURES = [
    plots.plot_confusion,
    plots.plot_forest,
    plots.plot_roc,
    plots.plot_reliability,
    plots.plot_paper_comparison,
]


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("plot", FIGURES)
def test_figure_is_titled_and_labelled(evaluation, plot):
    figure = plot(evaluation)
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title(loc="left")
    assert any(axes.get_xlabel() for axes in figure.axes)


@pytest.mark.parametrize("plot", FIGURES)
def test_cohort_with_an_absent_class_and_one_patient_is_still_drawn(make_answers, class_names, plot, tmp_path):
    frame = make_answers("AABB", "AABB", patients=["p"] * 4)
    result = evaluate(frame, class_names=class_names, normal_class="C", n_bootstrap=100)
    plot(result).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_confusion_cells_lie_in_reference_row_and_predicted_column(evaluation):
    axes = plots.plot_confusion(evaluation).axes[0]
    assert axes.get_ylabel() == "Reference class"
    assert axes.get_xlabel() == "Predicted class"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A compression", "B burst", "C normal"]
    assert axes.yaxis_inverted()
    drawn = {text.get_position(): text.get_text().splitlines() for text in axes.texts}
    for row in range(3):
        for column in range(3):
            count, percent, *_ = drawn[(column + 0.5, row + 0.5)]
            share = evaluation.confusion[row, column] / evaluation.confusion[row].sum()
            assert (count, percent) == (str(evaluation.confusion[row, column]), f"{100 * share:.1f} %")


def test_forest_has_a_line_for_every_metric(evaluation):
    axes = plots.plot_forest(evaluation).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels.count("AUROC") == 4
    assert labels.count("Accuracy") == 1
    accuracy = evaluation.overall["accuracy"]
    assert f"{accuracy.estimate:.3f} ({accuracy.ci_low:.3f}–{accuracy.ci_high:.3f})" in texts(axes)


def test_forest_of_two_classes_does_not_repeat_the_fracture_question(make_study):
    frame = make_study(seed=4).drop(columns="logit_C").query("y_true != 'C'")
    names = {"A": "fracture", "B": "normal"}
    axes = plots.plot_forest(evaluate(frame, class_names=names, normal_class="B", n_bootstrap=100)).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert "Fracture against normal" not in labels
    assert labels.count("AUROC") == 2


def test_roc_curves_differ_in_colour_and_line_style(evaluation):
    axes = plots.plot_roc(evaluation).axes[0]
    curves = axes.get_lines()[:3]
    assert len({line.get_color() for line in curves}) == 3
    assert len({line.get_linestyle() for line in curves}) == 3
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[0].startswith(f"A compression: {evaluation.per_class['A']['auroc'].estimate:.3f} (")


def test_reliability_bars_count_all_images(evaluation):
    below = plots.plot_reliability(evaluation).axes[1]
    assert sum(bar.get_height() for bar in below.patches) == len(evaluation.samples)


def test_paper_figure_shows_ours_and_the_sizes_of_both_splits(evaluation):
    training, validation = plots.plot_paper_comparison(evaluation).axes
    sizes = [{label.get_text() for label in axes.get_yticklabels()} for axes in (training, validation)]
    ours = f"n = {len(evaluation.samples)}"
    assert {"n = 588", "n = 259", ours} <= sizes[0]
    assert {"n = 55", "n = 110", "n = 439", ours} <= sizes[1]
    drawn = np.concatenate([line.get_xdata() for line in validation.get_lines()])
    assert evaluation.overall["accuracy"].estimate in drawn
