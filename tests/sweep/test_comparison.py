import json

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from helpers.study.schemas import SWEEP
from helpers.sweep.comparison import METRICS, compare_rows
from helpers.sweep.rows import run_rows
from helpers.sweep.variations import load_sweep


@pytest.fixture
def sweep(project):
    return load_sweep("tiny.yaml")


@pytest.fixture
def table(sweep, folder, screen):
    return compare_rows(sweep, folder, problems=run_rows(sweep, folder, screen=screen))


def line(table, row, metric="accuracy"):
    return table[(table["row"] == row) & (table["metric"] == metric)].iloc[0]


def accuracy_by_hand(folder, row):
    tested = pd.read_parquet(folder / row / "predictions.parquet").query("split == 'test'")
    return (tested.filter(like="logit_").idxmax(axis=1).str[-1] == tested["y_true"]).mean()


def test_every_row_has_every_metric_in_the_order_of_the_file(table, sweep):
    SWEEP.validate(table)
    assert list(zip(table["row"], table["metric"], strict=True)) == [
        (row.name, metric) for row in sweep.rows for metric in METRICS
    ]


def test_scores_and_differences_are_those_counted_by_hand(table, folder):
    ours, theirs = (accuracy_by_hand(folder, row) for row in ("weaker", "reference"))
    found = line(table, "weaker")
    assert found["estimate"] == pytest.approx(ours)
    assert found["difference"] == pytest.approx(ours - theirs)
    assert found["difference_low"] <= found["difference"] <= found["difference_high"] < 0
    assert (found["n_samples"], found["n_patients"], found["n_compared"]) == (80, 40, 80)


def test_confusion_is_counted_by_hand(table, folder):
    tested = pd.read_parquet(folder / "weaker" / "predictions.parquet").query("split == 'test'")
    answers = tested.filter(like="logit_").idxmax(axis=1).str[-1]
    counts = pd.crosstab(tested["y_true"], answers).reindex(index=list("ABC"), columns=list("ABC"), fill_value=0)
    assert json.loads(line(table, "weaker")["confusion"]) == dict(zip("ABC", counts.to_numpy().tolist(), strict=True))


def test_the_reference_is_compared_with_nothing(table):
    found = table[table["row"] == "reference"]
    assert (found["against"] == "").all()
    assert found[["difference", "p_value", "p_holm"]].isna().all(axis=None)
    assert found["estimate"].notna().all()


def test_a_row_is_compared_with_the_one_it_names(table):
    same = line(table, "coarse")
    assert same["against"] == "weaker"
    assert same["difference"] > 0


def test_equal_answers_differ_by_nothing(table):
    found = line(table, "fewer")
    assert (found["difference"], found["p_value"], found["p_holm"]) == (0.0, 1.0, 1.0)


def test_p_values_of_each_metric_are_corrected_together(table):
    for metric in METRICS:
        compared = table[(table["metric"] == metric) & table["p_value"].notna()]
        assert list(compared["row"]) == ["weaker", "fewer", "coarse"]
        np.testing.assert_allclose(compared["p_holm"], multipletests(compared["p_value"], method="holm")[1])


def test_training_patients_are_counted_in_the_predictions(table):
    assert line(table, "reference")["train_patients"] == 20
    assert line(table, "fewer")["train_patients"] == 10


def test_a_row_without_a_result_stays_in_the_table(table):
    broken = table[table["row"] == "broken"]
    assert broken["problem"].str.endswith("WeightsError: absent.pt is no file").all()
    assert broken[["estimate", "difference", "train_patients"]].isna().all(axis=None)


def test_without_any_result_there_is_still_a_table(sweep, folder):
    table = compare_rows(sweep, folder, problems={row.name: "not trained" for row in sweep.rows})
    assert table["estimate"].isna().all()
    assert len(table) == len(sweep.rows) * len(METRICS)


def test_shuffled_labels_are_compared_with_shuffled_labels_only(write_sweep_file, folder, screen):
    rows = "rows:\n  plain: {reason: labels as they are}\n"
    rows += "  control: {set: {training.shuffle_labels: true}, reason: labels dealt out anew}\n"
    sweep = load_sweep(write_sweep_file(f"name: tiny\nbase: params/base.yaml\n{rows}"))
    found = line(compare_rows(sweep, folder, problems=run_rows(sweep, folder, screen=screen)), "control")
    assert np.isnan(found["difference"])
    assert found["note"] == "not compared: only one of the two has shuffled labels"


def test_rows_of_two_cohorts_are_not_compared(sweep, folder, screen):
    problems = run_rows(sweep, folder, screen=screen)
    file = folder / "weaker" / "predictions.parquet"
    predictions = pd.read_parquet(file)
    predictions.assign(sample_id="other" + predictions["sample_id"]).to_parquet(file)
    found = line(compare_rows(sweep, folder, problems=problems), "weaker")
    assert np.isnan(found["difference"])
    assert "share no sample_id" in found["note"]
