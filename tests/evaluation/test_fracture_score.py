import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from helpers.evaluation.fracture_score import assess_scores, auroc_by_seed, calibration, moderate_or_severe_only
from helpers.evaluation.questions import YOUDEN
from helpers.evaluation.scores import score_cohort
from helpers.evaluation.threshold import carried_thresholds
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def score(predictions, *, grades=None):
    grades = pd.Series(dtype=float) if grades is None else grades
    return score_cohort(predictions, normal_class="C", grades=grades, params=PARAMS)


def test_each_seed_is_ranked_by_itself_and_the_mean_is_of_their_areas(make_scored):
    rng = np.random.default_rng(1)
    labels = ["A", "C"] * 20
    by_seed = {seed: np.where(np.array(labels) == "A", 0.6, 0.4) + rng.normal(0, 0.15, 40) for seed in (0, 3)}
    found = auroc_by_seed(score(pd.concat([make_scored(labels, s, seed=seed) for seed, s in by_seed.items()])))
    areas = [roc_auc_score(np.array(labels) == "A", np.clip(scores, 1e-6, 1 - 1e-6)) for scores in by_seed.values()]
    assert [found["seed_0"].estimate, found["seed_3"].estimate] == pytest.approx(areas)
    mean = found["mean_of_seeds"]
    assert mean.estimate == pytest.approx(np.mean(areas))
    assert mean.ci_low < np.mean(areas) < mean.ci_high
    assert (found["seed_0"].n_samples, found["seed_0"].n_patients) == (40, 20)
    assert mean.note.startswith("20 fractures of 20 patients, 20 normal samples of 20 patients; ")
    low, high = sorted(found[name].estimate for name in ("seed_0", "seed_3"))
    assert f"seeds from {low:.3f} to {high:.3f}" in mean.note


def test_mild_and_ungraded_fractures_are_left_out(make_scored):
    grades = pd.Series({"s000": "3.0", "s001": "1.0", "s002": None, "s003": "0.0", "s004": "2"})
    cohort = score(make_scored(["A", "A", "A", "C", "B", "C"], np.linspace(0.1, 0.9, 6)), grades=grades)
    assert moderate_or_severe_only(cohort).table["sample_id"].tolist() == ["s000", "s003", "s004", "s005"]


def test_threshold_decides_and_its_caveat_stands_beside(make_scored):
    rng = np.random.default_rng(2)
    labels = np.array(["A", "C", "C"] * 20)
    scores = np.clip(np.where(labels == "A", 0.55, 0.45) + rng.normal(0, 0.2, 60), 0.01, 0.99)
    rows = make_scored(labels, scores)
    thresholds = carried_thresholds(rows.assign(split="validation"), normal_class="C", params=PARAMS)
    threshold, points = thresholds[YOUDEN], assess_scores(score(rows), thresholds).operating_points
    assert list(points) == list(thresholds)
    found = points[YOUDEN]
    assert found["sensitivity"].estimate == pytest.approx((scores[labels == "A"] >= threshold.value).mean())
    assert found["specificity"].estimate == pytest.approx((scores[labels == "C"] < threshold.value).mean())
    assert found["specificity"].n_samples == 40
    assert found["specificity"].note == threshold.caveat


def test_calibration_is_that_of_the_probabilities(make_scored):
    labels = ["A"] * 4 + ["C"] * 8
    scores = [0.95, 0.95, 0.15, 0.15, 0.95, 0.15, 0.15, 0.15, 0.35, 0.35, 0.35, 0.35]
    found = calibration(score(make_scored(labels, scores)))
    assert found["brier"].estimate == pytest.approx(brier_score_loss(np.array(labels) == "A", scores))
    assert found["brier_of_share"].estimate == pytest.approx(1 / 3 * 2 / 3)
    assert found["mean_score_minus_share"].estimate == pytest.approx(np.mean(scores) - 1 / 3)
    error = (3 * abs(0.95 - 2 / 3) + 5 * abs(0.15 - 2 / 5) + 4 * 0.35) / 12
    assert found["expected_calibration_error"].estimate == pytest.approx(error)


def test_numbers_without_an_honest_interval_have_none(make_scored):
    found = assess_scores(score(make_scored("AACC" * 4, [0.9, 0.8, 0.1, 0.2] * 4)), {})
    assert found.calibration["expected_calibration_error"].ci_low is None
    assert found.calibration["brier_of_share"].ci_low is None
    mean = found.auroc["mean_of_seeds"]
    assert (mean.estimate, mean.ci_low) == (1.0, pytest.approx(0.025 ** (1 / 4)))
    assert mean.note.startswith("every replicate has the same value; limit for 4 patients without an exception; 8 ")


def test_parts_without_what_they_need_are_empty_and_plain(make_scored):
    found = assess_scores(score(make_scored("AC" * 4, np.linspace(0.1, 0.9, 8))), {})
    document = json.loads(json.dumps(found.to_json_dict(), allow_nan=False))
    assert (document["moderate_or_severe"], document["operating_points"]) == ({}, {})
    assert document["moderate_or_severe_counts"] == {"fractures": 0, "normal": 4, "left_out": 4}
