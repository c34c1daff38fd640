import pandas as pd
import pytest

from helpers.cohort.audit.leak_list import LEAK_COLUMNS, copy_list, leak_list
from helpers.study import CohortParams

PARAMS = CohortParams(source="dicom", folder="x", labels="x.csv")


@pytest.fixture
def splits(table):
    """Two folds; S000 to S002 are tested in the first one, S003 to S005 in the second."""
    parts = []
    for fold in (0, 1):
        tested = table["sample_id"].isin([f"S{number:03d}" for number in range(3 * fold, 3 * fold + 3)])
        split = tested.map({True: "test", False: "train"})
        parts.append(pd.DataFrame({"sample_id": table["sample_id"], "fold": fold, "split": split}))
    return pd.concat(parts, ignore_index=True)


def test_a_clean_division_has_no_leaks(table, splits, make_cohort):
    listed = leak_list(make_cohort(table), splits, params=PARAMS)
    assert listed.empty
    assert list(listed) == list(LEAK_COLUMNS)


def test_both_sides_of_a_leak_are_listed_with_their_files(table, splits, make_cohort):
    table.loc[[1, 9], "PatientID"] = "P1"
    listed = leak_list(make_cohort(table), splits, params=PARAMS)
    assert listed[["fold", "shared", "group", "split", "sample_id", "source"]].to_numpy().tolist() == [
        [0, "patients", 1, "test", "S001", "1.dcm"],
        [0, "patients", 1, "train", "S009", "9.dcm"],
    ]


def test_near_copies_leak_too_and_all_copies_are_listed(table, splits, make_cohort):
    copies = pd.DataFrame({"sample_a": ["S004"], "sample_b": ["S020"], "kind": ["near"], "correlation": [0.9]})
    cohort = make_cohort(table, copies=copies)
    listed = leak_list(cohort, splits, params=PARAMS)
    assert listed[["fold", "shared", "sample_id"]].to_numpy().tolist() == [
        [1, "near_identical_images", "S004"],
        [1, "near_identical_images", "S020"],
    ]
    (pair,) = copy_list(cohort).to_dict("records")
    assert (pair["source_a"], pair["source_b"], pair["PatientID_a"]) == ("4.dcm", "20.dcm", "P4")
