import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from helpers.evaluation.intervals import (
    Interval,
    clustered_log_interval,
    clustered_logit_interval,
    clustered_wilson_interval,
    exact_interval,
    mean_of_shares_interval,
    ratio_interval,
    wilson_interval,
)

COUNTS = st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(counts=COUNTS, confidence=st.floats(0.5, 0.999))
def test_wilson_equals_its_closed_form(counts, confidence):
    n_correct, n_total = counts
    z = norm.ppf((1 + confidence) / 2)
    share = n_correct / n_total
    centre = (share + z**2 / (2 * n_total)) / (1 + z**2 / n_total)
    half = z / (1 + z**2 / n_total) * math.sqrt(share * (1 - share) / n_total + z**2 / (4 * n_total**2))
    interval = wilson_interval(n_correct, n_total, confidence=confidence)
    assert interval.low == pytest.approx(max(0, centre - half), abs=1e-9)
    assert interval.high == pytest.approx(min(1, centre + half), abs=1e-9)
    assert interval.method == "Wilson score"


@pytest.mark.parametrize(
    ("n_correct", "n_total", "low", "high"),
    [(53, 55, 87.7, 99.0), (106, 110, 91.0, 98.6), (212, 220, 93.0, 98.1)],
)
def test_wilson_intervals_of_the_paper_sizes(n_correct, n_total, low, high):
    interval = wilson_interval(n_correct, n_total)
    assert (round(100 * interval.low, 1), round(100 * interval.high, 1)) == (low, high)


@given(counts=COUNTS, confidence=st.floats(0.5, 0.999))
def test_exact_interval_equals_beta_quantiles(counts, confidence):
    n_correct, n_total = counts
    tail = (1 - confidence) / 2
    interval = exact_interval(n_correct, n_total, confidence=confidence)
    low = 0 if n_correct == 0 else beta.ppf(tail, n_correct, n_total - n_correct + 1)
    high = 1 if n_correct == n_total else beta.ppf(1 - tail, n_correct + 1, n_total - n_correct)
    assert interval.low == pytest.approx(low, abs=1e-7)
    assert interval.high == pytest.approx(high, abs=1e-7)


@pytest.mark.parametrize("interval", [wilson_interval, exact_interval])
@pytest.mark.parametrize(
    ("n_correct", "n_total", "confidence", "words"),
    [(3, 2, 0.95, "3 of 2"), (-1, 2, 0.95, "-1 of 2"), (0, 0, 0.95, "0 of 0"), (1, 2, 95, "confidence is 95")],
)
def test_impossible_input_is_refused(interval, n_correct, n_total, confidence, words):
    with pytest.raises(ValueError, match=words):
        interval(n_correct, n_total, confidence=confidence)


SHARES, VARIANCES = st.floats(0.01, 0.99), st.floats(1e-6, 0.05)


@given(share=SHARES, variance=VARIANCES, confidence=st.floats(0.5, 0.999))
@pytest.mark.parametrize("interval", [clustered_wilson_interval, clustered_logit_interval])
def test_clustered_intervals_hold_the_share_and_stay_shares(interval, share, variance, confidence):
    found = interval(share, variance=variance, confidence=confidence)
    assert 0 <= found.low < share < found.high <= 1


@given(counts=COUNTS.filter(lambda counts: 0 < counts[0] < counts[1]))
def test_clustered_wilson_of_independent_trials_is_wilsons(counts):
    n_correct, n_total = counts
    share = n_correct / n_total
    found = clustered_wilson_interval(share, variance=share * (1 - share) / n_total, confidence=0.95)
    expected = wilson_interval(n_correct, n_total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_logit_and_log_intervals_by_hand():
    logit = clustered_logit_interval(0.8, variance=0.16**2 / 1.959964**2, confidence=0.95)
    assert (logit.low, logit.high) == pytest.approx((1 / (1 + math.e / 4), 1 / (1 + 1 / (4 * math.e))))
    log = clustered_log_interval(0.5, variance=0.5**2 / 1.959964**2, confidence=0.95)
    assert (log.low, log.high) == pytest.approx((0.5 / math.e, 0.5 * math.e))


def test_mean_of_equal_shares_is_narrower_by_the_root_of_their_number():
    part = Interval(0.7, 0.95, "x")
    mean = mean_of_shares_interval([0.9] * 4, [part] * 4)
    assert (mean.low, mean.high) == pytest.approx((0.9 - 0.2 / 2, 0.9 + 0.05 / 2))


def test_ratio_of_two_shares_by_donner_and_zou():
    top, bottom = (0.8, Interval(0.7, 0.9, "x")), (0.4, Interval(0.3, 0.5, "x"))
    low, high = ratio_interval(top, bottom)
    expected_low = (0.32 - math.sqrt(0.32**2 - 0.7 * 0.9 * 0.5 * 0.3)) / (0.5 * 0.3)
    expected_high = (0.32 + math.sqrt(0.32**2 - 0.9 * 0.7 * 0.3 * 0.5)) / (0.3 * 0.5)
    assert (low, high) == pytest.approx((expected_low, expected_high))
    assert ratio_interval(top, (0.0, Interval(0.0, 0.1, "x"))) == (pytest.approx(math.sqrt(0.7 * 0.9) / 0.1), math.inf)
    assert ratio_interval((0.0, Interval(0.0, 0.1, "x")), bottom)[0] == 0
