import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis.dependence import FACTORS, mean_probabilities, probability_table
from helpers.error_analysis.plots import plot_dependence
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=100)


@pytest.fixture
def known() -> tuple[pd.DataFrame, pd.DataFrame]:
    """40 images of 20 patients: the more height is lost, the surer the answer A; the canal is never narrowed."""
    lost = np.linspace(0, 0.5, 40)
    samples = [f"s{i}" for i in range(40)]
    ranked = pd.DataFrame({"sample_id": samples, "PatientID": "x", "p_A": lost, "p_C": 1 - lost})
    truth = pd.DataFrame({"sample_id": samples, "PatientID": [f"p{i // 2}" for i in range(40)]})
    return ranked, truth.assign(height_ratio=1 - lost, canal_narrowing=0.0)


def test_means_are_those_of_the_images_of_the_group(known):
    ranked, truth = known
    table = mean_probabilities(ranked, truth=truth, classes=["A", "C"], params=PARAMS)
    lost = 1 - truth["height_ratio"]
    group = table[(table["factor"] == "height lost") & (table["group"] == "30% to 40%")].set_index("class")
    expected = ranked["p_A"][(lost >= 0.3) & (lost < 0.4)]
    assert group.loc["A", "images"] == len(expected)
    assert group.loc["A", "probability"] == pytest.approx(expected.mean())
    assert group.loc["C", "probability"] == pytest.approx(1 - expected.mean())
    assert (table["ci_low"] <= table["probability"]).all()
    assert (table["probability"] <= table["ci_high"]).all()


def test_groups_of_few_patients_are_left_out(known):
    table = mean_probabilities(known[0], truth=known[1], classes=["A"], params=PARAMS)
    assert (table["patients"] >= 3).all()
    assert table[table["factor"] == "canal narrowed"]["group"].tolist() == ["under 5%"]


def test_the_other_measure_is_held(known):
    ranked, truth = known
    narrowed = truth.assign(canal_narrowing=np.where(truth.index < 20, 0.3, 0.0))
    table = mean_probabilities(ranked, truth=narrowed, classes=["A"], params=PARAMS)
    assert table[["factor", "group", "images"]].to_numpy().tolist() == [
        ["height lost", "30% to 40%", 8],
        ["height lost", "40% and more", 8],
        ["canal narrowed", "under 5%", 20],
    ]


def test_figure_has_a_panel_for_each_factor_and_a_line_for_each_class(known):
    table = mean_probabilities(known[0], truth=known[1], classes=["A", "C"], params=PARAMS)
    figure = plot_dependence(table, class_names={"A": "compression", "C": "normal"})
    assert [axis.get_xlabel() for axis in figure.axes] == [f"{factor}, mean of the group" for factor in FACTORS]
    assert all(len(axis.lines) == 2 for axis in figure.axes)
    of_height = table[(table["factor"] == "height lost") & (table["class"] == "A")]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), of_height["probability"])


def test_table_for_reading_has_a_row_for_each_group_in_order(known):
    means = mean_probabilities(known[0], truth=known[1], classes=["A", "C"], params=PARAMS)
    table = probability_table(means, class_names={"A": "compression", "C": "normal"})
    assert list(table) == ["factor", "group", "images", "patients", "A compression", "C normal"]
    assert table["group"].tolist() == means["group"][::2].tolist()
    assert table["A compression"].iloc[0].startswith(f"{means['probability'].iloc[0]:.2f} (")


def test_equal_answers_have_no_interval_and_are_drawn(known):
    """No replicate differs, so there is no interval: a number alone, not a traceback."""
    same = known[0].assign(p_A=0.5, p_C=0.5)
    means = mean_probabilities(same, truth=known[1], classes=["A", "C"], params=PARAMS)
    names = {"A": "compression", "C": "normal"}
    plot_dependence(means, class_names=names).canvas.draw()
    assert means["ci_low"].dtype == float
    assert probability_table(means, class_names=names)["A compression"].str.startswith("0.50").all()
