import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from helpers.evaluation.conformal import (
    ERROR_RATE,
    TITLES,
    SetCoverage,
    class_coverage,
    conformal_sets,
    conformal_threshold,
    prediction_sets,
    set_metrics,
)
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def simulated_patients(n_patients, *, rng):
    """Logits and classes of 1 to 4 images per patient; a patient's images share a shift and often a class."""
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 5, n_patients))
    codes = np.where(
        rng.random(len(patient)) < 0.6, rng.integers(0, 3, n_patients)[patient], rng.integers(0, 3, len(patient))
    )
    shift = rng.normal(0, 1.5, (n_patients, 3))[patient]
    return 1.5 * np.eye(3)[codes] + shift + rng.normal(0, 0.5, (len(codes), 3)), codes, patient


def test_threshold_of_one_image_per_patient_is_the_usual_quantile():
    """With n = 19 and an error rate of 0.1 the set must hold the 18 surest of 19: ceil(0.9 * 20) = 18."""
    probability = np.linspace(0.05, 0.95, 19)
    assert conformal_threshold(probability, np.arange(19), error_rate=0.1) == pytest.approx(0.10)


def test_images_of_a_patient_share_its_one_vote():
    single = conformal_threshold(np.linspace(0.05, 0.95, 19), np.arange(19), error_rate=0.1)
    copied = conformal_threshold(np.repeat(np.linspace(0.05, 0.95, 19), 3), np.repeat(np.arange(19), 3), error_rate=0.1)
    assert copied == single


def test_too_few_patients_promise_everything_only_with_all_classes():
    assert conformal_threshold(np.full(8, 0.9), np.arange(8), error_rate=0.1) == 0
    assert conformal_threshold(np.full(9, 0.9), np.arange(9), error_rate=0.1) == 0.9
    assert conformal_threshold(np.array([]), np.array([]), error_rate=0.1) == 0


@pytest.mark.parametrize("error_rate", [0.1, 0.3])
def test_promise_is_kept_for_new_patients(error_rate):
    """Mean coverage over many calibrations, each patient counting once, and not far above the promise."""
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(400):
        logits, codes, patient = simulated_patients(60, rng=rng)
        of_truth = softmax(logits, axis=1)[np.arange(len(codes)), codes]
        known = patient < 30
        threshold = conformal_threshold(of_truth[known], patient[known], error_rate=error_rate)
        reached.append(pd.Series(of_truth[~known] >= threshold).groupby(patient[~known]).mean().mean())
    error = 3 * np.std(reached) / np.sqrt(len(reached))
    assert 1 - error_rate - error <= np.mean(reached) <= 1 - error_rate + 1 / 31 + error


@pytest.fixture(scope="module")
def predictions(make_predictions):
    rng = np.random.default_rng(1)
    parts = []
    for fold in range(2):
        for split, n_patients in (("validation", 30), ("test", 40)):
            logits, codes, patient = simulated_patients(n_patients, rng=rng)
            names = [f"{split}{fold}-{code}" for code in patient]
            part = make_predictions(np.array(list("ABC"))[codes], logits, patients=names, split=split, fold=fold)
            parts.append(part.assign(sample_id=f"{split}{fold}" + part["sample_id"]))
    return pd.concat(parts, ignore_index=True)


def test_sets_hold_the_classes_at_or_above_their_folds_threshold(predictions):
    sets = conformal_sets(predictions, classes="ABC")
    tested = predictions[predictions["split"] == "test"]
    assert set(sets["sample_id"]) == set(tested["sample_id"])
    assert sets.groupby("fold")["threshold"].nunique().tolist() == [1, 1]
    logits = tested.set_index("sample_id").loc[sets["sample_id"], ["logit_A", "logit_B", "logit_C"]].to_numpy()
    inside = softmax(logits.astype(float), axis=1) >= sets["threshold"].to_numpy()[:, None]
    assert (sets[["in_A", "in_B", "in_C"]].to_numpy() == inside).all()
    assert (sets["size"] == inside.sum(axis=1)).all()
    assert (sets["covered"] == [row[f"in_{row['y_true']}"] for _, row in sets.iterrows()]).all()


