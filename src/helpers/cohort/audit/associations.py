"""How strongly one column goes with the class: a test, and an effect from 0 to 1 with a bootstrap interval.

Numbers: Kruskal-Wallis, and the correlation ratio of the ranks, sqrt((H - k + 1) / (n - k)) of k classes and n values
(Tomczak and Tomczak 2014). Texts: chi-squared, and Cramer's V corrected for bias (Bergsma 2013,
doi 10.1016/j.jkss.2012.10.002). Both effects are 0 on average where there is no association, so that they compare.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from helpers.cohort.audit.patients import INTERVAL_PERCENT, drawn_weights

SEED = 0
PERMUTATIONS = 999
# Cochran (1954): below these, the chi-squared distribution does not hold and permutations take its place.
MIN_EXPECTED, MAX_SHARE_BELOW = 5, 0.2
MAX_LEVELS, RARE = 50, "(rare)"


@dataclass(frozen=True)
class Association:
    """Effect from 0 to 1 with its 95 % bootstrap interval, and the p-value of the test."""

    effect: float
    ci_low: float
    ci_high: float
    p_value: float


def association(values: pd.Series, labels: pd.Series) -> Association:
    """Association of a column with the class.

    Parameters
    ----------
    values
        Numbers or texts, none missing, two or more different ones.
    labels
        Class of each, two or more different ones.
    """
    numeric = pd.api.types.is_numeric_dtype(values)
    classes = pd.factorize(labels, sort=True)[0]
    weights = drawn_weights(pd.Series(range(len(values))))
    if numeric:
        p_value = float(stats.kruskal(*(group for _, group in values.groupby(classes))).pvalue)
        effects = _correlation_ratios(stats.rankdata(values), classes, weights=weights)
    else:
        codes = pd.factorize(_pooled(values), sort=True)[0]
        p_value = _chi_squared_p(codes, classes)
        effects = _cramers_v(codes, classes, weights=weights)
    low, high = np.percentile(effects[1:], INTERVAL_PERCENT)
    # The interval belongs to the estimate: chance can leave it just outside where the effect is about 0.
    return Association(float(effects[0]), float(min(low, effects[0])), float(max(high, effects[0])), p_value)


def _pooled(values: pd.Series) -> pd.Series:
    """The most frequent texts, all others as one: what occurs once or twice cannot be tested.

    Of equally frequent texts all are kept or none, since any choice among them could go with the class.
    """
    counts = values.value_counts()
    if len(counts) <= MAX_LEVELS:
        return values
    return values.where(values.map(counts) > counts.iloc[MAX_LEVELS - 1], RARE)


def _effective_size(weights: np.ndarray) -> np.ndarray:
    """Kish's n: rows drawn twice tell nothing new, and make chance look like association."""
    return weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)


def _correlation_ratios(ranks: np.ndarray, classes: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    member = np.eye(classes.max() + 1)[classes]
    totals = weights.sum(axis=1)
    mean = weights @ ranks / totals
    all_squares = weights @ ranks**2 - totals * mean**2
    sizes = weights @ member
    sums = weights @ (member * ranks[:, None])
    group_means = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
    between = (sizes * (group_means - mean[:, None]) ** 2).sum(axis=1)
    share = np.divide(between, all_squares, out=np.zeros_like(between), where=all_squares > 0)
    n, k = _effective_size(weights), member.shape[1]
    return np.sqrt(np.clip(((n - 1) * share - k + 1) / np.maximum(n - k, 1), 0, 1))


def _cramers_v(codes: np.ndarray, classes: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    rows, columns = codes.max() + 1, classes.max() + 1
    member = np.eye(rows * columns)[codes * columns + classes]
    cells = (weights @ member).reshape(-1, rows, columns) / weights.sum(axis=1)[:, None, None]
    expected = cells.sum(axis=2, keepdims=True) * cells.sum(axis=1, keepdims=True)
    ratio = np.divide((cells - expected) ** 2, expected, out=np.zeros_like(cells), where=expected > 0)
    n = np.maximum(_effective_size(weights), 2)  # up to 2 the correction takes all; at 1 it would divide by 0
    phi2 = np.clip(ratio.sum(axis=(1, 2)) - (rows - 1) * (columns - 1) / (n - 1), 0, None)
    fewest = np.minimum(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return np.sqrt(np.divide(phi2, fewest, out=np.zeros_like(phi2), where=fewest > 0).clip(0, 1))


def _chi_squared_p(codes: np.ndarray, classes: np.ndarray) -> float:
    table = stats.contingency.crosstab(codes, classes).count
    expected = stats.contingency.expected_freq(table)
    if (expected < MIN_EXPECTED).mean() <= MAX_SHARE_BELOW and expected.min() >= 1:
        return float(stats.chi2_contingency(table, correction=False).pvalue)
    method = stats.PermutationMethod(n_resamples=PERMUTATIONS, rng=np.random.default_rng(SEED))
    return float(stats.chi2_contingency(table, correction=False, method=method).pvalue)
