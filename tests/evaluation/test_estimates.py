import dataclasses
import json
import math

import numpy as np
import pytest

from helpers.evaluation.estimates import Bounds, Support, metric_from_replicates
from helpers.evaluation.intervals import CLUSTERED_WILSON

TEN = Support(n_samples=30, n_patients=10, n_limiting=10)


def build(estimate, replicates, **options):
    options = {"support": TEN, "confidence": 0.95, "undefined": "no sample has this class"} | options
    return metric_from_replicates(estimate, np.asarray(replicates, dtype=float), **options)


def test_share_gets_the_wilson_interval_for_the_variance_of_its_replicates():
    """The variance of 0.7 in 21 independent trials must give Wilson's interval of 21 trials."""
    share = np.sqrt(0.7 * 0.3 / 21 * 9 / 10)
    metric = build(0.7, np.array([0.7 - share, 0.7 + share] * 50))
    centre, z2 = 0.7 + 1.959964**2 / 42, 1.959964**2
    half = np.sqrt(z2 * (0.7 * 0.3 / 21 + z2 / (4 * 21**2)))
    expected = ((centre - half) / (1 + z2 / 21), (centre + half) / (1 + z2 / 21))
    assert (metric.ci_low, metric.ci_high) == pytest.approx(expected, abs=1e-6)
    assert metric.ci_method == CLUSTERED_WILSON
    assert (metric.n_samples, metric.n_patients, metric.n_dropped, metric.note) == (30, 10, 0, None)


def test_range_below_zero_is_put_on_the_scale_of_a_share():
    replicates = np.linspace(0.5, 0.9, 100)
    signed, share = build(2 * 0.7 - 1, 2 * replicates - 1, bounds=Bounds(lower=-1)), build(0.7, replicates)
    assert (signed.ci_low, signed.ci_high) == pytest.approx((2 * share.ci_low - 1, 2 * share.ci_high - 1))


@pytest.mark.parametrize(("estimate", "bounds"), [(0.7, None), (1.6, Bounds())], ids=["unknown range", "outside it"])
def test_number_that_is_no_share_gets_percentiles(estimate, bounds):
    replicates = np.linspace(estimate - 0.2, estimate + 0.2, 401)
    metric = build(estimate, replicates, bounds=bounds)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((estimate - 0.19, estimate + 0.19))
    assert metric.ci_method == "patient-clustered bootstrap, percentile"


def test_limits_stay_inside_the_range_close_to_its_end():
    metric = build(0.99, np.concatenate([np.full(50, 1.0), np.full(50, 0.97)]))
    assert 0 < metric.ci_low < 0.99 < metric.ci_high < 1


def test_undefined_estimate_has_no_interval_and_says_why():
    metric = build(math.nan, [np.nan] * 5)
    assert math.isnan(metric.estimate)
    assert metric.ci_low is None
    assert metric.ci_method is None
    assert metric.note == "undefined: no sample has this class"


@pytest.mark.parametrize(("n_undefined", "noted"), [(10, False), (11, True)])
def test_undefined_replicates_are_dropped_counted_and_noted_above_a_tenth(n_undefined, noted):
    replicates = np.concatenate([np.full(n_undefined, np.nan), np.linspace(0.2, 0.4, 100 - n_undefined)])
    metric = build(0.3, replicates)
    assert metric.n_dropped == n_undefined
    assert 0 < metric.ci_low < 0.3
    assert (metric.note is not None) is noted
    if noted:
        assert metric.note == "interval from 89 of 100 replicates; in the others no sample has this class"


def test_estimate_outside_its_interval_is_noted():
    assert "outside its interval" in build(0.95, np.linspace(0.2, 0.4, 100), bounds=None).note


def test_estimate_without_any_defined_replicate_has_no_interval():
    metric = build(0.5, [np.nan] * 4)
    assert metric.ci_low is None
    assert metric.note.startswith("no interval: undefined in every replicate")


@pytest.mark.parametrize(
    ("estimate", "low", "high"), [(1.0, 0.025 ** (1 / 10), 1.0), (0.0, 0.0, 1 - 0.025 ** (1 / 10))]
)
def test_no_exception_among_ten_patients_gives_the_clopper_pearson_limit(estimate, low, high):
    metric = build(estimate, [estimate] * 50)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((low, high))
    assert metric.ci_method == "Clopper-Pearson on patients"
    assert "10 patients" in metric.note


@pytest.mark.parametrize(("worst", "low"), [(0.99, 0.025 ** (1 / 10)), (0.5, 0.5)])
def test_perfection_is_no_surer_where_a_few_replicates_fall_short(worst, low):
    """As where each chooses a threshold anew: the limit of ten patients stays, unless percentiles reach further."""
    metric = build(1.0, [1.0] * 90 + [worst] * 10, bounds=Bounds())
    assert (metric.ci_low, metric.ci_high) == pytest.approx((low, 1.0))


def test_limit_at_perfection_counts_the_smallest_group():
    support = dataclasses.replace(TEN, n_limiting=4)
    assert build(1.0, [1.0] * 50, support=support).ci_low == pytest.approx(0.025 ** (1 / 4))


def test_limit_of_chance_corrected_metric_is_put_on_its_own_scale():
    metric = build(1.0, [1.0] * 50, bounds=Bounds(lower=-1.0, chance=0.4))
    assert metric.ci_low == pytest.approx((0.025 ** (1 / 10) - 0.4) / 0.6)
    assert metric.ci_high == 1.0


@pytest.mark.parametrize("lower", [0.0, -1.0])
def test_same_value_in_every_replicate_gives_no_interval_of_zero_width(lower):
    metric = build(1 / 3, [1 / 3] * 50, bounds=Bounds(lower=lower))
    assert metric.ci_low is None
    assert metric.note == "no interval: the same value in every replicate"


def test_zero_is_no_bound_of_a_metric_that_can_be_negative():
    assert build(0.0, [0.0] * 50, bounds=Bounds(lower=-1.0)).ci_low is None


def test_fewer_than_two_patients_give_no_interval():
    metric = build(0.5, [0.4, 0.6], support=Support(n_samples=3, n_patients=1, n_limiting=1))
    assert metric.ci_low is None
    assert "fewer than two patients" in metric.note


def test_json_form_is_strict():
    plain = build(math.nan, [np.nan]).to_json_dict()
    assert plain["estimate"] is None
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain) == {
        "estimate", "ci_low", "ci_high", "ci_method", "n_samples", "n_patients", "n_dropped", "note",
    }  # fmt: skip
