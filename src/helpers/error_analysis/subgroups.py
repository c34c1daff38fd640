"""Is the study worse for some images? Error rates by every acquisition and demographic column that the cohort knows.

With many groups some stand out by chance, so each is tested against all other images and the p values are corrected for
their number (Holm 1979). The test is the score test with patients as clusters (Boos 1992, 10.2307/2685328): its
variance is that of no difference, and so does not vanish in a group without an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from helpers.cohort.audit.confounds import ACQUISITION_COLUMNS, DEMOGRAPHIC_COLUMNS, acquisition_columns
from helpers.cohort.audit.patients import age_years, is_numeric
from helpers.error_analysis.clustered import patient_codes, ratio_of_sums
from helpers.error_analysis.wording import COLUMN_TITLES
from helpers.study import EvaluationParams

MIN_IMAGES, MIN_PATIENTS = 20, 10
#: More different numbers than this are put into thirds, of images.
MAX_VALUES = 5
OTHER_COLUMNS = ("level", "grade")
# Both are applied when pixels are read, and gone from the table.
APPLIED = ("RescaleSlope", "RescaleIntercept")
NAMES = [name for name in (*DEMOGRAPHIC_COLUMNS, *OTHER_COLUMNS, *ACQUISITION_COLUMNS) if name not in APPLIED]
#: A spread below this is that of rounding.
ROUNDING = 1e-9
COLUMNS = [
    "factor", "group", "images", "patients", "errors", "error_rate", "ci_low", "ci_high", "difference", "p", "p_holm",
]  # fmt: skip


@dataclass(frozen=True)
class Subgroups:
    """Error rates by group.

    Attributes
    ----------
    table
        One row per factor and group of at least `MIN_IMAGES` images and `MIN_PATIENTS` patients: factor (as
        `COLUMN_TITLES` calls it), group, images, patients, errors, error_rate with ci_low and ci_high by patients
        resampled, difference to the error rate of all other images, p of it, and p_holm, corrected for all rows.
    too_small
        "factor: group" of those with fewer.
    unknown
        Columns that are missing or empty.
    alike
        Columns in which all images have the same value.
    """

    table: pd.DataFrame
    too_small: tuple[str, ...]
    unknown: tuple[str, ...]
    alike: tuple[str, ...]


def errors_by_subgroup(ranked: pd.DataFrame, *, cohort: pd.DataFrame, params: EvaluationParams) -> Subgroups:
    """Error rate of every group of images that the cohort table can tell apart.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    cohort
        The cohort table.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.
    """
    tested = with_errors(cohort, ranked=ranked)
    unknown = [name for name in NAMES if name not in tested or tested[name].isna().all()]
    groupings = known_groups(tested)
    alike = [name for name in NAMES if name not in unknown and COLUMN_TITLES[name] not in groupings]
    rows, too_small = [], []
    for factor, groups in groupings.items():
        for group in groups.cat.categories:
            inside = (groups == group).to_numpy()
            if inside.sum() < MIN_IMAGES or tested.loc[inside, "PatientID"].nunique() < MIN_PATIENTS:
                too_small.append(f"{factor}: {group}")
            else:
                rows.append((factor, group, *_compared(tested, inside=inside, params=params)))
    table = with_holm(pd.DataFrame(rows, columns=COLUMNS[:-1]))
    return Subgroups(table, tuple(too_small), _titles(unknown), _titles(alike))


def _titles(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(COLUMN_TITLES[name] for name in names)


def with_errors(cohort: pd.DataFrame, *, ranked: pd.DataFrame) -> pd.DataFrame:
    """The cohort table with `is_error` of every held-out sample."""
    return cohort.merge(ranked[["sample_id", "is_error"]], on="sample_id", validate="one_to_one")


def known_groups(tested: pd.DataFrame) -> dict[str, pd.Series]:
    """The groups of every column that divides the images, see `grouped`, by the column's title."""
    varying = {*acquisition_columns(tested), *DEMOGRAPHIC_COLUMNS, *OTHER_COLUMNS}
    groupings = {COLUMN_TITLES[name]: grouped(tested[name]) for name in NAMES if name in tested and name in varying}
    return {factor: groups for factor, groups in groupings.items() if groups.nunique() > 1}


def grouped(values: pd.Series) -> pd.Series:
    """The group of every image: ages in years and many different numbers in thirds, all else by value.

    Returns
    -------
    Categories in words, in their order, without those that no image has.
    """
    if values.name == "PatientAge":
        values = values.map(age_years, na_action="ignore").astype(float)
    if is_numeric(values) and values.nunique() > MAX_VALUES:
        return _thirds(values.astype(float))
    ordered = pd.Series(pd.Categorical(values), index=values.index)
    return ordered.cat.rename_categories(lambda value: f"{value:g}" if isinstance(value, float) else str(value))


