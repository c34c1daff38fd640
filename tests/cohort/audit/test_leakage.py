import pandas as pd
import pytest

from helpers.cohort.audit.leakage import leakage_matrix
from helpers.cohort.splits import split_cohort
from helpers.study import SplitParams


@pytest.mark.parametrize(
    ("column", "shared"), [("PatientID", "patients"), ("StudyInstanceUID", "studies"), ("pixel_sha256", "pixels")]
)
def test_every_kind_of_leak_is_found(table, audit, column, shared):
    """One value given to two samples of one class that lie in different splits of the first fold."""
    splits = split_cohort(table, SplitParams(n_folds=2))
    first = splits[splits["fold"] == 0].set_index("sample_id")["split"].reindex(table["sample_id"])
    same = table[table["label"] == "A"]
    places = first.loc[same["sample_id"]]
    one, other = places.index[places == "train"][0], places.index[places == "test"][0]
    table.loc[table["sample_id"] == other, column] = table.loc[table["sample_id"] == one, column].item()
    result = audit(table, splits=splits, n_folds=2)
    verdict = result["verdicts"]["leakage"]
    assert verdict["status"] == "fail"
    assert verdict["examples"] == sorted([one, other])
    leaks = pd.DataFrame(result["leakage"])
    assert leaks.query("fold == 0 and pair == 'train and test'")[shared].tolist() == [1]
    assert leaks.drop(columns=["fold", "pair", shared]).to_numpy().sum() == 0


def test_the_papers_split_fails_with_words(table, audit):
    table["PatientID"] = [f"P{number // 6}" for number in range(75)]
    verdict = audit(table, split_method="image_holdout", test_images=20)["verdicts"]["leakage"]
    assert verdict["status"] == "fail"
    assert verdict["found"] > 0
    assert "Intended: the paper's protocol" in verdict["detail"]


def test_missing_studies_are_not_a_shared_study(table):
    table["StudyInstanceUID"] = pd.Series([None] * 75, dtype="str")
    placed = split_cohort(table, SplitParams()).merge(table, on="sample_id")
    assert leakage_matrix(placed)["studies"].sum() == 0
