import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.estimates import Bounds
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


@pytest.fixture
def boot():
    rows = pd.DataFrame({"sample_id": list("abcde"), "PatientID": ["p", "q", "p", "r", "q"]})
    return PatientBootstrap.of(rows, params=PARAMS)


def test_first_row_counts_everybody_once_and_replicates_draw_as_many(boot):
    assert boot.weights[0].tolist() == [1, 1, 1]
    assert (boot.weights.sum(axis=1) == 3).all()


def test_totals_are_the_sums_of_the_drawn_rows(boot):
    values = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40], [5, 50]])
    assert boot.per_patient(values).tolist() == [[4, 40], [7, 70], [4, 40]]
    by_hand = [
        sum(weight[code] * row for code, row in zip(boot.patient, values, strict=True)) for weight in boot.weights
    ]
    np.testing.assert_allclose(boot.totals(values), by_hand)


def test_share_counts_rows_and_their_patients(boot):
    share = boot.share(np.array([True, False, False, True, False]), rows=np.array([True, False, True, True, False]))
    assert share.estimate == pytest.approx(2 / 3)
    assert (share.n_samples, share.n_patients) == (3, 2)


def test_share_of_all_has_a_limit_that_is_not_one(boot):
    share = boot.share(np.ones(5, dtype=bool))
    assert share.ci_low < 1 == share.ci_high


def test_mean_is_that_of_the_rows(boot):
    assert boot.mean(np.arange(5.0)).estimate == 2


def test_share_of_nothing_is_undefined_in_words(boot):
    metric = boot.share(np.zeros(5, dtype=bool), rows=np.zeros(5, dtype=bool), undefined="there is no row")
    assert np.isnan(metric.estimate)
    assert "there is no row" in metric.note


def test_unbounded_numbers_keep_their_replicates(boot):
    low_high = boot.metric(np.linspace(5, 6, 201), bounds=None)
    assert 5 < low_high.ci_low < low_high.ci_high < 6 or low_high.note
    assert boot.metric(np.full(201, 0.5), bounds=Bounds()).ci_low is None


def test_same_seed_draws_the_same_patients(boot):
    again = PatientBootstrap(boot.patient, boot.sample, PARAMS)
    assert (again.weights == boot.weights).all()
