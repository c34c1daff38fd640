import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from helpers.evaluation.baselines import (
    HEIGHTS,
    METADATA,
    MOST_FREQUENT,
    START,
    baseline_predictions,
    external_baselines,
    linear_model,
    metadata_columns,
    standard_baselines,
)
from helpers.evaluation.predictions import out_of_fold


@pytest.fixture
def cohort():
    """120 samples of 60 patients: the maker tells the class, heights tell A from the others, age tells nothing."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.repeat(list("ABC"), 40))
    maker = pd.Series(label).map({"A": "one", "B": "two", "C": None})
    low = np.where(label == "A", 0.6, 1.0) + rng.normal(0, 0.02, 120)
    return pd.DataFrame(
        {
            "sample_id": [f"s{place:03d}" for place in range(120)],
            "PatientID": [f"p{place // 2}" for place in range(120)],
            "label": label,
            "Manufacturer": maker,
            "PatientAge": rng.integers(20, 90, 120).astype(float),
            "anterior_ratio": low,
            "middle_ratio": low,
            "posterior_ratio": 1.0,
        }
    )


@pytest.fixture
def splits(cohort):
    """Three folds of patients; each fold's next one is its validation part."""
    patient = cohort["PatientID"].str[1:].astype(int)
    parts = []
    for fold in range(3):
        place = (patient - fold) % 3
        split = place.map({0: "test", 1: "validation", 2: "train"})
        parts.append(pd.DataFrame({"sample_id": cohort["sample_id"], "fold": fold, "split": split}))
    return pd.concat(parts, ignore_index=True)


def accuracy(table):
    return (table["y_true"] == table["y_pred"]).mean()


def test_features_before_training_are_a_rival(cohort, splits):
    """Found by sample_id, whatever their order; a sample without features is not answered."""
    told = pd.DataFrame(np.eye(3)[cohort["label"].map("ABC".find)], index=cohort["sample_id"]).add_prefix("feature_")
    rival = standard_baselines(cohort, splits=splits, classes="ABC", start_features=told.iloc[:0:-1])[START]
    assert len(rival) == 119
    assert accuracy(rival) == 1


def test_each_baseline_knows_what_its_columns_know(cohort, splits):
    found = standard_baselines(cohort, splits=splits, classes="ABC")
    assert list(found) == [MOST_FREQUENT, METADATA, HEIGHTS]
    assert all(len(table) == 120 for table in found.values())
    assert accuracy(found[MOST_FREQUENT]) < 0.5
    assert accuracy(found[METADATA]) == 1
    assert 0.5 < accuracy(found[HEIGHTS]) < 0.9
    assert (found[HEIGHTS]["y_pred"].eq("A") == found[HEIGHTS]["y_true"].eq("A")).all()


def test_rows_for_each_seed_count_as_one_division(cohort, splits):
    twice = pd.concat([splits.assign(seed=0), splits.assign(seed=1)])
    options = {"model": linear_model(), "cohort": cohort, "classes": "ABC"}
    plain, seeded = (baseline_predictions(cohort[["PatientAge"]], splits=table, **options) for table in (splits, twice))
    pd.testing.assert_frame_equal(seeded, plain)


def test_columns_that_are_missing_or_constant_are_not_used(cohort, splits):
    bare = cohort[["sample_id", "PatientID", "label"]].assign(Manufacturer="one", anterior_ratio=1.0)
    assert metadata_columns(bare) == []
    assert list(standard_baselines(bare, splits=splits, classes="ABC")) == [MOST_FREQUENT]


def test_images_without_heights_are_not_answered(cohort, splits):
    cohort.loc[:9, "middle_ratio"] = None
    found = standard_baselines(cohort.drop(columns=["Manufacturer", "PatientAge"]), splits=splits, classes="ABC")
    assert list(found) == [MOST_FREQUENT, HEIGHTS]
    assert set(found[HEIGHTS]["sample_id"]) == set(cohort["sample_id"][10:])


