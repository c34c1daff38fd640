"""Every metric of the study, written once, for one confusion matrix or for thousands at a time.

A confusion matrix has the reference standard in its rows and the prediction in its columns, and may be weighted. All
formulas accept leading axes, so that the bootstrap computes a metric of R replicates in one call on (R, K, K) counts.
A ratio 0/0 is NaN: a metric that cannot be known is not reported as 0 or 1, nor averaged away.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np

Array = np.ndarray
Definition = TypeVar("Definition", "CountMetric", "ClassMetric", "ProbabilityMetric")


@dataclass(frozen=True)
class CountMetric:
    """A metric of the whole confusion matrix.

    Attributes
    ----------
    name, title
        Key in metrics.json and words for a figure.
    formula
        (..., K, K) counts → (...) values.
    lower
        Smallest possible value, 0 or -1; the largest is 1 for all.
    needs_every_class
        True where one unseen class makes the metric undefined, so that the rarest class limits what can be known.
    undefined
        When the formula is 0/0, in words for the note beside a NaN.
    """

    name: str
    title: str
    formula: Callable[[Array], Array]
    lower: float
    needs_every_class: bool
    undefined: str


@dataclass(frozen=True)
class ClassMetric:
    """A metric of one class against the rest.

    Attributes
    ----------
    name, title, undefined
        As in `CountMetric`.
    formula
        (..., K, K) counts → (..., K) values.
    support
        (is_reference, is_predicted), boolean (N,) each → boolean (N,): the samples in the metric's denominator.
    """

    name: str
    title: str
    formula: Callable[[Array], Array]
    support: Callable[[Array, Array], Array]
    undefined: str


@dataclass(frozen=True)
class ProbabilityMetric:
    """A mean over samples of what their probabilities cost; lower is better.

    Attributes
    ----------
    name, title
        As in `CountMetric`.
    per_sample
        (N, K) probabilities and (N,) reference codes → (N,) costs, at least 0.
    upper
        Largest possible cost, which may be infinite.
    """

    name: str
    title: str
    per_sample: Callable[[Array, Array], Array]
    upper: float


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide elementwise; NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def _hits(counts: Array) -> Array:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _reference_totals(counts: Array) -> Array:
    return counts.sum(axis=-1)


def _predicted_totals(counts: Array) -> Array:
    return counts.sum(axis=-2)


def _total(counts: Array) -> Array:
    return counts.sum(axis=(-2, -1))


def sensitivity(counts: Array) -> Array:
    """Share of each reference class that is predicted as such (recall), (..., K)."""
    return ratio(_hits(counts), _reference_totals(counts))


def specificity(counts: Array) -> Array:
    """Share of the samples outside each class that are predicted outside it, (..., K)."""
    negatives = _total(counts)[..., None] - _reference_totals(counts)
    false_positives = _predicted_totals(counts) - _hits(counts)
    return ratio(negatives - false_positives, negatives)


def ppv(counts: Array) -> Array:
    """Positive predictive value (precision) of each class, (..., K)."""
    return ratio(_hits(counts), _predicted_totals(counts))


def npv(counts: Array) -> Array:
    """Negative predictive value of each class, (..., K)."""
    called_negative = _total(counts)[..., None] - _predicted_totals(counts)
    false_negatives = _reference_totals(counts) - _hits(counts)
    return ratio(called_negative - false_negatives, called_negative)


def f1(counts: Array) -> Array:
    """Harmonic mean of sensitivity and PPV, as 2 TP / (2 TP + FP + FN), (..., K)."""
    return ratio(2 * _hits(counts), _reference_totals(counts) + _predicted_totals(counts))


def accuracy(counts: Array) -> Array:
    """Share of all samples predicted right, (...)."""
    return ratio(_hits(counts).sum(axis=-1), _total(counts))


def balanced_accuracy(counts: Array) -> Array:
    """Mean sensitivity over all K classes, (...); NaN, not a mean over fewer classes, when a class is absent."""
    return sensitivity(counts).mean(axis=-1)


def macro_f1(counts: Array) -> Array:
    """Mean F1 over all K classes, (...)."""
    return f1(counts).mean(axis=-1)


def cohen_kappa(counts: Array) -> Array:
    """Unweighted Cohen's kappa (Cohen 1960, 10.1177/001316446002000104), (...)."""
    total = _total(counts)
    chance = (_reference_totals(counts) * _predicted_totals(counts)).sum(axis=-1)
    return ratio(_hits(counts).sum(axis=-1) * total - chance, total**2 - chance)


