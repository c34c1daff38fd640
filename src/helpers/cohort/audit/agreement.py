"""How far several readers agree, each figure with a bootstrap interval over patients."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from helpers.cohort.audit.patients import INTERVAL_PERCENT, drawn_weights
from helpers.cohort.audit.verdicts import AuditContext, Verdict
from helpers.cohort.labels.readers import GROUP

# Krippendorff 2004 (doi 10.1111/j.1468-2958.2004.tb00738.x): below this not even tentative conclusions.
MIN_ALPHA = 0.667
TABLE_COLUMNS = ("statistic", "readers", "estimate", "ci_low", "ci_high", "n_images", "n_groups")

Statistic = Callable[[np.ndarray], float]


def agreement_table(context: AuditContext) -> pd.DataFrame:
    """Agreement of every pair of readers and of all.

    Returns
    -------
    Columns statistic (percent agreement, Cohen's kappa, Fleiss' kappa, Krippendorff's alpha), readers, estimate,
    ci_low, ci_high, n_images (those that the statistic uses: of a pair, what both read; of Fleiss' kappa, what all
    read; of alpha, what two or more read) and n_groups (patients, or files where none is named, which the bootstrap
    draws).
    A figure is None where it is not defined, as when only one class occurs. Empty with fewer than two readers.
    """
    readings = context.cohort.readings
    names = [name for name in readings.columns if name != GROUP]
    if len(names) < 2:
        return pd.DataFrame(columns=list(TABLE_COLUMNS))
    keys = list(context.params.class_names)
    codes = readings[names].apply(lambda column: column.map({key: place for place, key in enumerate(keys)}))
    return _agreement(codes.astype(float), groups=readings[GROUP], n_classes=len(keys))


def _agreement(codes: pd.DataFrame, *, groups: pd.Series, n_classes: int) -> pd.DataFrame:
    rows = []
    for one, other in combinations(codes.columns, 2):
        both = codes[[one, other]].dropna()
        pair = f"{_number(one)} and {_number(other)}"
        cells = _one_hot(both[one].to_numpy() * n_classes + both[other].to_numpy(), n_classes**2)
        of_pair = {"readers": pair, "groups": groups[both.index]}
        rows.append(_row("percent agreement", cells, of=_percent_of(n_classes), **of_pair))
        rows.append(_row("Cohen's kappa", cells, of=_cohen_of(n_classes), **of_pair))
    counts = sum(_one_hot(codes[name].to_numpy(), n_classes) for name in codes)
    full, several = counts.sum(axis=1) == len(codes.columns), counts.sum(axis=1) >= 2
    rows.append(_items("Fleiss' kappa", counts[full], groups=groups[full], of=_fleiss))
    rows.append(_items("Krippendorff's alpha", counts[several], groups=groups[several], of=_alpha))
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


def _number(name: str) -> str:
    return name.removeprefix("reader_")


def _one_hot(codes: np.ndarray, size: int) -> np.ndarray:
    """(images, size) with a one at the code of each image; all zero where there is none."""
    return (codes[:, None] == np.arange(size)).astype(int)


def _row(statistic: str, cells: np.ndarray, *, readers: str, groups: pd.Series, of: Statistic) -> tuple:
    """A statistic of the summed cells of all images: images that are drawn twice are summed twice."""
    weights = drawn_weights(groups)
    estimates = [of(summed) for summed in weights @ cells]
    return (statistic, readers, *_with_interval(estimates), len(cells), groups.nunique())


def _items(statistic: str, counts: np.ndarray, *, groups: pd.Series, of: Statistic) -> tuple:
    """A statistic of the table of images by class: images that are drawn twice are rows twice."""
    places = np.arange(len(counts))
    estimates = [of(counts[np.repeat(places, weight)]) for weight in drawn_weights(groups)]
    return (statistic, "all", *_with_interval(estimates), len(counts), groups.nunique())


def _with_interval(estimates: list[float]) -> tuple[float | None, float | None, float | None]:
    drawn = [value for value in estimates[1:] if np.isfinite(value)]
    if not np.isfinite(estimates[0]) or not drawn:
        return None, None, None
    low, high = np.percentile(drawn, INTERVAL_PERCENT)
    return float(estimates[0]), float(low), float(high)


def _percent_of(n_classes: int) -> Statistic:
    def percent(cells: np.ndarray) -> float:
        square = cells.reshape(n_classes, n_classes)
        return float(100 * np.trace(square) / square.sum()) if square.sum() else np.nan

    return percent


def _cohen_of(n_classes: int) -> Statistic:
    def cohen(cells: np.ndarray) -> float:
        square = cells.reshape(n_classes, n_classes)
        # One class alone, or no image, leaves no chance agreement to compare with.
        defined = (square.sum(axis=0) + square.sum(axis=1) > 0).sum() > 1
        return float(cohens_kappa(square, return_results=False)) if defined else np.nan

    return cohen


def _fleiss(counts: np.ndarray) -> float:
    return float(fleiss_kappa(counts)) if _several_classes(counts) else np.nan


def _alpha(counts: np.ndarray) -> float:
    """Krippendorff's alpha for classes without order, of images that two or more have read."""
    if not _several_classes(counts):
        return np.nan
    readers, by_class = counts.sum(axis=1), counts.sum(axis=0)
    differing = ((readers**2 - (counts**2).sum(axis=1)) / (readers - 1)).sum()
    expected = (by_class.sum() ** 2 - (by_class**2).sum()) / (by_class.sum() - 1)
    return float(1 - differing / expected)


def _several_classes(counts: np.ndarray) -> bool:
    return (counts.sum(axis=0) > 0).sum() > 1


def check_agreement(context: AuditContext) -> Verdict:
    """Whether the readers agree well enough to learn from."""
    checked = f"Readers agree: Krippendorff's alpha is at least {MIN_ALPHA:g}."
    table = agreement_table(context)
    if table.empty:
        return Verdict("untested", checked, 0, "One label per image is given: how far readers agree is not known.")
    alpha = table[table["statistic"] == "Krippendorff's alpha"].iloc[0]
    readings = context.cohort.readings.drop(columns=GROUP)
    differing = int((readings.nunique(axis=1) > 1).sum())
    if pd.isna(alpha["estimate"]):
        detail = "It is not defined: no image has two readers, or one class alone occurs."
        return Verdict("warn", checked, differing, detail)
    interval = f"95 % interval {alpha['ci_low']:.2f} to {alpha['ci_high']:.2f}"
    detail = (
        f"alpha is {alpha['estimate']:.2f} ({interval}); readers differ on {differing} of {alpha['n_images']} images."
    )
    return Verdict("pass" if alpha["estimate"] >= MIN_ALPHA else "warn", checked, differing, detail)
