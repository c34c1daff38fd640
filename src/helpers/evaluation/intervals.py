"""Intervals for plain proportions, from scipy; clustered data go through `helpers.evaluation.bootstrap`."""

from dataclasses import dataclass

from scipy.stats import binomtest

WILSON = "Wilson score"
CLOPPER_PEARSON = "Clopper-Pearson on patients"


@dataclass(frozen=True)
class Interval:
    """A two-sided interval and the method that gave it."""

    low: float
    high: float
    method: str


def wilson_interval(n_correct: int, n_total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion of independent trials (Wilson 1927, 10.1080/01621459.1927.10502953).

    Raises
    ------
    ValueError
        If `n_correct` is not within 0 … `n_total`, `n_total` is 0 or `confidence` is not within (0, 1).
    """
    return _binomial_interval(n_correct, n_total, confidence=confidence, scipy_method="wilson", method=WILSON)


def exact_interval(n_correct: int, n_total: int, *, confidence: float = 0.95) -> Interval:
    """Clopper–Pearson interval (10.1093/biomet/26.4.404): never covers less often than it promises.

    Raises
    ------
    ValueError
        As in `wilson_interval`.
    """
    return _binomial_interval(n_correct, n_total, confidence=confidence, scipy_method="exact", method=CLOPPER_PEARSON)


def _binomial_interval(n_correct: int, n_total: int, *, confidence: float, scipy_method: str, method: str) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    if n_total < 1 or not 0 <= n_correct <= n_total:
        raise ValueError(
            f"{n_correct} of {n_total} is no proportion: counts must satisfy 0 <= correct <= total, total > 0"
        )
    limits = binomtest(int(n_correct), int(n_total)).proportion_ci(confidence_level=confidence, method=scipy_method)
    return Interval(low=float(limits.low), high=float(limits.high), method=method)
