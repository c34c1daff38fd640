import pandas as pd
import pytest

from helpers.runs.comparison import compare_runs
from helpers.runs.side import RunMismatch

NAMES = {"A": "compression", "B": "burst", "C": "normal"}


def test_runs_of_one_cohort_are_paired(two_runs):
    found = compare_runs(*two_runs)
    assert found.overlap.is_same_cohort
    assert found.n_tested == 48
    assert 0 < len(found.answers) < 48
    by_place = {row.place: row for row in found.metrics}
    accuracy = by_place["overall", "accuracy"]
    expected = accuracy.first["estimate"] - accuracy.second["estimate"]
    assert accuracy.difference.estimate == pytest.approx(expected)
    assert by_place["per_fold", "0", "accuracy"].difference is None


def test_a_run_and_itself_do_not_differ(two_runs):
    found = compare_runs(two_runs[0], two_runs[0])
    assert (found.parameters, found.environment, len(found.answers)) == ((), (), 0)
    assert all(row.difference is None or row.difference.estimate == 0 for row in found.metrics)
    assert all(notebook.cells == () for notebook in found.notebooks)
    assert found.first.name == found.second.name
    assert found.first.name.endswith("two0/first")


def test_main_metrics_come_first_and_are_called_by_their_titles(two_runs):
    found = compare_runs(*two_runs)
    labels = [row.label(NAMES) for row in found.metrics]
    assert labels[:2] == ["Accuracy", "Balanced accuracy"]
    assert {"Sensitivity, burst (B)", "AUROC, any fracture", "per_fold.0.accuracy"} <= set(labels)
    is_main = [row.is_main for row in found.metrics]
    assert is_main == sorted(is_main, reverse=True)


@pytest.mark.parametrize("column", ["pixel_sha256", "label"])
def test_runs_of_other_images_are_not_paired(two_runs, make_run, column):
    folder = make_run("other")
    table = pd.read_parquet(folder / "cohort.parquet")
    table.loc[0, column] = "B"
    table.to_parquet(folder / "cohort.parquet")
    found = compare_runs(two_runs[0], folder)
    assert found.overlap.changed == ("S00",)
    assert (found.n_tested, len(found.answers)) == (0, 0)
    assert all(row.difference is None for row in found.metrics)
    assert found.metrics[0].second["estimate"] == found.metrics[0].first["estimate"]


def test_runs_that_tested_other_parts_are_paired_on_what_both_tested(two_runs, make_run):
    folder = make_run("holdout")
    table = pd.read_parquet(folder / "predictions.parquet")
    table[table["fold"] == 0].to_parquet(folder / "predictions.parquet")
    found = compare_runs(two_runs[0], folder)
    assert found.n_tested == 24
    assert found.metrics[0].difference.n_samples == 24


def test_fracture_is_not_paired_where_normal_means_something_else(two_runs, make_run):
    found = compare_runs(two_runs[0], make_run("abnormal", cohort={"normal_class": None}))
    assert all(row.difference is None for row in found.metrics if row.place[0] == "fracture_vs_normal")
    assert found.metrics[0].difference is not None


def test_an_unfinished_run_is_refused(two_runs, make_run):
    folder = make_run("partial")
    (folder / "notebooks" / "04_evaluation.ipynb").rename(folder / "notebooks" / "04_evaluation.partial.ipynb")
    with pytest.raises(RunMismatch, match="partial is not complete. Notebook 04_evaluation"):
        compare_runs(two_runs[0], folder)
