import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.evaluation.estimates import Metric, Support
from helpers.evaluation.intervals import exact_interval
from helpers.evaluation.prevalence import predictive_values

SUPPORT = Support(n_samples=90, n_patients=60, n_limiting=30)


def share(n_right, n_total):
    if n_total == 0:
        return Metric(math.nan, None, None, None, 0, 0, note="undefined")
    interval = exact_interval(n_right, n_total)
    return Metric(n_right / n_total, interval.low, interval.high, interval.method, n_total, n_total)


def values(sensitivity, specificity, *prevalences):
    return predictive_values(sensitivity, specificity, prevalences=prevalences, support=SUPPORT)


def test_values_by_bayes_rule():
    found = values(share(45, 50), share(32, 40), 0.1)
    assert found["ppv_at_0.1"].estimate == pytest.approx(0.1 * 0.9 / (0.1 * 0.9 + 0.9 * 0.2))
    assert found["npv_at_0.1"].estimate == pytest.approx(0.9 * 0.8 / (0.9 * 0.8 + 0.1 * 0.1))
    assert (found["ppv_at_0.1"].n_samples, found["ppv_at_0.1"].n_patients) == (90, 60)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.floats(0.01, 0.9))
def test_interval_holds_the_estimate_and_stays_a_share(n_sensitive, n_specific, prevalence):
    for metric in values(share(n_sensitive, 40), share(n_specific, 40), prevalence).values():
        if math.isnan(metric.estimate):
            continue
        assert 0 <= metric.ci_low <= metric.estimate <= metric.ci_high <= 1
        assert metric.ci_low < metric.ci_high


def test_perfect_specificity_in_few_patients_promises_little_where_fractures_are_rare():
    found = values(share(28, 30), share(30, 30), 0.02)["ppv_at_0.02"]
    assert (found.estimate, found.ci_high) == (1.0, 1.0)
    assert found.ci_low < 0.2


def test_more_positives_raise_ppv_and_lower_npv():
    found = values(share(45, 50), share(32, 40), 0.02, 0.1, 0.3)
    ppv, npv = ([found[f"{name}_at_{p}"].estimate for p in (0.02, 0.1, 0.3)] for name in ("ppv", "npv"))
    assert (np.diff(ppv) > 0).all()
    assert (np.diff(npv) < 0).all()


def test_missing_group_is_undefined_and_missing_interval_is_said():
    assert math.isnan(values(share(0, 0), share(30, 40), 0.1)["ppv_at_0.1"].estimate)
    bare = Metric(0.5, None, None, None, 2, 1, note="no interval")
    found = values(bare, share(30, 40), 0.1)["ppv_at_0.1"]
    assert found.ci_low is None
    assert found.note == "no interval: sensitivity or specificity has none"
