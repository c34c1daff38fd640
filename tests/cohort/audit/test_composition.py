import pandas as pd
import pytest

from helpers.cohort.audit import class_quartiles, class_summary
from helpers.cohort.splits.division import split_cohort
from helpers.study import CohortParams, SplitParams


def test_a_patient_of_two_classes_warns_unless_simulated(table, statuses):
    table.loc[1, ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]] = ["P0", "U0", "E0"]
    assert statuses(table)["classes_per_patient"] == "warn"
    assert statuses(table, params=CohortParams())["classes_per_patient"] == "pass"


def test_a_small_class_warns(table, audit):
    small = table[~((table["label"] == "C") & (table.index > 30))]
    verdict = audit(small)["verdicts"]["class_balance"]
    assert (verdict["status"], verdict["found"]) == ("warn", 1)
    assert "normal 10" in verdict["detail"]


def test_a_class_missing_from_validation_warns(table, audit):
    splits = split_cohort(table, SplitParams(n_folds=2))
    labels = splits["sample_id"].map(table.set_index("sample_id")["label"])
    splits.loc[(splits["fold"] == 1) & (splits["split"] == "validation") & (labels == "B"), "split"] = "train"
    verdict = audit(table, splits=splits, n_folds=2)["verdicts"]["classes_per_split"]
    assert (verdict["status"], verdict["found"]) == ("warn", 1)
    assert "validation of fold 1" in verdict["detail"]


def test_counts_by_class_and_split_add_up(table, audit):
    counts = pd.DataFrame(audit(table, n_folds=5)["counts"])
    assert counts.groupby("fold")["n_samples"].sum().tolist() == [75] * 5
    assert (counts["n_samples"] == counts["n_patients"]).all()


def test_summary_follows_the_order_of_the_classes(table):
    summary = class_summary(table, class_names={"C": "normal", "A": "compression", "B": "burst"})
    assert summary["class"].tolist() == ["C", "A", "B"]
    assert summary["share"].sum() == pytest.approx(1)
    assert summary["patients"].tolist() == [25, 25, 25]


def test_quartiles_are_those_of_each_class_in_the_order_of_the_names():
    table = pd.DataFrame({"label": ["A"] * 5 + ["C"], "width_mm": [10, 20, 30, 40, 50, 7], "site": "x"})
    found = class_quartiles(table, class_names={"C": "normal", "A": "compression", "B": "burst"})
    assert found.columns.tolist() == ["class", "quantile", "width_mm"]
    assert found["class"].tolist() == ["normal"] * 5 + ["compression"] * 5
    assert found["quantile"].tolist()[:3] == ["minimum", "lower quartile", "median"]
    assert found["width_mm"].tolist() == [7] * 5 + [10, 20, 30, 40, 50]
