import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from helpers.evaluation.scores import fracture_scores, score_cohort
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)
NO_GRADES = pd.Series(dtype=float)


def score(predictions, *, grades=NO_GRADES):
    return score_cohort(predictions, normal_class="C", grades=grades, params=PARAMS)


def test_score_is_one_minus_the_probability_of_normal():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20, 3))
    table = pd.DataFrame(logits, columns=["logit_A", "logit_C", "logit_B"])
    np.testing.assert_allclose(fracture_scores(table, normal_class="C"), 1 - softmax(logits, axis=1)[:, 1])


def test_a_certain_fracture_scores_one_and_not_more():
    rng = np.random.default_rng(0)
    logits = np.column_stack([rng.normal(40, 3, (500, 2)), np.zeros(500)])
    assert fracture_scores(pd.DataFrame(logits, columns=["logit_A", "logit_B", "logit_C"]), normal_class="C").max() <= 1


def test_folds_are_averaged_before_seeds(make_scored):
    folds = [make_scored(["A", "C"], [0.2, 0.1]), make_scored(["A", "C"], [0.6, 0.3], fold=1)]
    seed = make_scored(["A", "C"], [0.8, 0.3], seed=1)
    found = score(pd.concat([*folds, seed]))
    assert found.seeds == (0, 1)
    assert found.table["score_0"].tolist() == pytest.approx([0.4, 0.2])
    assert found.table["score"].tolist() == pytest.approx([0.6, 0.25])


def test_grades_are_numbers_or_open(make_scored):
    grades = pd.Series({"s001": "2.0", "s000": "?", "elsewhere": "3"})
    assert score(make_scored("AAC", [0.5] * 3), grades=grades).table["grade"].tolist() == pytest.approx(
        [np.nan, 2.0, np.nan], nan_ok=True
    )


def test_a_patient_brings_all_samples_along(make_scored):
    weights = score(make_scored("AACC" * 3, np.linspace(0.1, 0.9, 12))).weights
    assert weights.shape == (201, 12)
    np.testing.assert_array_equal(weights[0], 1)
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    np.testing.assert_array_equal(weights.sum(axis=1), 12)


def test_mean_is_over_the_chosen_samples_and_counts_them(make_scored):
    cohort = score(make_scored("AACCCC", [0.9, 0.7, 0.1, 0.2, 0.3, 0.4]))
    metric = cohort.mean(cohort.table["score"].to_numpy(), rows=~cohort.is_fracture, undefined="never")
    assert metric.estimate == pytest.approx(0.25)
    assert (metric.n_samples, metric.n_patients) == (4, 2)
