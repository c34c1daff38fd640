import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.evaluation.questions import HIGH_SENSITIVITY, HIGH_SPECIFICITY, WANTED, YOUDEN
from helpers.evaluation.scores import ScoredCohort
from helpers.evaluation.threshold import best_cuts, carried_thresholds
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)
SAMPLES = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=30)


def validated(pairs):
    """A cohort of one sample for each patient, from (is fracture, score in tenths)."""
    table = pd.DataFrame(pairs, columns=["is_fracture", "score"]).assign(score=lambda t: t["score"] / 10)
    ids = [str(number) for number in range(len(pairs))]
    return ScoredCohort(table.assign(sample_id=ids, PatientID=ids), (), PARAMS)


def youden_threshold(rows):
    return carried_thresholds(rows, normal_class="C", params=PARAMS)[YOUDEN]


def youden(cohort, cut, *, weights):
    called, fracture = cohort.table["score"].to_numpy() >= cut, cohort.is_fracture
    found = (weights * (called & fracture)).sum() / weights[fracture].sum()
    return found + (weights * (~called & ~fracture)).sum() / weights[~fracture].sum()


@given(SAMPLES, st.integers(0, 200))
def test_no_other_threshold_has_a_larger_youden_index_in_any_replicate(pairs, replicate):
    cohort = validated(pairs)
    cut, weights = best_cuts(cohort)[replicate], cohort.weights[replicate]
    if weights[cohort.is_fracture].sum() == 0 or weights[~cohort.is_fracture].sum() == 0:
        assert np.isnan(cut)
        return
    best = max(youden(cohort, other, weights=weights) for other in np.arange(-0.05, 1.1, 0.1))
    assert youden(cohort, cut, weights=weights) == pytest.approx(best)


def test_threshold_lies_half_way_between_drawn_samples():
    cohort = validated([(False, 1), (False, 3), (True, 5), (True, 9)])
    cohort.__dict__["weights"] = np.array([[1.0, 1, 1, 1], [1, 0, 0, 3], [2, 2, 0, 0]])
    np.testing.assert_allclose(best_cuts(cohort), [0.4, 0.5, np.nan])


def test_threshold_looks_at_validation_alone(make_scored):
    validation = make_scored(["A", "C"] * 5, [0.9, 0.3] * 5, split="validation")
    others = make_scored(["A", "C"] * 5, [0.1, 0.8] * 5, split="test")
    others["sample_id"] = "t" + others["sample_id"]
    found = youden_threshold(pd.concat([validation, others]))
    assert found.value == pytest.approx(0.6)
    assert (found.metric.n_samples, found.metric.n_patients) == (10, 5)
    assert found.on_validation["sensitivity"].estimate == 1.0


def test_interval_of_the_threshold_holds_it_where_groups_overlap(make_scored):
    rng = np.random.default_rng(4)
    labels = np.array(["A", "C"] * 60)
    scores = np.where(labels == "A", 0.6, 0.4) + rng.normal(0, 0.15, 120)
    found = youden_threshold(make_scored(labels, scores, split="validation"))
    assert found.metric.ci_low < found.value < found.metric.ci_high
    assert found.on_validation["sensitivity"].estimate == pytest.approx((scores[labels == "A"] >= found.value).mean())
    assert found.on_validation["specificity"].estimate == pytest.approx((scores[labels == "C"] < found.value).mean())


@pytest.mark.parametrize("label", ["A", "C"])
def test_without_both_groups_there_is_no_threshold(make_scored, label):
    rows = make_scored([label] * 4, [0.1, 0.2, 0.8, 0.9], split="validation")
    assert carried_thresholds(rows, normal_class="C", params=PARAMS) == {}


def test_several_folds_are_told_beside_the_numbers(make_scored):
    one = make_scored(["A", "C"] * 5, [0.9, 0.3] * 5, split="validation")
    both = pd.concat([one, one.assign(fold=1)])
    of_one, of_both = (youden_threshold(rows) for rows in (one, both))
    assert (of_one.n_folds, of_both.n_folds) == (1, 2)
    assert of_one.caveat in of_both.caveat
    assert "means of 2 folds" in of_both.caveat
    assert of_both.metric.n_samples == 10


@pytest.mark.parametrize(("rule", "group"), [(HIGH_SENSITIVITY, True), (HIGH_SPECIFICITY, False)])
def test_other_rules_keep_their_share_on_validation(make_scored, rule, group):
    rng = np.random.default_rng(8)
    labels = np.array(["A", "C"] * 60)
    scores = np.clip(np.where(labels == "A", 0.6, 0.4) + rng.normal(0, 0.15, 120), 0, 1)
    rows = make_scored(labels, scores, split="validation")
    cut = carried_thresholds(rows, normal_class="C", params=PARAMS)[rule].value
    kept = (scores >= cut)[labels == "A"] if group else (scores < cut)[labels == "C"]
    assert WANTED <= kept.mean() < WANTED + 1 / 60
