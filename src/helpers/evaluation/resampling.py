"""A sample with its bootstrap, and every metric that follows from its confusion matrix, ranking and probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from helpers.evaluation.bootstrap import ClusteredSample, patient_weights, replicate_confusion, replicate_ranking
from helpers.evaluation.coverage import with_coverage_notes
from helpers.evaluation.estimates import Bounds, Metric, Support, metric_from_replicates
from helpers.evaluation.intervals import (
    Interval,
    clustered_log_interval,
    clustered_logit_interval,
    clustered_wilson_interval,
    mean_of_shares_interval,
)
from helpers.evaluation.metrics import (
    AUROC_UNDEFINED,
    CLASS_METRICS,
    COUNT_METRICS,
    PROBABILITY_METRICS,
    ClassMetric,
    CountMetric,
    ratio,
    weighted_auroc,
    weighted_average_precision,
    weighted_kappa,
)


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
    def auroc(self) -> tuple[np.ndarray, ...]:
        """K times (1 + R,) one-vs-rest AUROC: first on all samples, then by replicate."""
        return tuple(self.ranking(code, measure=weighted_auroc) for code in range(self.sample.n_classes))

    def ranking(self, code: int, *, measure: Callable[..., np.ndarray]) -> np.ndarray:
        """(1 + R,) ranking measure of one class: first on all samples, then by replicate."""
        return replicate_ranking(self.sample, code=code, weights=self.weights_and_all, measure=measure)

    @cached_property
    def weights_and_all(self) -> np.ndarray:
        """(1 + R, P) weights: first every patient once."""
        return np.concatenate([np.ones((1, self.sample.n_patients)), self.weights])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(1 + R,) mean of (N,) values over all samples: first of all, then by replicate."""
        sums, counts = (
            np.bincount(self.sample.patient, weights=column, minlength=self.sample.n_patients)
            for column in (values, np.ones(len(values)))
        )
        return ratio(self.weights_and_all @ sums, self.weights_and_all @ counts)

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
    """All metrics of the whole confusion matrix, of the ranking and of the probabilities, by name."""
    metrics = {name: count_metric(resampling, definition) for name, definition in COUNT_METRICS.items()}
    metrics["balanced_accuracy"] = balanced_accuracy_metric(resampling)
    metrics |= {"macro_auroc": macro_auroc(resampling)} | probability_metrics(resampling)
    return with_coverage_notes(metrics)


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


def balanced_accuracy_metric(resampling: Resampling) -> Metric:
    """Balanced accuracy with the interval of a mean of K sensitivities, where each of them has one."""
    metric = count_metric(resampling, COUNT_METRICS["balanced_accuracy"])
    codes = range(resampling.sample.n_classes)
    parts = [class_metric(resampling, CLASS_METRICS["sensitivity"], code=code) for code in codes]
    if any(part.ci_low is None for part in parts):
        return metric
    intervals = [Interval(part.ci_low, part.ci_high, part.ci_method) for part in parts]
    interval = mean_of_shares_interval([part.estimate for part in parts], intervals)
    return replace(metric, ci_low=interval.low, ci_high=interval.high, ci_method=interval.method, note=None)


def weighted_kappa_metric(resampling: Resampling, *, ranks: Sequence[int]) -> Metric:
    """Cohen's kappa with quadratic weights; `ranks` are the places of the K classes in their order."""
    formula = partial(weighted_kappa, ranks=np.asarray(ranks))
    definition = replace(COUNT_METRICS["cohen_kappa"], name="weighted_kappa", formula=formula)
    return count_metric(resampling, definition)


def class_metrics(resampling: Resampling, code: int) -> dict[str, Metric]:
    """Metrics of one class against the rest, from counts and from the ranking, by name."""
    metrics = {name: class_metric(resampling, definition, code=code) for name, definition in CLASS_METRICS.items()}
    precision = resampling.ranking(code, measure=weighted_average_precision)
    for name, values in {"auroc": resampling.auroc[code], "auprc": precision}.items():
        metrics[name] = _ranking_metric(resampling, values, codes=[code])
    return with_coverage_notes(metrics)


def class_metric(resampling: Resampling, definition: ClassMetric, *, code: int) -> Metric:
    """One metric of one class against the rest, from counts."""
    sample = resampling.sample
    rows = definition.support(sample.reference == code, sample.predicted == code)
    return metric_from_replicates(
        float(definition.formula(sample.confusion)[code]),
        definition.formula(resampling.confusion)[:, code],
        support=resampling.support(rows),
        confidence=resampling.confidence,
        undefined=definition.undefined,
    )


def macro_auroc(resampling: Resampling) -> Metric:
    """Mean one-vs-rest AUROC over all classes."""
    codes = list(range(resampling.sample.n_classes))
    return _ranking_metric(resampling, np.mean(resampling.auroc, axis=0), codes=codes)


def _ranking_metric(resampling: Resampling, values: np.ndarray, *, codes: list[int]) -> Metric:
    groups = [_patients(resampling.sample, code, inside=inside) for code in codes for inside in (True, False)]
    return metric_from_replicates(
        float(values[0]),
        values[1:],
        support=resampling.support(_every_row(resampling.sample), n_limiting=min(groups)),
        confidence=resampling.confidence,
        undefined=AUROC_UNDEFINED,
        interval_of=clustered_logit_interval,
    )


def probability_metrics(resampling: Resampling) -> dict[str, Metric]:
    """Brier score and log loss of all classes' probabilities, by name; lower is better."""
    sample, metrics = resampling.sample, {}
    for name, definition in PROBABILITY_METRICS.items():
        values = resampling.mean(definition.per_sample(sample.scores, sample.reference))
        metrics[name] = metric_from_replicates(
            float(values[0]),
            values[1:],
            support=resampling.support(_every_row(sample)),
            confidence=resampling.confidence,
            undefined="there are no samples",
            bounds=Bounds(upper=definition.upper),
            interval_of=clustered_wilson_interval if np.isfinite(definition.upper) else clustered_log_interval,
        )
    return metrics


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