def test_labels_of_the_test_and_validation_part_teach_nothing(cohort, splits):
    features = cohort[["anterior_ratio", "PatientAge"]]
    options = {"model": linear_model(), "classes": "ABC"}
    fold = splits[splits["fold"] == 0]
    untaught = fold.set_index("sample_id")["split"].reindex(cohort["sample_id"]).ne("train").to_numpy()
    plain = baseline_predictions(features, cohort=cohort, splits=fold, **options)
    changed = cohort.assign(label=cohort["label"].where(~untaught, "C"))
    other = baseline_predictions(features, cohort=changed, splits=fold, **options)
    columns = ["logit_A", "logit_B", "logit_C"]
    pd.testing.assert_frame_equal(plain[columns], other[columns])


def test_class_that_training_lacks_gets_a_finite_logit(cohort, splits):
    without = splits[~splits["sample_id"].isin(cohort.loc[cohort["label"] == "C", "sample_id"])]
    found = baseline_predictions(
        cohort[["PatientAge"]], model=linear_model(), cohort=cohort, splits=without, classes="ABC"
    )
    assert np.isfinite(found["logit_C"]).all()
    assert set(out_of_fold(found, classes="ABC")["y_pred"]) <= {"A", "B"}


def test_training_part_of_one_class_gives_that_class(cohort, splits):
    only = splits[
        (splits["split"] == "test") | splits["sample_id"].isin(cohort.loc[cohort["label"] == "B", "sample_id"])
    ]
    found = baseline_predictions(
        cohort[["PatientAge"]], model=linear_model(), cohort=cohort, splits=only, classes="ABC"
    )
    assert set(out_of_fold(found, classes="ABC")["y_pred"]) == {"B"}


def test_fold_without_training_images_is_left_out(cohort, splits):
    tested = splits[splits["split"] == "test"]
    model = DummyClassifier(strategy="prior")
    assert baseline_predictions(cohort[[]], model=model, cohort=cohort, splits=tested, classes="ABC").empty
    assert standard_baselines(cohort, splits=tested, classes="ABC") == {}


@pytest.fixture
def elsewhere(cohort):
    """Samples with names of the study's own, of other patients; `told` says the class in other numbers than there."""
    asked = cohort.iloc[:30].assign(
        PatientID="q" + cohort["PatientID"], label=cohort["label"].iloc[::-1].to_numpy()[:30]
    )
    return asked.assign(Manufacturer=asked["label"].map({"A": "one", "B": "two", "C": None}))


def one_hot(table):
    codes = table["label"].map("ABC".find)
    return pd.DataFrame(np.eye(3)[codes], index=table["sample_id"]).add_prefix("feature_")


def test_what_was_learned_here_is_asked_elsewhere(cohort, splits, elsewhere):
    features = one_hot(cohort), one_hot(elsewhere)
    found = external_baselines(elsewhere, cohort=cohort, splits=splits, classes="ABC", start_features=features)
    assert list(found) == [MOST_FREQUENT, METADATA, HEIGHTS, START]
    for table in found.values():
        assert table["sample_id"].tolist() == elsewhere["sample_id"].tolist()
        assert table["PatientID"].str.startswith("q").all()
    assert accuracy(found[METADATA]) == accuracy(found[START]) == 1
    # heights of these samples are those of other labels
    assert accuracy(found[HEIGHTS]) < 0.6


def test_labels_elsewhere_teach_nothing(cohort, splits, elsewhere):
    features = one_hot(cohort), one_hot(elsewhere)
    relabelled = elsewhere.assign(label="A")
    found, again = (
        external_baselines(table, cohort=cohort, splits=splits, classes="ABC", start_features=features)
        for table in (elsewhere, relabelled)
    )
    for name in found:
        pd.testing.assert_frame_equal(found[name].drop(columns="y_true"), again[name].drop(columns="y_true"))


def test_a_baseline_is_left_out_where_the_other_cohort_lacks_its_columns(cohort, splits, elsewhere):
    bare = elsewhere.drop(columns=["anterior_ratio", "middle_ratio", "posterior_ratio"])
    features = one_hot(cohort), one_hot(bare)
    found = external_baselines(bare, cohort=cohort, splits=splits, classes="ABC", start_features=features)
    assert HEIGHTS not in found
    assert START in found
