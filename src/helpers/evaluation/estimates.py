"""From replicates to reported numbers: an estimate, its interval, the interval's method and what it stands on."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from helpers.evaluation.bootstrap import (
    ClusteredSample,
    patient_weights,
    percentile_interval,
    replicate_auroc,
    replicate_confusion,
)
from helpers.evaluation.intervals import Interval, exact_interval
from helpers.evaluation.metrics import (
    AUROC_UNDEFINED,
    CLASS_METRICS,
    COUNT_METRICS,
    CountMetric,
    ratio,
)

# Above this share of undefined replicates the note says so: the interval then describes only part of the resamples.
NOTABLE_DROPPED_SHARE = 0.10
# Replicates closer together than this are one value with rounding noise.
SAME_VALUE = 1e-12


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
    lower
        Smallest possible value.
    chance
        Agreement expected by chance, for metrics of the form (observed - chance) / (1 - chance); 0 for plain shares.
    """

    lower: float = 0.0
    chance: float = 0.0


def metric_from_replicates(
    estimate: float,
    replicates: np.ndarray,
    *,
    support: Support,
    confidence: float,
    undefined: str,
    bounds: Bounds | None = Bounds(),
) -> Metric:
    """Choose the interval of a metric and put all that belongs to it together.

    Percentile interval of the defined replicates. Where every replicate equals the best or worst possible value, the
    bootstrap would claim certainty; the limit is then the Clopper–Pearson limit for that many patients without an
    exception, with the patients of the smallest group the metric needs. That limit is one of a share of patients;
    metrics that are none, such as AUROC, have no `bounds` and then no interval.

    Parameters
    ----------
    estimate
        Value on all samples, NaN if undefined.
    replicates
        (R,) values, NaN where undefined.
    support, confidence, bounds
        See `Support`, `percentile_interval`, `Bounds`; None for a metric that is no share of patients.
    undefined
        When the metric is 0/0, in words.
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
        interval = percentile_interval(defined, confidence=confidence)
        note = _dropped_note(n_dropped, n_replicates=len(replicates), undefined=undefined)
        if not interval.low <= estimate <= interval.high:
            note = "the estimate lies outside its interval: too few patients or replicates for this method"
    else:
        interval = _interval_at_bound(estimate, support=support, confidence=confidence, bounds=bounds)
        note = _constant_note(estimate, support=support, bounds=bounds, bounded=interval is not None)
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


def _constant_note(estimate: float, *, support: Support, bounds: Bounds | None, bounded: bool) -> str:
    if bounded:
        return f"every replicate has the same value; limit for {support.n_limiting} patients without an exception"
    if bounds is None and min(abs(estimate), abs(estimate - 1)) <= SAME_VALUE:
        return f"no interval: perfect separation, with {support.n_limiting} patients in the smallest group"
    return "no interval: the same value in every replicate"


def _interval_at_bound(
    estimate: float, *, support: Support, confidence: float, bounds: Bounds | None
) -> Interval | None:
    """Clopper–Pearson interval for all or none of the limiting patients, on the metric's own scale."""
    if bounds is None:
        return None
    if abs(estimate - 1) <= SAME_VALUE:
        n_without_exception = support.n_limiting
    elif bounds.lower == 0 and abs(estimate) <= SAME_VALUE:
        n_without_exception = 0
    else:
        return None
    share = exact_interval(n_without_exception, support.n_limiting, confidence=confidence)
    scale = 1 - bounds.chance
    low, high = (share.low - bounds.chance) / scale, (share.high - bounds.chance) / scale
    return Interval(low=max(bounds.lower, low), high=high, method=share.method)


@dataclass(frozen=True)
class Resampling:
    """A sample with its bootstrap weights; replicates are computed on first use and shared by all metrics.

    Attributes
    ----------
    sample
        N rows of P patients in K classes.
    weights
        (R, P) multinomial counts.
    confidence
        Nominal coverage of all intervals.
    """

    sample: ClusteredSample
    weights: np.ndarray
    confidence: float

    @classmethod
    def draw(
        cls, sample: ClusteredSample, *, n_replicates: int, confidence: float, rng: np.random.Generator
    ) -> "Resampling":
        """Draw the patients of every replicate."""
        weights = patient_weights(sample.n_patients, n_replicates=n_replicates, rng=rng)
        return cls(sample=sample, weights=weights, confidence=confidence)

    def against(self, code: int) -> "Resampling":
        """The same replicates with all classes but `code` merged; see `ClusteredSample.against`."""
        return Resampling(sample=self.sample.against(code), weights=self.weights, confidence=self.confidence)

    @cached_property
    def confusion(self) -> np.ndarray:
        """(R, K, K) replicate confusion matrices."""
        return replicate_confusion(self.sample, weights=self.weights)

    @cached_property
    def auroc(self) -> np.ndarray:
        """(1 + R, K) one-vs-rest AUROC: first on all samples, then by replicate."""
        everyone = np.ones((1, self.sample.n_patients))
        return replicate_auroc(self.sample, weights=np.concatenate([everyone, self.weights]))

    @cached_property
    def class_patients(self) -> np.ndarray:
        """(K,) patients with at least one sample of each reference class."""
        return (self.sample.patient_confusion.sum(axis=2) > 0).sum(axis=0)

    def support(self, rows: np.ndarray, *, n_limiting: int | None = None) -> Support:
        """Count distinct samples and patients in a boolean (N,) selection of rows."""
        n_patients = len(np.unique(self.sample.patient[rows]))
        return Support(
            n_samples=len(np.unique(self.sample.sample[rows])),
            n_patients=n_patients,
            n_limiting=n_patients if n_limiting is None else n_limiting,
        )


