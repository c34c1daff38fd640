import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, roc_auc_score

from helpers.evaluation.fracture_score import (
    Threshold,
    assess_scores,
    auroc_by_seed,
    calibration,
    fracture_scores,
    score_cohort,
    severe_only,
    youden_threshold,
)
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def predicted(labels, scores, *, seed=0, fold=0, per_patient=2):
    """Rows of a table of predictions whose fracture score is given."""
    scores = np.clip(np.asarray(scores, dtype=float), 1e-6, 1 - 1e-6)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i:03d}" for i in range(len(labels))],
            "PatientID": [f"p{i // per_patient}" for i in range(len(labels))],
            "y_true": labels,
            "fold": fold,
            "seed": seed,
            "logit_A": np.log(scores / 2),
            "logit_B": np.log(scores / 2),
            "logit_C": np.log(1 - scores),
        }
    )


def cohort(labels, scores, *, grades=None, **options):
    grades = pd.Series(dtype=float) if grades is None else grades
    return score_cohort(predicted(labels, scores, **options), normal_class="C", grades=grades, params=PARAMS)


def test_score_is_one_minus_the_probability_of_normal():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20, 3))
    table = pd.DataFrame(logits, columns=["logit_A", "logit_C", "logit_B"])
    np.testing.assert_allclose(fracture_scores(table, normal_class="C"), 1 - softmax(logits, axis=1)[:, 1])


def test_each_seed_is_ranked_by_itself_and_the_mean_is_of_their_areas():
    rng = np.random.default_rng(1)
    labels = ["A", "C"] * 20
    by_seed = {seed: np.where(np.array(labels) == "A", 0.6, 0.4) + rng.normal(0, 0.15, 40) for seed in (0, 3)}
    rows = pd.concat([predicted(labels, scores, seed=seed) for seed, scores in by_seed.items()])
    found = auroc_by_seed(score_cohort(rows, normal_class="C", grades=pd.Series(dtype=float), params=PARAMS))
    areas = [roc_auc_score(np.array(labels) == "A", np.clip(scores, 1e-6, 1 - 1e-6)) for scores in by_seed.values()]
    assert [found["seed_0"].estimate, found["seed_3"].estimate] == pytest.approx(areas)
    assert found["mean_of_seeds"].estimate == pytest.approx(np.mean(areas))
    assert found["mean_of_seeds"].ci_low < np.mean(areas) < found["mean_of_seeds"].ci_high
    assert (found["seed_0"].n_samples, found["seed_0"].n_patients) == (40, 20)


def test_folds_are_averaged_before_seeds():
    rows = pd.concat([predicted(["A", "C"], [0.2, 0.1], fold=0), predicted(["A", "C"], [0.6, 0.3], fold=1)])
    table = score_cohort(rows, normal_class="C", grades=pd.Series(dtype=float), params=PARAMS).table
    assert table["score"].tolist() == pytest.approx([0.4, 0.2])


def test_light_and_ungraded_fractures_are_left_out_of_the_severe():
    grades = pd.Series({"s000": "3.0", "s001": "1.0", "s002": None, "s003": "0.0", "s004": "2"})
    chosen = severe_only(cohort(["A", "A", "A", "C", "B", "C"], np.linspace(0.1, 0.9, 6), grades=grades))
    assert chosen.table["sample_id"].tolist() == ["s000", "s003", "s004", "s005"]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=2, max_size=30))
def test_no_other_threshold_has_a_larger_youden_index(pairs):
    fracture = np.array([pair[0] for pair in pairs])
    scores = np.array([pair[1] / 10 for pair in pairs])
    rows = predicted(np.where(fracture, "A", "C"), scores).assign(split="validation")
    found = youden_threshold(rows, normal_class="C")
    if fracture.all() or not fracture.any():
        assert found is None
        return
    index = [(scores[fracture] >= cut).mean() + (scores[~fracture] < cut).mean() for cut in np.arange(0.05, 1.1, 0.1)]
    reached = (scores[fracture] >= found.value).mean() + (scores[~fracture] < found.value).mean()
    assert reached == pytest.approx(max(index))


def test_threshold_looks_at_validation_alone():
    validation = predicted(["A", "C"] * 5, [0.9, 0.3] * 5).assign(split="validation")
    others = predicted(["A", "C"] * 5, [0.1, 0.8] * 5).assign(split="test")
    others["sample_id"] = "t" + others["sample_id"]
    found = youden_threshold(pd.concat([validation, others]), normal_class="C")
    assert found.value == pytest.approx(0.6)
    assert (found.n_samples, found.n_patients) == (10, 5)


def test_threshold_decides_and_calibration_is_that_of_the_probabilities():
    rng = np.random.default_rng(2)
    labels = np.array(["A", "C", "C"] * 20)
    scores = np.clip(np.where(labels == "A", 0.55, 0.45) + rng.normal(0, 0.2, 60), 0.01, 0.99)
    found = assess_scores(cohort(labels, scores), Threshold(0.5, 10, 5))
    assert found.operating_point["sensitivity"].estimate == pytest.approx((scores[labels == "A"] >= 0.5).mean())
    assert found.operating_point["specificity"].estimate == pytest.approx((scores[labels == "C"] < 0.5).mean())
    assert found.operating_point["specificity"].n_samples == 40
    assert found.calibration["brier"].estimate == pytest.approx(brier_score_loss(labels == "A", scores))
    assert found.calibration["mean_score_minus_share"].estimate == pytest.approx(scores.mean() - 1 / 3)


def test_calibration_error_is_the_mean_distance_of_bins():
    labels = ["A"] * 4 + ["C"] * 4
    scores = [0.95, 0.95, 0.15, 0.15, 0.95, 0.15, 0.15, 0.15]
    expected = (3 * abs(0.95 - 2 / 3) + 5 * abs(0.15 - 2 / 5)) / 8
    assert calibration(cohort(labels, scores))["expected_calibration_error"].estimate == pytest.approx(expected)