def _thirds(values: pd.Series) -> pd.Series:
    low, high = values.quantile([1 / 3, 2 / 3])
    names = [f"up to {low:.4g}", f"{low:.4g} to {high:.4g}", f"over {high:.4g}"]
    codes = np.where(values.isna(), -1, (values > low).astype(int) + (values > high))
    return pd.Series(pd.Categorical.from_codes(codes, names), index=values.index).cat.remove_unused_categories()


def _compared(tested: pd.DataFrame, *, inside: np.ndarray, params: EvaluationParams) -> Sequence[float]:
    """Counts, error rate with interval, difference to the rest and its p value, in the order of `COLUMNS`."""
    wrong = tested["is_error"].to_numpy(dtype=float)
    difference = wrong[inside].mean() - wrong[~inside].mean() if not inside.all() else np.nan
    p_value = score_test(wrong, inside=inside, patients=tested["PatientID"])
    return (*counted_errors(tested[inside], params=params), difference, p_value)


def counted_errors(part: pd.DataFrame, *, params: EvaluationParams) -> Sequence[float]:
    """Images, patients, errors, and the error rate with its interval by patients resampled, NaN for a single one."""
    wrong = part["is_error"].to_numpy(dtype=float)
    rate = ratio_of_sums(wrong, np.ones(len(part)), patients=part["PatientID"], params=params)
    limits = [np.nan if limit is None else limit for limit in (rate.ci_low, rate.ci_high)]
    return (rate.n_samples, rate.n_patients, int(wrong.sum()), rate.estimate, *limits)


def score_test(
    wrong: np.ndarray, *, inside: np.ndarray, patients: Sequence[str], given: np.ndarray | None = None
) -> float:
    """Two-sided p value of no difference between a group and all other images, images of a patient being alike.

    Parameters
    ----------
    wrong
        (N,) 0 or 1.
    inside
        (N,) bool, the group.
    patients
        N patients.
    given
        (N, D) what is held fixed, by least squares, with a column of ones; None: the ones alone.

    Returns
    -------
    In [0, 1]; 1 where nothing differs, as without any error.
    """
    fixed = np.ones((len(wrong), 1)) if given is None else given
    scores = unexplained(inside, given=fixed) * unexplained(wrong, given=fixed)
    of_patients = np.bincount(patient_codes(patients), weights=scores)
    spread = np.sqrt((of_patients**2).sum())
    return 1.0 if spread < ROUNDING else float(2 * norm.sf(abs(of_patients.sum()) / spread))


def unexplained(values: np.ndarray, *, given: np.ndarray) -> np.ndarray:
    """What least squares on (N, D) columns leave of (N,) values."""
    return values - given @ np.linalg.lstsq(given, values.astype(float))[0]


def with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its p values corrected for their number, as `p_holm`."""
    return table.assign(p_holm=multipletests(table["p"], method="holm")[1] if len(table) else [])


def describe_subgroups(found: Subgroups, *, confidence: float) -> str:
    """What the table says, in sentences.

    Parameters
    ----------
    found
        Result of `errors_by_subgroup`.
    confidence
        Above 1 minus this a corrected p value is no finding.
    """
    lines = [_worst(found.table, confidence=confidence)]
    lists = {
        f"Fewer than {MIN_IMAGES} images or {MIN_PATIENTS} patients, and so left out": found.too_small,
        "The same in all images": found.alike,
        "Not known in this cohort": found.unknown,
    }
    lines += [f"{title}: {', '.join(names)}." for title, names in lists.items() if names]
    return "\n\n".join(lines)


def _worst(table: pd.DataFrame, *, confidence: float) -> str:
    if table.empty:
        return "No column divides the images into groups that are large enough."
    if table["errors"].sum() == 0:
        return f"No group has an error; {len(table)} groups were looked at."
    worst = table.loc[table["error_rate"].idxmax()]
    found = table[table["p_holm"] < 1 - confidence]
    rate = f"{100 * worst['error_rate']:.1f} %"
    return (
        f"The highest error rate is {rate}, of {worst['factor']}: {worst['group']} "
        f"({worst['errors']} of {worst['images']} images; p = {worst['p_holm']:.2g} after correction). "
        f"Of {len(table)} group{'s' if len(table) > 1 else ''}, beyond chance: {_beyond_chance(found)}."
    )


def _beyond_chance(found: pd.DataFrame) -> str:
    """Groups with more and with fewer errors than all other images."""
    has_more = found["difference"] > 0
    more, fewer = (
        ", ".join(rows["factor"] + ": " + rows["group"].astype(str)) or "none"
        for rows in (found[has_more], found[~has_more])
    )
    return f"more errors than all other images in {more}; fewer in {fewer}"
