import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cohort.splits import SplitError, split_cohort, validation_patients
from helpers.study import SplitParams
from helpers.study.schemas import SPLIT


def make_cohort(patients):
    """Samples from a list of (class, class, ...) per patient."""
    rows = [(f"P{number}", label) for number, labels in enumerate(patients) for label in labels]
    table = pd.DataFrame(rows, columns=["PatientID", "label"])
    rng = np.random.default_rng(0)
    return table.assign(sample_id=[f"S{value:04d}" for value in rng.permutation(len(table))])


@st.composite
def cohorts(draw):
    """At least six patients of each class, and some who show several."""
    labels = st.lists(st.sampled_from("ABC"), min_size=1, max_size=4)
    pure = [[label] * draw(st.integers(1, 3)) for label in "ABC" for _ in range(draw(st.integers(6, 9)))]
    return make_cohort(pure + draw(st.lists(labels, max_size=8)))


@settings(deadline=None, max_examples=40)
@given(table=cohorts(), n_folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_kfold_keeps_patients_together_and_tests_each_sample_once(table, n_folds, seed):
    splits = SPLIT.validate(split_cohort(table, SplitParams(n_folds=n_folds, split_seed=seed)))
    placed = splits.merge(table, on="sample_id")
    assert len(placed) == len(table) * n_folds
    assert (placed.groupby(["fold", "PatientID"])["split"].nunique() == 1).all()
    tested = placed[placed["split"] == "test"]
    assert sorted(tested["sample_id"]) == sorted(table["sample_id"])
    trained = placed[placed["split"] == "train"].groupby("fold")["label"].nunique()
    assert (trained == 3).all()
    assert (placed[placed["split"] == "validation"].groupby("fold").size() > 0).sum() == n_folds


@settings(deadline=None, max_examples=15)
@given(table=cohorts(), method=st.sampled_from(["patient_kfold", "image_holdout"]), order=st.randoms())
def test_the_order_of_rows_does_not_matter(table, method, order):
    params = SplitParams(split_method=method, n_folds=3, test_images=6)
    rows = list(range(len(table)))
    order.shuffle(rows)
    pd.testing.assert_frame_equal(split_cohort(table, params), split_cohort(table.iloc[rows], params))


def test_another_seed_gives_other_folds():
    table = make_cohort([[label] for label in "ABC" * 20])
    first, second = (split_cohort(table, SplitParams(split_seed=seed)) for seed in (0, 1))
    assert not first.equals(second)


def test_folds_and_validation_are_stratified():
    table = make_cohort([[label] for label in "A" * 40 + "B" * 80])
    placed = split_cohort(table, SplitParams(n_folds=5, validation_fraction=0.25)).merge(table, on="sample_id")
    counts = placed.groupby(["fold", "split", "label"]).size().unstack(["split", "label"])
    assert (counts["test"].to_numpy() == [8, 16]).all()
    assert (counts["validation"].to_numpy() == [8, 16]).all()


def test_validation_takes_the_share_that_was_asked_for():
    samples = make_cohort([["A"]] * 7 + [["B"]] * 7 + [["A", "B"]] * 7)
    chosen = validation_patients(samples, fraction=0.15, rng=np.random.default_rng(0))
    assert len(chosen) == len(set(chosen)) == 3  # 0.15 of 21 patients
    shown = samples[samples["PatientID"].isin(chosen)].groupby("PatientID")["label"].agg(lambda x: "".join(sorted(x)))
    assert sorted(shown) == ["A", "AB", "B"]


def test_a_kind_of_patient_is_never_used_up():
    samples = make_cohort([["A"]] * 3 + [["B"]] + [["C"]])
    for seed in range(20):
        chosen = validation_patients(samples, fraction=0.49, rng=np.random.default_rng(seed))
        assert set(samples.loc[samples["PatientID"].isin(chosen), "label"]) == {"A"}


def test_patients_who_cannot_be_spared_are_an_error():
    with pytest.raises(SplitError, match="too few to set any apart"):
        validation_patients(make_cohort([["A"], ["B"]]), fraction=0.2, rng=np.random.default_rng(0))


def test_too_few_patients_name_the_class_and_the_way_out():
    table = make_cohort([["A"]] * 9 + [["B", "B", "B", "B", "B"]] * 2)
    with pytest.raises(
        SplitError, match=r"class B has 2 patients, too few for 5 folds; lower splits.n_folds.*A 9, B 2"
    ):
        split_cohort(table, SplitParams())


def test_the_papers_holdout_has_its_sizes():
    table = make_cohort([[label] for label, count in (("A", 279), ("B", 295), ("C", 124)) for _ in range(count)])
    placed = split_cohort(table, SplitParams(split_method="image_holdout")).merge(table, on="sample_id")
    assert set(placed["fold"]) == {0}
    sizes = placed["split"].value_counts()
    assert sizes["test"] == 110
    assert sizes["train"] + sizes["validation"] == 588
    tested = placed[placed["split"] == "test"]["label"].value_counts()
    assert tested.to_dict() == pytest.approx({"A": 110 * 279 / 698, "B": 110 * 295 / 698, "C": 110 * 124 / 698}, abs=1)


@pytest.mark.parametrize("test_images", [2, 25])
def test_a_holdout_of_impossible_size_says_what_is_possible(test_images):
    table = make_cohort([[label] for label in "ABC" * 10])
    with pytest.raises(SplitError, match="between 3 and 24"):
        split_cohort(table, SplitParams(split_method="image_holdout", test_images=test_images))


def test_a_holdout_needs_three_images_of_each_class():
    table = make_cohort([["A"]] * 20 + [["B"]] * 2)
    with pytest.raises(SplitError, match="class B has 2 images"):
        split_cohort(table, SplitParams(split_method="image_holdout", test_images=5))
