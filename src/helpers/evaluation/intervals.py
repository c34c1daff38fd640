"""Intervals of shares: of independent trials, and of clustered ones by the variance that a bootstrap of patients finds.

How often each of them holds the true value in simulated cohorts stands in coverage.csv beside this module.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import binomtest, norm

WILSON = "Wilson score"
CLOPPER_PEARSON = "Clopper-Pearson on patients"
CLUSTERED_WILSON = "Wilson score, effective sample size by patient-clustered bootstrap"
CLUSTERED_LOGIT = "logit scale, standard error by patient-clustered bootstrap"
CLUSTERED_LOG = "log scale, standard error by patient-clustered bootstrap"
SQUARE_AND_ADD = "square-and-add of clustered Wilson intervals"
INDEPENDENT_DIFFERENCE = "square-and-add of the intervals of two cohorts"


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


def clustered_wilson_interval(share: float, *, variance: float, confidence: float) -> Interval:
    """Wilson score interval for as many independent trials as would give a share this variance.

    The effective sample size p (1 - p) / variance is that of Kish 1965; for its place in the Wilson interval see Dean &
    Pagano 2015, 10.1093/jssam/smv024. Unlike percentiles of the bootstrap it stays wide near 0 and 1.

    Parameters
    ----------
    share
        Estimate strictly between 0 and 1.
    variance
        Of the estimate, positive, with patients as the unit.
    confidence
        Nominal coverage in (0, 1).
    """
    z, n_effective = normal_quantile(confidence), share * (1 - share) / variance
    centre = (share + z**2 / (2 * n_effective)) / (1 + z**2 / n_effective)
    half = z / (1 + z**2 / n_effective) * math.sqrt(variance + z**2 / (4 * n_effective**2))
    return Interval(low=max(0.0, centre - half), high=min(1.0, centre + half), method=CLUSTERED_WILSON)


def clustered_logit_interval(share: float, *, variance: float, confidence: float) -> Interval:
    """Symmetric on the logit scale, as Obuchowski 1997 (10.2307/2533958) advises for areas under clustered ROC curves.

    Parameters
    ----------
    share, variance, confidence
        As in `clustered_wilson_interval`.
    """
    half = normal_quantile(confidence) * math.sqrt(variance) / (share * (1 - share))
    low, high = expit(logit(share) + np.array([-half, half]))
    return Interval(low=float(low), high=float(high), method=CLUSTERED_LOGIT)


def clustered_log_interval(value: float, *, variance: float, confidence: float) -> Interval:
    """Symmetric on the log scale, for a positive number without an upper limit, such as the log loss.

    Parameters
    ----------
    value, variance, confidence
        As in `clustered_wilson_interval`, but the value is any positive number.
    """
    factor = math.exp(normal_quantile(confidence) * math.sqrt(variance) / value)
    return Interval(low=value / factor, high=value * factor, method=CLUSTERED_LOG)


def mean_of_shares_interval(shares: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the mean of K shares from the interval of each, by Zou & Donner's square-and-add.

    The distance from estimate to limit is a standard error near that limit; distances of independent estimates add up
    as squares (10.1002/sim.3095). So a class that happens to be without an error still adds its uncertainty, which a
    bootstrap of the mean does not see.

    Parameters
    ----------
    shares, intervals
        K estimates and their intervals.
    """
    centre, n_shares = float(np.mean(shares)), len(shares)
    below = math.hypot(*(share - found.low for share, found in zip(shares, intervals, strict=True)))
    above = math.hypot(*(found.high - share for share, found in zip(shares, intervals, strict=True)))
    low, high = centre - below / n_shares, centre + above / n_shares
    return Interval(low=max(0.0, low), high=min(1.0, high), method=SQUARE_AND_ADD)


def difference_interval(first: tuple[float, Interval], second: tuple[float, Interval]) -> Interval:
    """Interval of first minus second, of cohorts that share no patient, by square-and-add (see above).

    Parameters
    ----------
    first, second
        Estimate and interval.
    """
    (a, of_first), (b, of_second) = first, second
    below, above = math.hypot(a - of_first.low, of_second.high - b), math.hypot(of_first.high - a, b - of_second.low)
    return Interval(low=a - b - below, high=a - b + above, method=INDEPENDENT_DIFFERENCE)


def ratio_interval(top: tuple[float, Interval], bottom: tuple[float, Interval]) -> tuple[float, float]:
    """Limits of the ratio of two shares from the interval of each (Donner & Zou 2012, 10.1177/0962280210383075).

    Parameters
    ----------
    top, bottom
        Estimate and interval; the two are taken as independent.

    Returns
    -------
    Lower and upper limit; the upper one is infinite where the lower limit of `bottom` is 0.
    """
    (a, of_top), (b, of_bottom) = top, bottom
    below, above = (
        math.sqrt(max(0.0, (a * b) ** 2 - x * y * (2 * a - x) * (2 * b - y)))
        for x, y in ((of_top.low, of_bottom.high), (of_top.high, of_bottom.low))
    )
    low = of_top.low * (2 * a - of_top.low) / (a * b + below) if a > 0 else 0.0
    high = (a * b + above) / (of_bottom.low * (2 * b - of_bottom.low)) if of_bottom.low > 0 else math.inf
    return low, high


def normal_quantile(confidence: float) -> float:
    """Half the width of a two-sided interval, in standard errors."""
    return float(norm.ppf((1 + confidence) / 2))


def _binomial_interval(n_correct: int, n_total: int, *, confidence: float, scipy_method: str, method: str) -> Interval:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    if n_total < 1 or not 0 <= n_correct <= n_total:
        raise ValueError(
            f"{n_correct} of {n_total} is no proportion: counts must satisfy 0 <= correct <= total, total > 0"
        )
    limits = binomtest(int(n_correct), int(n_total)).proportion_ci(confidence_level=confidence, method=scipy_method)
    return Interval(low=float(limits.low), high=float(limits.high), method=method)
