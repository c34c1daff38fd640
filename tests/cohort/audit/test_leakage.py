import pandas as pd
import pytest

from helpers.cohort.audit import LeakageError, require_no_leakage
from helpers.cohort.audit.leakage import SHARED_BY, check_leakage, leakage_matrix
from helpers.cohort.splits.division import split_cohort
from helpers.study import SplitParams


@pytest.fixture
def splits(table):
    return split_cohort(table, SplitParams(n_folds=2))


@pytest.fixture
def apart(table, splits):
    """Two samples of one class, the first in training and the second in the test part of the first fold."""
    first = splits[splits["fold"] == 0].set_index("sample_id")["split"]
    same = first.loc[table.loc[table["label"] == "A", "sample_id"]]
    return same.index[same == "train"][0], same.index[same == "test"][0]


def pair_of_copies(one, other, kind="near"):
    return pd.DataFrame({"sample_a": [one], "sample_b": [other], "kind": [kind], "correlation": [0.97]})


@pytest.mark.parametrize("shared", [name for name in SHARED_BY if name != "near_identical_images"])
def test_every_kind_of_leak_is_found(table, make_context, splits, apart, shared):
    """One value given to two samples that lie in different splits of the first fold."""
    column = SHARED_BY[shared]
    one, other = apart
    table.loc[table["sample_id"] == other, column] = table.loc[table["sample_id"] == one, column].item()
    context = make_context(table, splits=splits)
    verdict = check_leakage(context)
    assert verdict.status == "fail"
    assert verdict.examples == tuple(sorted(apart))
    leaks = leakage_matrix(context.placed)
    assert leaks.query("fold == 0 and pair == 'train and test'")[shared].tolist() == [1]
    assert leaks.drop(columns=["fold", "pair", shared]).to_numpy().sum() == 0


@pytest.mark.parametrize("kind", ["near", "augmented"])
def test_altered_copies_leak(table, make_context, splits, apart, kind):
    context = make_context(table, splits=splits, fields={"copies": pair_of_copies(*apart, kind)})
    verdict = check_leakage(context)
    assert (verdict.status, verdict.examples) == ("fail", tuple(sorted(apart)))
    leaks = leakage_matrix(context.placed)
    assert leaks.query("fold == 0 and pair == 'train and test'")["near_identical_images"].tolist() == [1]
    assert "near identical images" in verdict.detail


def test_copies_on_one_side_do_not_leak(table, make_context, splits):
    first = splits[splits["fold"] == 0].set_index("sample_id")["split"]
    second = splits[splits["fold"] == 1].set_index("sample_id")["split"]
    together = first.index[(first == "train") & (second.reindex(first.index) == "test")][:2]
    context = make_context(table, splits=splits, fields={"copies": pair_of_copies(*sorted(together))})
    assert check_leakage(context).status == "pass"


def test_a_copy_of_a_copy_leaks(table, make_context, splits, apart):
    """Three pictures in a chain, the middle one excluded from neither split: the ends count as one group."""
    one, other = apart
    first = splits[splits["fold"] == 0].set_index("sample_id")["split"]
    middle = next(name for name in first.index[first == "train"] if name != one)
    copies = pd.concat([pair_of_copies(one, middle), pair_of_copies(middle, other)])
    matrix = leakage_matrix(make_context(table, splits=splits, fields={"copies": copies}).placed)
    assert matrix.query("fold == 0 and pair == 'train and test'")["near_identical_images"].tolist() == [1]


def test_the_papers_split_fails_unless_it_is_meant(table, audit):
    table["PatientID"] = [f"P{number // 6}" for number in range(75)]
    options = {"split_method": "image_holdout", "test_images": 20}
    found = audit(table, **options)
    assert found["verdicts"]["leakage"]["status"] == "fail"
    assert "patients" in found["verdicts"]["leakage"]["detail"]
    with pytest.raises(LeakageError, match="merge_linked_patients.*remove the copies.*intended_leakage"):
        require_no_leakage(found)
    words = "the paper divided images, not patients"
    meant = audit(table, intended_leakage=words, **options)
    assert meant["verdicts"]["leakage"]["status"] == "warn"
    assert f"\u201c{words}\u201d" in meant["verdicts"]["leakage"]["detail"]
    require_no_leakage(meant)


def test_a_clean_cohort_goes_on(table, audit):
    found = audit(table, n_folds=3)
    require_no_leakage(found)
    assert pd.DataFrame(found["leakage"])[list(SHARED_BY)].to_numpy().sum() == 0
    assert len(found["leakage"]) == 9


def test_missing_studies_are_not_a_shared_study(table, make_context):
    table["StudyInstanceUID"] = pd.Series([None] * 75, dtype="str")
    assert leakage_matrix(make_context(table).placed)["studies"].sum() == 0


def test_an_external_cohort_that_is_not_external_stops_the_run(table, audit):
    found = audit(table)
    overlap = {"status": "fail", "detail": "2 of 9 samples share something.", "examples": ["S004"]}
    found["external"] = {"far": {"verdicts": {"overlap": overlap}}}
    with pytest.raises(LeakageError, match=r"far is not external\. 2 of 9 .* S004 of external\.parquet"):
        require_no_leakage(found)
    overlap["status"] = "warn"
    require_no_leakage(found)
