import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.error_analysis.planted_labels import (
    CHANGED,
    change_labels,
    listed_changes,
    planted_lists,
    trained_worth,
    worth_table,
)
from helpers.study import EvaluationParams

CLASSES = ["A", "B", "C"]
PARAMS = EvaluationParams(n_bootstrap=200)


def certain(n: int) -> pd.DataFrame:
    """Samples of one patient each that the networks read without fail."""
    labels = np.resize(CLASSES, n)
    ids = {"sample_id": [f"s{i:03d}" for i in range(n)], "PatientID": [f"p{i:03d}" for i in range(n)]}
    return pd.DataFrame(
        {**ids, "y_true": labels, **{f"p_{key}": np.where(labels == key, 0.9, 0.05) for key in CLASSES}}
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 200), st.integers(0, 1000))
def test_so_many_labels_change_and_all_of_them_to_another_class(n, seed):
    labels = np.resize(CLASSES, n)
    changed = change_labels(labels, classes=CLASSES, seed=seed)
    assert (changed != labels).sum() == round(CHANGED * n)
    assert set(changed) <= set(CLASSES)
    np.testing.assert_array_equal(changed, change_labels(labels, classes=CLASSES, seed=seed))


def test_every_other_class_is_drawn_alike():
    labels = np.full(20_000, "A")
    drawn = pd.Series(change_labels(labels, classes=CLASSES, seed=0)).value_counts()
    assert drawn["B"] == pytest.approx(drawn["C"], rel=0.15)


def test_certain_networks_find_all_changed_labels_and_nothing_else():
    planted = planted_lists(certain(300), classes=CLASSES)
    table = worth_table(planted, params=PARAMS).set_index("rows read")
    assert table.loc["all in doubt", "number"] == 15
    assert table.loc["all in doubt", "precision"].startswith("1.00")
    assert table["recall"].str.startswith("1.00").all()
    assert table.loc["the first 20", "precision"].startswith("0.75")


def test_precision_and_recall_by_hand():
    changed = certain(60).assign(y_true=lambda table: table["y_true"].where(table.index > 0, "B"))
    listed = listed_changes(changed, true_labels=certain(60).set_index("sample_id")["y_true"], classes=CLASSES)
    assert listed["is_changed"].tolist() == [True] + [False] * 59
    table = worth_table(listed, params=PARAMS)
    assert table["number"].tolist() == [20, 50, 1]
    assert [text.split()[0] for text in table["precision"]] == ["0.05", "0.02", "1.00"]


def test_a_cohort_too_small_to_change_a_label_in_has_dashes():
    table = worth_table(planted_lists(certain(6), classes=CLASSES), params=PARAMS)
    assert table["rows read"].tolist() == ["all in doubt"]
    assert table[["precision", "recall"]].to_numpy().tolist() == [["–", "–"]]


def test_released_table_has_the_rows_of_the_notebook():
    released, own = trained_worth(), worth_table(planted_lists(certain(300), classes=CLASSES), params=PARAMS)
    assert released.columns.tolist() == own.columns.tolist()
    assert released["rows read"].tolist() == own["rows read"].tolist()