def test_test_images_have_no_say_in_the_threshold(predictions):
    changed = predictions.assign(logit_A=predictions["logit_A"].where(predictions["split"] != "test", 0.0))
    before, after = (conformal_sets(table, classes="ABC")["threshold"].unique() for table in (predictions, changed))
    assert before.tolist() == after.tolist()


def test_without_validation_images_every_class_is_possible(predictions):
    sets = conformal_sets(predictions[predictions["split"] == "test"], classes="ABC")
    assert (sets["size"] == 3).all()
    found = set_metrics(sets, params=PARAMS)
    assert found["by_patient"].estimate == 1
    assert "no set has one class" in found["single_right"].note


def test_metrics_by_hand():
    sets = pd.DataFrame(
        {
            "sample_id": list("abcdef"),
            "PatientID": ["p", "p", "p", "q", "q", "r"],
            "y_true": ["A", "A", "B", "B", "C", "C"],
            "covered": [True, True, False, True, False, True],
            "size": [1, 2, 1, 1, 0, 3],
        }
    )
    found = set_metrics(sets, params=PARAMS)
    assert set(found) == set(TITLES)
    assert found["by_patient"].estimate == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found["by_image"].estimate == pytest.approx(4 / 6)
    assert found["size"].estimate == pytest.approx(8 / 6)
    assert found["single"].estimate == pytest.approx(3 / 6)
    assert found["single_right"].estimate == pytest.approx(2 / 3)
    assert found["empty"].estimate == pytest.approx(1 / 6)
    by_class = class_coverage(sets, classes="ABCD", params=PARAMS)
    assert [by_class[key].estimate for key in "ABC"] == [1, 0.5, 0.5]
    assert "no image has this class" in by_class["D"].note


@pytest.fixture
def sets_by_hand():
    """Fold 0 asks for 0.6 and fold 1 for 0.3; of the first image only "fracture" is known: A or B."""
    shares = pd.DataFrame({"p_A": [0.35, 0.2, 0.5], "p_B": [0.25, 0.1, 0.25], "p_C": [0.4, 0.7, 0.25]})
    tested = shares.assign(sample_id=list("xyz"), PatientID=list("ppq"), y_true=["fracture", "C", "C"])
    meanings = {"fracture": ["A", "B"], "C": ["C"]}
    both = pd.concat([tested.assign(fold=fold) for fold in (0, 1)])
    return prediction_sets(both, thresholds={0: 0.6, 1: 0.3}, meanings=meanings)


def test_a_label_of_unknown_kind_is_met_by_any_class_that_it_may_mean(sets_by_hand):
    assert sets_by_hand["covered"].tolist() == [False, True, False, True, True, False]
    assert sets_by_hand["size"].tolist() == [0, 1, 0, 2, 1, 1]
    assert sets_by_hand["in_A"].tolist() == [False, False, False, True, False, True]


def test_coverage_of_sets_by_hand(sets_by_hand):
    found = SetCoverage.of(sets_by_hand, words={"fracture": "any", "C": "C normal"}, params=PARAMS)
    assert found.overall["by_patient"].estimate == pytest.approx((3 / 4 + 0) / 2)
    assert found.overall["by_image"].estimate == pytest.approx(3 / 6)
    assert (found.overall["by_image"].n_samples, found.overall["by_image"].n_patients) == (3, 2)
    assert {name: metric.estimate for name, metric in found.by_label.items()} == {"any": 0.5, "C normal": 0.5}
    assert list(found.kept) == ["all, by patient", "any", "C normal"]
    assert found.kept_table()["estimate"].tolist() == [0.375, 0.5, 0.5]
    document = found.to_json_dict()
    assert document["promised"] == 1 - ERROR_RATE
    assert document["by_class"]["any"]["estimate"] == 0.5