def overall_metrics(resampling: Resampling) -> dict[str, Metric]:
    """All metrics of the whole confusion matrix, and macro AUROC, by name."""
    metrics = {name: count_metric(resampling, definition) for name, definition in COUNT_METRICS.items()}
    return metrics | {"macro_auroc": macro_auroc(resampling)}


def count_metric(resampling: Resampling, definition: CountMetric) -> Metric:
    """One metric of the whole confusion matrix."""
    sample = resampling.sample
    limiting = int(resampling.class_patients.min()) if definition.needs_every_class else None
    shares = sample.confusion.sum(axis=1) / len(sample.reference)
    return metric_from_replicates(
        float(definition.formula(sample.confusion)),
        definition.formula(resampling.confusion),
        support=resampling.support(_every_row(sample), n_limiting=limiting),
        confidence=resampling.confidence,
        undefined=definition.undefined,
        # Without an error, predictions have the reference's class shares, and chance agreement is their square sum.
        bounds=Bounds(lower=definition.lower, chance=float((shares**2).sum()) if definition.lower < 0 else 0.0),
    )


def class_metrics(resampling: Resampling, code: int) -> dict[str, Metric]:
    """Sensitivity, specificity, PPV, NPV, F1 and one-vs-rest AUROC of one class, by name."""
    sample = resampling.sample
    metrics = {}
    for name, definition in CLASS_METRICS.items():
        rows = definition.support(sample.reference == code, sample.predicted == code)
        metrics[name] = metric_from_replicates(
            float(definition.formula(sample.confusion)[code]),
            definition.formula(resampling.confusion)[:, code],
            support=resampling.support(rows),
            confidence=resampling.confidence,
            undefined=definition.undefined,
        )
    return metrics | {"auroc": _auroc_metric(resampling, lambda values: values[:, code], codes=[code])}


def macro_auroc(resampling: Resampling) -> Metric:
    """Mean one-vs-rest AUROC over all classes."""
    codes = list(range(resampling.sample.n_classes))
    return _auroc_metric(resampling, lambda values: values.mean(axis=1), codes=codes)


def _auroc_metric(resampling: Resampling, pick: Callable, *, codes: list[int]) -> Metric:
    values = pick(resampling.auroc)
    groups = [_patients(resampling.sample, code, inside=inside) for code in codes for inside in (True, False)]
    return metric_from_replicates(
        float(values[0]),
        values[1:],
        support=resampling.support(_every_row(resampling.sample), n_limiting=min(groups)),
        confidence=resampling.confidence,
        undefined=AUROC_UNDEFINED,
        bounds=None,
    )


def row_fractions(resampling: Resampling) -> tuple[tuple[Metric, ...], ...]:
    """Each confusion cell as a share of its reference class, K rows of K metrics."""
    sample = resampling.sample
    shares = ratio(sample.confusion, sample.confusion.sum(axis=1, keepdims=True))
    replicates = ratio(resampling.confusion, resampling.confusion.sum(axis=2, keepdims=True))
    supports = [resampling.support(sample.reference == row) for row in range(sample.n_classes)]
    return tuple(
        tuple(
            metric_from_replicates(
                float(shares[row, column]),
                replicates[:, row, column],
                support=support,
                confidence=resampling.confidence,
                undefined="no sample has this class",
            )
            for column in range(sample.n_classes)
        )
        for row, support in enumerate(supports)
    )


def _every_row(sample: ClusteredSample) -> np.ndarray:
    return np.ones(len(sample.reference), dtype=bool)


def _patients(sample: ClusteredSample, code: int, *, inside: bool) -> int:
    return len(np.unique(sample.patient[(sample.reference == code) == inside]))
