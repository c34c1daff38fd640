import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from helpers.evaluation.intervals import exact_interval, wilson_interval

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
