import pytest

from helpers.evaluation.coverage import ACCEPTED, coverage_by_size, coverage_table, with_coverage_notes
from helpers.evaluation.estimates import Metric


def metric(n_patients, **options):
    options = {"ci_low": 0.6, "ci_high": 0.9, "ci_method": "x", "n_samples": 500} | options
    return Metric(0.8, n_patients=n_patients, **options)


def test_table_covers_every_cell_that_it_promises():
    table = coverage_table()
    assert set(table["n_patients"]) == {15, 50, 350}
    assert set(table["prevalence"]) == {0.1, 0.4}
    assert set(table["target"]) == {0.75, 0.97}
    assert not table.duplicated(["n_patients", "prevalence", "target", "metric"]).any()


def test_shares_of_a_cohort_like_the_default_one_are_covered_as_promised():
    table = coverage_table().query("n_patients == 350")
    shares = table[table["metric"].isin(["accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv"])]
    assert shares["coverage"].between(0.93, 0.97).all()


def test_note_is_that_of_the_next_smaller_simulated_cohort():
    table = coverage_table().query("metric == 'cohen_kappa' and n_patients == 50")
    note = with_coverage_notes({"cohen_kappa": metric(349)})["cohen_kappa"].note
    assert "of 50 patients" in note
    assert f"at worst {100 * table['coverage'].min():.0f} %" in note
    assert "of 15 patients" in with_coverage_notes({"cohen_kappa": metric(4)})["cohen_kappa"].note


@pytest.mark.parametrize(
    ("name", "options"),
    [("accuracy", {}), ("unknown", {}), ("cohen_kappa", {"ci_low": None, "ci_high": None, "ci_method": None})],
    ids=["covered", "not simulated", "without interval"],
)
def test_nothing_to_warn_of_leaves_no_note(name, options):
    assert coverage_table().query("metric == 'accuracy'")["coverage"].min() >= ACCEPTED
    assert with_coverage_notes({name: metric(20, **options)})[name].note is None


def test_table_for_reading_goes_from_worst_to_best():
    shown = coverage_by_size().set_index("metric")
    assert len(shown) == coverage_table()["metric"].nunique()
    kappa = coverage_table().query("metric == 'cohen_kappa' and n_patients == 15")["coverage"]
    assert shown.loc["Cohen's κ", "15 patients"] == f"{100 * kappa.min():.0f}–{100 * kappa.max():.0f} %"
    assert shown["percentiles, at worst"].isna().any()