def mcc(counts: Array) -> Array:
    """Multi-class Matthews correlation, Gorodkin's R_K (10.1016/j.compbiolchem.2004.09.006), (...)."""
    total, rows, columns = _total(counts), _reference_totals(counts), _predicted_totals(counts)
    covariance = _hits(counts).sum(axis=-1) * total - (rows * columns).sum(axis=-1)
    spread = (total**2 - (rows**2).sum(axis=-1)) * (total**2 - (columns**2).sum(axis=-1))
    return ratio(covariance, np.sqrt(spread))


def weighted_kappa(counts: Array, *, ranks: Array) -> Array:
    """Cohen's kappa with quadratic weights, for classes with an order (Cohen 1968, 10.1037/h0026256), (...).

    Parameters
    ----------
    counts
        (..., K, K) counts.
    ranks
        (K,) place of each class in the order: an error costs the square of the distance between two places.
    """
    cost = (np.asarray(ranks, dtype=float)[:, None] - np.asarray(ranks, dtype=float)) ** 2
    by_chance = _reference_totals(counts)[..., :, None] * _predicted_totals(counts)[..., None, :]
    observed = (counts * cost).sum(axis=(-2, -1)) * _total(counts)
    return 1 - ratio(observed, (by_chance * cost).sum(axis=(-2, -1)))


def brier(probabilities: Array, reference: Array) -> Array:
    """Squared distance of each sample's probabilities from its class, summed over classes, in [0, 2], (N,).

    Brier 1950, 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    return ((probabilities - np.eye(probabilities.shape[1])[reference]) ** 2).sum(axis=1)


def log_loss(probabilities: Array, reference: Array) -> Array:
    """Minus the natural logarithm of the probability of each sample's own class, (N,)."""
    own = probabilities[np.arange(len(reference)), reference]
    return -np.log(np.maximum(own, np.finfo(np.float64).eps))


def weighted_auroc(scores: Array, positive: Array, *, weights: Array) -> Array:
    """Area under the ROC curve for many weightings of the same samples at once.

    The probability that a random positive scores above a random negative, ties counting one half. Scores are sorted
    once; integer weights keep every sum exact, so that perfect separation gives exactly 1.

    Parameters
    ----------
    scores
        (N,), larger means more positive.
    positive
        (N,) boolean.
    weights
        (R, N), not negative.

    Returns
    -------
    (R,) values in [0, 1]; NaN where positives or negatives have no weight.
    """
    above, below = _by_score(scores, positive, weights=weights)
    wins = above * (np.cumsum(below, axis=0) - below / 2)
    return ratio(wins.sum(axis=0), above.sum(axis=0) * below.sum(axis=0))


def weighted_average_precision(scores: Array, positive: Array, *, weights: Array) -> Array:
    """Average precision for many weightings of the same samples at once.

    The mean over positives of the precision at their score, without interpolation; samples of equal score count
    together. What a score without information would reach is the share of positives.

    Parameters
    ----------
    scores, positive, weights
        As in `weighted_auroc`.

    Returns
    -------
    (R,) values in (0, 1]; NaN where positives or negatives have no weight.
    """
    hits, misses = _by_score(-scores, positive, weights=weights)
    n_positive, n_negative = hits.sum(axis=0), misses.sum(axis=0)
    called_right = np.cumsum(hits, axis=0)
    called = called_right + np.cumsum(misses, axis=0)
    precision = np.divide(called_right, called, out=np.zeros_like(called), where=called > 0)
    return ratio(np.where(n_negative > 0, (hits * precision).sum(axis=0), np.nan), n_positive)


