import numpy as np
import pytest

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def test_ratio_draws_patients_and_not_images():
    """Images of one patient that are all alike add nothing: as wide as with one image of each patient."""
    values, patients = np.array([0.1, 0.4, 0.3, 0.9, 0.5]), np.array(list("abcde"))
    once = ratio_of_sums(values, np.ones(5), patients=patients, params=PARAMS)
    often = ratio_of_sums(np.repeat(values, 7), np.ones(35), patients=np.repeat(patients, 7), params=PARAMS)
    assert once.estimate == pytest.approx(values.mean())
    assert (often.ci_low, often.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    assert once.ci_low < once.estimate < once.ci_high
    assert (often.n_samples, often.n_patients) == (35, 5)


def test_the_interval_has_the_confidence_that_is_asked_for():
    values, patients = np.random.default_rng(0).random(30), [f"p{i}" for i in range(30)]
    wide, narrow = (
        ratio_of_sums(values, np.ones(30), patients=patients, params=PARAMS.model_copy(update={"confidence": share}))
        for share in (0.95, 0.5)
    )
    assert wide.ci_low < narrow.ci_low < narrow.estimate < narrow.ci_high < wide.ci_high


def test_a_sum_of_zero_below_is_undefined():
    assert np.isnan(ratio_of_sums(np.ones(3), np.zeros(3), patients=list("abc"), params=PARAMS).estimate)
