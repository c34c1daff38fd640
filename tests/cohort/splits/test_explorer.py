import pandas as pd
import pytest

from helpers.cohort.splits.explorer import ALL, explore_splits, explored, part_counts, patients

NAMES = {"A": "compression", "B": "burst", "C": "normal"}


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "sample_id": list("abcdef"),
            "PatientID": ["p", "p", "q", "r", "s", "s"],
            "label": list("AABAAB"),
            "level": ["L1", "T12", None, "L1", "L2", None],
            "split": "a column of the labels table that means something else",
        }
    )


@pytest.fixture
def splits():
    parts = {0: ["train", "train", "train", "validation", "test", "test"], 1: ["test"] * 3 + ["train"] * 3}
    return pd.DataFrame(
        [
            {"sample_id": name, "fold": fold, "split": part}
            for fold, found in parts.items()
            for name, part in zip("abcdef", found, strict=True)
        ]
    )


@pytest.fixture
def placed(table, splits):
    return splits.merge(table.drop(columns="split"), on="sample_id")


def test_parts_are_counted_in_the_order_of_their_use(placed):
    counts = part_counts(placed, class_names=NAMES)
    assert list(counts.columns) == ["fold", "part", "patients", "samples", "compression", "burst", "normal"]
    assert counts.to_numpy().tolist() == [
        [0, "train", 2, 3, 2, 1, 0],
        [0, "validation", 1, 1, 1, 0, 0],
        [0, "test", 1, 2, 1, 1, 0],
        [1, "train", 2, 3, 2, 1, 0],
        [1, "test", 2, 3, 2, 1, 0],
    ]


def test_patients_have_their_classes_and_the_levels_that_are_known(placed):
    found = patients(placed[placed["fold"] == 0], class_names=NAMES).set_index("PatientID")
    assert found.loc["p"].tolist() == [2, 2, 0, 0, "L1, T12"]
    assert found.loc["s", "level"] == "L2"
    assert pd.isna(found.loc["q", "level"])


def test_patients_are_named_only_when_one_part_of_one_fold_is_chosen(placed):
    assert ">p<" not in explored(placed, class_names=NAMES)
    assert ">p<" not in explored(placed, class_names=NAMES, fold="0")
    assert ">p<" not in explored(placed, class_names=NAMES, split="train")
    one = explored(placed, class_names=NAMES, fold="0", split="train")
    assert "Patients of train, fold 0" in one
    assert ">p<" in one
    assert ">s<" not in one


def test_a_part_that_a_fold_lacks_is_a_sentence(placed):
    text = explored(placed, class_names=NAMES, fold="1", split="validation")
    assert "Patients and samples of each part: none." in text


def test_values_are_escaped(placed):
    hostile = placed.assign(PatientID="<script>alert(1)</script>")
    assert "<script" not in explored(hostile, class_names=NAMES, fold="0", split="train")


def test_the_widget_begins_with_all_folds_and_follows_its_choices(table, splits):
    live = explore_splits(table, splits, class_names=NAMES)
    assert [control.value for control in live.controls.values()] == [ALL, ALL]
    assert live.view.value.count("<tr>") == 6
    live.controls["fold"].value = "0"
    assert live.view.value.count("<tr>") == 4
    live.controls["split"].value = "test"
    assert "Patients of test, fold 0" in live.view.value