def _by_score(scores: Array, positive: Array, *, weights: Array) -> tuple[Array, Array]:
    """Weights of positives and of negatives at every distinct score in rising order, (distinct scores, R) each."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    # Samples run along the first axis from here on: sums over tied samples then add contiguous rows.
    weights = weights.T[order]
    is_positive = positive[order][:, None]
    return _sum_ties(np.where(is_positive, weights, 0.0), starts), _sum_ties(
        np.where(is_positive, 0.0, weights), starts
    )


def _sum_ties(values: Array, starts: Array) -> Array:
    return values if len(starts) == len(values) else np.add.reduceat(values, starts, axis=0)


def _registry(*definitions: Definition) -> Mapping[str, Definition]:
    return MappingProxyType({definition.name: definition for definition in definitions})


COUNT_METRICS: Mapping[str, CountMetric] = _registry(
    CountMetric("accuracy", "Accuracy", accuracy, 0.0, False, "there are no samples"),
    CountMetric("balanced_accuracy", "Balanced accuracy", balanced_accuracy, 0.0, True, "a class has no sample"),
    CountMetric("macro_f1", "Macro F1", macro_f1, 0.0, True, "a class is in neither reference nor predictions"),
    CountMetric("cohen_kappa", "Cohen's κ", cohen_kappa, -1.0, False, "reference and predictions are one same class"),
    CountMetric("mcc", "MCC", mcc, -1.0, False, "reference or predictions hold a single class"),
)

CLASS_METRICS: Mapping[str, ClassMetric] = _registry(
    ClassMetric("sensitivity", "Sensitivity", sensitivity, lambda ref, pred: ref, "no sample has this class"),
    ClassMetric("specificity", "Specificity", specificity, lambda ref, pred: ~ref, "every sample has this class"),
    ClassMetric("ppv", "PPV", ppv, lambda ref, pred: pred, "no sample is predicted as this class"),
    ClassMetric("npv", "NPV", npv, lambda ref, pred: ~pred, "every sample is predicted as this class"),
    ClassMetric("f1", "F1", f1, lambda ref, pred: ref | pred, "the class is in neither reference nor predictions"),
)

PROBABILITY_METRICS: Mapping[str, ProbabilityMetric] = _registry(
    ProbabilityMetric("brier", "Brier score", brier, 2.0),
    ProbabilityMetric("log_loss", "Log loss", log_loss, math.inf),
)

AUROC_UNDEFINED = "a class is absent from the reference, or the only one in it"

REGISTRIES = (COUNT_METRICS, CLASS_METRICS, PROBABILITY_METRICS)
METRIC_TITLES: Mapping[str, str] = MappingProxyType(
    {definition.name: definition.title for registry in REGISTRIES for definition in registry.values()}
    | {"auroc": "AUROC", "auprc": "Average precision", "macro_auroc": "Macro AUROC"}
    | {"weighted_kappa": "Cohen's κ, quadratic weights", "mean_of_seeds": "AUROC, mean of seeds"}
    | {"brier_of_share": "Brier score of the share of fractures, p (1 − p)"}
    | {"expected_calibration_error": "Expected calibration error"}
    | {"mean_score_minus_share": "Mean score minus share of fractures", "threshold": "Threshold of the score"}
)


def metric_title(name: str) -> str:
    """Words for a metric's name; ``seed_3`` is the AUROC of the networks of seed 3, ``ppv_at_0.02`` a PPV at 2 %.

    ``fracture_auroc`` is that of any fracture against normal.
    """
    if name.startswith("fracture_"):
        return f"{METRIC_TITLES[name.removeprefix('fracture_')]}, any fracture"
    if "_at_" in name:
        of, _, prevalence = name.partition("_at_")
        return f"{METRIC_TITLES[of]} where {100 * float(prevalence):g} % are positive"
    return METRIC_TITLES.get(name) or f"AUROC, {name.replace('_', ' ')}"
