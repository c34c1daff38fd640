import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers.evaluation import evaluate, plots

FIGURES = [
    plots.plot_confusion,
    plots.plot_forest,
    plots.plot_roc,
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


def test_paper_figure_shows_ours_and_the_sizes_of_both_splits(evaluation):
    training, validation = plots.plot_paper_comparison(evaluation).axes
    sizes = [{label.get_text() for label in axes.get_yticklabels()} for axes in (training, validation)]
    ours = f"n = {len(evaluation.samples)}"
    assert {"n = 588", "n = 259", ours} <= sizes[0]
    assert {"n = 55", "n = 110", "n = 439", ours} <= sizes[1]
    drawn = np.concatenate([line.get_xdata() for line in validation.get_lines()])
    assert evaluation.overall["accuracy"].estimate in drawn


@pytest.fixture(scope="module")
def bins():
    places = np.linspace(0.1, 0.9, 4)
    found = pd.DataFrame({"mean_probability": places, "share": places**2})
    found = found.assign(ci_low=found["share"] - 0.1, ci_high=found["share"] + 0.1)
    return pd.concat([found.assign(of=name) for name in ("answer given", "A", "B")])


def test_calibration_has_a_panel_for_each_event_and_both_stages(bins):
    names = {"answer given": "The answer", "A": "A compression", "B": "B burst"}
    figure = plots.plot_calibration(bins, bins.assign(share=0.5), names=names)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == list(names.values())
    for axes in shown:
        trained, scaled = axes.get_lines()[1:]
        np.testing.assert_allclose(trained.get_ydata(), np.linspace(0.1, 0.9, 4) ** 2)
        assert set(scaled.get_ydata()) == {0.5}
        assert trained.get_marker() != scaled.get_marker()


def test_risk_coverage_ends_at_the_error_of_all_images():
    curve = pd.DataFrame({"coverage": [0.5, 1.0], "error": [0.0, 0.2], "optimum": [0.0, 0.2]})
    axes = plots.plot_risk_coverage(curve.assign(band_low=0.0, band_high=0.3), confidence=0.9).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["surest first"].get_ydata()[-1] == 0.2
    assert set(lines["random order"].get_ydata()) == {0.2}
    assert "90 %" in axes.get_legend().get_texts()[1].get_text()


def test_coverage_is_drawn_beside_the_promise(evaluation):
    shares = {key: metrics["sensitivity"] for key, metrics in evaluation.per_class.items()}
    axes = plots.plot_coverage(shares, promised=0.9).axes[0]
    assert axes.get_lines()[0].get_xdata()[0] == 0.9
    assert [label.get_text() for label in axes.get_yticklabels()] == list(shares)
    assert "90 %" in axes.get_xlabel()


def test_decision_curve_has_a_panel_for_each_question():
    curve = pd.DataFrame({"threshold": [0.1, 0.5], "net_benefit": [0.4, 0.3], "ci_low": 0.2, "ci_high": 0.5})
    curve = curve.assign(treat_all=[0.35, -0.2], treat_none=0.0)
    panels = plots.plot_decision({"burst": curve, "any fracture": curve}).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["Net benefit: burst", "Net benefit: any fracture"]
    assert len({line.get_linestyle() for line in panels[0].get_lines()}) == 3


def test_differences_are_written_with_their_p_value():
    table = pd.DataFrame({"rival": ["majority", "heights"], "difference": [0.5, -0.02], "p_holm": [0.0005, 0.4]})
    axes = plots.plot_differences(table.assign(ci_low=-0.1, ci_high=0.6), measure="Accuracy").axes[0]
    assert texts(axes) == ["+0.500, p < 0.001", "-0.020, p = 0.400"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["against majority", "against heights"]


@pytest.mark.parametrize("measures", [["accuracy", "sensitivity of B"], []])
def test_half_widths_fall_with_patients(measures, tmp_path):
    columns = {"n_patients": [50, 200], "half_width": [0.1, 0.05], "low": [0.08, 0.04], "high": [0.12, 0.06]}
    parts = [pd.DataFrame(columns).assign(measure=measure) for measure in measures]
    curves = pd.concat(parts) if parts else pd.DataFrame(columns=["measure", *columns], dtype=float)
    figure = plots.plot_half_width(curves, half_width=0.03)
    figure.savefig(tmp_path / "figure.png")
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == [*measures, "wished for: ± 3 points"]
    ticks = zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    for place, label in ticks:
        assert float(label.get_text().rstrip("%").replace("−", "-")) == pytest.approx(100 * place, abs=0.05)


def test_operating_point_lies_on_its_curve_beside_its_counts():
    counts, curve = np.array([[3, 1], [2, 8]]), np.array([[0, 0.2, 1], [0, 0.75, 1]])
    ranking, matrix = plots.plot_operating_point(counts, curve=curve).axes
    line, point, _ = ranking.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == (list(curve[0]), list(curve[1]))
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.2, 0.75)
    assert texts(matrix) == ["3\n75.0 %", "1\n25.0 %", "2\n20.0 %", "8\n80.0 %"]
    assert (matrix.get_ylabel(), matrix.get_xlabel()) == ("Reference", "Answer")
