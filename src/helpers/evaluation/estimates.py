"""From replicates to reported numbers: an estimate, its interval, the interval's method and what it stands on."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from helpers.evaluation.bootstrap import percentile_interval
from helpers.evaluation.intervals import Interval, clustered_wilson_interval, exact_interval

# Above this share of undefined replicates the note says so: the interval then describes only part of the resamples.
NOTABLE_DROPPED_SHARE = 0.10
# Replicates closer together than this are one value with rounding noise.
SAME_VALUE = 1e-12
# From (share, variance=, confidence=) to an interval, see `helpers.evaluation.intervals`.
ClusteredInterval = Callable[..., Interval]


@dataclass(frozen=True)
class Metric:
    """One number of metrics.json.

    Attributes
    ----------
    estimate
        The value on all samples; NaN where it is undefined.
    ci_low, ci_high, ci_method
        Limits and how they were found; None where no interval can be given, and then `note` says why.
    n_samples, n_patients
        Distinct images and patients in the metric's denominator.
    n_dropped
        Replicates in which the metric was undefined and which the interval leaves out.
    note
        What a reader must know beside the number, or None.
    """

    estimate: float
    ci_low: float | None
    ci_high: float | None
    ci_method: str | None
    n_samples: int
    n_patients: int
    n_dropped: int = 0
    note: str | None = None

    def to_json_dict(self) -> dict:
        """Plain values for JSON: NaN, which JSON does not know, becomes None."""
        return asdict(self) | {"estimate": None if math.isnan(self.estimate) else self.estimate}

    def with_note(self, text: str) -> "Metric":
        """The same metric with one thing more to know beside it."""
        return replace(self, note=text if self.note is None else f"{self.note}; {text}")


@dataclass(frozen=True)
class Support:
    """What a metric stands on: its samples and patients, and the patients of the smallest group it needs."""

    n_samples: int
    n_patients: int
    n_limiting: int


@dataclass(frozen=True)
class Bounds:
    """Limits of a metric's range.

    Attributes
    ----------
    lower, upper
        Smallest and largest possible value; `upper` may be infinite.
    chance
        Agreement expected by chance, for metrics of the form (observed - chance) / (1 - chance); 0 for plain shares.
    """

    lower: float = 0.0
    upper: float = 1.0
    chance: float = 0.0

    @property
    def scale(self) -> float:
        """What a share of the range is multiplied by; 1 for an unlimited range, whose values stay as they are."""
        return self.upper - self.lower if math.isfinite(self.upper) else 1.0

    def hold(self, values: np.ndarray) -> bool:
        """Whether all values lie within the range."""
        return bool((values >= self.lower - SAME_VALUE).all() and (values <= self.upper + SAME_VALUE).all())

    def reached(self, value: float) -> bool:
        """Whether a value is the smallest or the largest possible one."""
        return min(abs(value - self.lower), abs(value - self.upper)) <= SAME_VALUE


# The range of a plain share.
SHARE = Bounds()


def metric_from_replicates(
    estimate: float,
    replicates: np.ndarray,
    *,
    support: Support,
    confidence: float,
    undefined: str,
    bounds: Bounds | None = SHARE,
    interval_of: ClusteredInterval = clustered_wilson_interval,
) -> Metric:
    """Choose the interval of a metric and put all that belongs to it together.

    The variance of the replicates, times m / (m - 1) for m patients in the smallest group that the metric needs, gives
    a Wilson interval on the metric's range. Percentiles of the replicates are taken only for a metric without a known
    range: near 1, and with few patients, they are far too short (coverage.csv).

    Where the estimate is the best or worst possible value, the bootstrap would claim more certainty than there is, and
    all of it where every replicate has that value; the interval then reaches at least to the Clopper–Pearson limit for
    m patients without an exception. It holds for AUROC as well: m positives paired with negatives of other patients are
    m trials, each of which AUROC is the chance of winning.

    Parameters
    ----------
    estimate
        Value on all samples, NaN if undefined.
    replicates
        (R,) values, NaN where undefined.
    support, confidence, bounds
        See `Support`, `percentile_interval`, `Bounds`; `bounds` is None where the range is unknown.
    undefined
        When the metric is 0/0, in words.
    interval_of
        From a share of the range and its variance to an interval.
    """
    defined = replicates[~np.isnan(replicates)]
    n_dropped = len(replicates) - len(defined)
    interval, note = None, None
    if math.isnan(estimate):
        note = f"undefined: {undefined}"
    elif support.n_limiting < 2:
        note = "no interval: fewer than two patients in a group that this metric needs"
    elif not len(defined):
        note = f"no interval: undefined in every replicate ({undefined})"
    elif np.ptp(defined) > SAME_VALUE:
        interval = _interval_of_spread(
            estimate, defined, support=support, confidence=confidence, bounds=bounds, interval_of=interval_of
        )
        note = _dropped_note(n_dropped, n_replicates=len(replicates), undefined=undefined)
        if not interval.low <= estimate <= interval.high:
            note = "the estimate lies outside its interval: too few patients or replicates for this method"
    else:
        interval = _interval_at_bound(estimate, support=support, confidence=confidence, bounds=bounds)
        note = _constant_note(support=support, bounded=interval is not None)
    return Metric(
        estimate=float(estimate),
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        ci_method=None if interval is None else interval.method,
        n_samples=support.n_samples,
        n_patients=support.n_patients,
        n_dropped=n_dropped,
        note=note,
    )


def _dropped_note(n_dropped: int, *, n_replicates: int, undefined: str) -> str | None:
    if n_dropped <= NOTABLE_DROPPED_SHARE * n_replicates:
        return None
    return f"interval from {n_replicates - n_dropped} of {n_replicates} replicates; in the others {undefined}"


def _constant_note(*, support: Support, bounded: bool) -> str:
    if bounded:
        return f"every replicate has the same value; limit for {support.n_limiting} patients without an exception"
    return "no interval: the same value in every replicate"


def _interval_of_spread(
    estimate: float,
    replicates: np.ndarray,
    *,
    support: Support,
    confidence: float,
    bounds: Bounds | None,
    interval_of: ClusteredInterval,
) -> Interval:
    percentiles = percentile_interval(replicates, confidence=confidence)
    if bounds is None or not bounds.hold(replicates):
        return percentiles
    if bounds.reached(estimate):
        limit = _interval_at_bound(estimate, support=support, confidence=confidence, bounds=bounds)
        return percentiles if limit is None else _wider(limit, percentiles)
    small_sample = support.n_limiting / (support.n_limiting - 1)
    share = interval_of(
        (estimate - bounds.lower) / bounds.scale,
        variance=float(replicates.var()) * small_sample / bounds.scale**2,
        confidence=confidence,
    )
    low, high = (bounds.lower + bounds.scale * limit for limit in (share.low, share.high))
    return Interval(low=low, high=high, method=share.method)


def _wider(limit: Interval, percentiles: Interval) -> Interval:
    is_within = limit.low <= percentiles.low and percentiles.high <= limit.high
    method = limit.method if is_within else percentiles.method
    return Interval(min(limit.low, percentiles.low), max(limit.high, percentiles.high), method)


def _interval_at_bound(
    estimate: float, *, support: Support, confidence: float, bounds: Bounds | None
) -> Interval | None:
    """Clopper–Pearson interval for all or none of the limiting patients, on the metric's own scale."""
    if bounds is None or not math.isfinite(bounds.upper) or not bounds.reached(estimate):
        return None
    n_without_exception = support.n_limiting if estimate > bounds.lower else 0
    share = exact_interval(n_without_exception, support.n_limiting, confidence=confidence)
    if bounds.chance:
        low, high = ((limit - bounds.chance) / (1 - bounds.chance) for limit in (share.low, share.high))
    else:
        low, high = (bounds.lower + bounds.scale * limit for limit in (share.low, share.high))
    return Interval(low=max(bounds.lower, low), high=high, method=share.method)
