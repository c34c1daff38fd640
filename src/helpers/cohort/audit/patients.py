"""The cohort counted by patient: images of one patient share scanner and age, and are not independent."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

YEARS_PER = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
AGE_PATTERN = re.compile(r"^\s*(\d{1,3}(?:\.\d+)?)\s*([YMWD]?)\s*$", re.IGNORECASE)
MAX_AGE_YEARS = 120.0
INTERVAL_PERCENT = (2.5, 97.5)
# Bootstrap: enough draws for stable percentiles; fewer where the cohort is so large that memory counts and each draw
# hardly differs from the next.
MIN_DRAWS, MAX_DRAWS, MAX_DRAWN_ROWS = 100, 1000, 5_000_000
BOOTSTRAP_SEED = 0


def age_years(age: str | float | None) -> float:
    """Age in years from `045Y`, `18M`, `03W`, `10D` (DICOM PS3.5 value representation AS) or a plain number of years.

    NaN where it is missing, no age, or above 120 years (some exports write 999 for unknown).
    """
    found = None if age is None else AGE_PATTERN.match(str(age))
    if found is None:
        return np.nan
    years = float(found[1]) * YEARS_PER[found[2].upper() or "Y"]
    return years if years <= MAX_AGE_YEARS else np.nan


def per_patient(table: pd.DataFrame, *, by: str, columns: Sequence[str]) -> pd.DataFrame:
    """One row per patient and group.

    Parameters
    ----------
    table
        One row per image with `PatientID`.
    by
        Column of the groups, for example `label`; a patient with images in two groups counts once in each.
    columns
        What is kept of each: the median of numbers, the most frequent of texts (the first of equally frequent ones in
        alphabetical order), missing values aside.

    Returns
    -------
    DataFrame with PatientID, `by` and `columns`, ages in years, sorted by PatientID and group.
    """
    kept = table[["PatientID", by, *columns]]
    if "PatientAge" in columns:
        kept = kept.assign(PatientAge=kept["PatientAge"].map(age_years).astype(float))
    numeric = [name for name in columns if is_numeric(kept[name])]
    groups = kept.groupby(["PatientID", by], sort=True)
    rows = groups.size().to_frame("n_images")
    rows[numeric] = groups[numeric].median()
    for name in columns:
        if name not in numeric:
            rows[name] = _most_frequent(kept, name, by=by).reindex(rows.index)
    return rows.reset_index()[["PatientID", by, *columns]]


def drawn_weights(groups: pd.Series) -> np.ndarray:
    """How often each row is drawn when whole groups, for example patients, are drawn with replacement.

    Returns
    -------
    (1 + draws, rows) int; the first row is the sample itself, once each. The same for the same number of groups.
    """
    codes, names = pd.factorize(groups)
    once = np.ones((1, len(codes)), dtype=np.int64)
    if not len(names):
        return once
    draws = int(np.clip(MAX_DRAWN_ROWS // len(codes), MIN_DRAWS, MAX_DRAWS))
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return np.vstack([once, drawn[:, codes]])


def is_numeric(values: pd.Series) -> bool:
    """Whether a column holds numbers; a truth value is a text of two."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _most_frequent(table: pd.DataFrame, name: str, *, by: str) -> pd.Series:
    counts = table.dropna(subset=name).groupby(["PatientID", by, name]).size().rename("count").reset_index()
    counts = counts.sort_values(["count", name], ascending=[False, True])
    return counts.drop_duplicates(["PatientID", by]).set_index(["PatientID", by])[name].astype("str")
