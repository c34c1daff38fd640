"""Table 1 of a paper: patients and images by class or by split, missing values shown, differences standardised."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from helpers.cohort.audit.patients import is_numeric, per_patient
from helpers.cohort.audit.verdicts import AuditContext

VARIABLES = {
    "PatientAge": "age (years)",
    "PatientSex": "sex",
    "scanner": "scanner",
    "ConvolutionKernel": "kernel",
    "SliceThickness": "slice thickness (mm)",
    "row_spacing_mm": "spacing between rows (mm)",
    "column_spacing_mm": "spacing between columns (mm)",
    "KVP": "tube voltage (kV)",
    "site": "site",
}
MAX_LEVELS = 8
OTHER, MISSING = "other", "missing"
ALL = "all"


def table_one_by_class(context: AuditContext) -> pd.DataFrame:
    """Table 1 with one column per class, in the order of the classes."""
    names = context.params.class_names
    table = context.table.assign(group=context.table["label"].map(names))
    return table_one(table, groups=[name for name in names.values() if name in set(table["group"])])


def table_one_by_split(context: AuditContext) -> pd.DataFrame:
    """Table 1 with one column per split of the first fold."""
    placed = context.placed
    first = placed[placed["fold"] == placed["fold"].min()].assign(group=lambda rows: rows["split"])
    return table_one(first, groups=[name for name in ("train", "validation", "test") if name in set(first["group"])])


def table_one(table: pd.DataFrame, *, groups: Sequence[str]) -> pd.DataFrame:
    """Describe patients and images of each group.

    Parameters
    ----------
    table
        Cohort table with the column `group`.
    groups
        Values of `group`, in the order of the columns.

    Returns
    -------
    Columns variable, level, one per group, ``all`` (text: median and quartiles of numbers, patients and per cent of
    texts and of missing values), and ``smd``: the largest absolute standardised mean difference between two groups
    (None where it cannot be told). All but the first line, the images, count patients; a patient with images in two
    groups counts in both.
    """
    table = _with_scanner(table)
    columns = [name for name in VARIABLES if name in table and table[name].notna().any()]
    units = per_patient(table, by="group", columns=columns)
    everyone = per_patient(table.assign(group=ALL), by="group", columns=columns)
    parts = {name: units[units["group"] == name] for name in groups} | {ALL: everyone}
    images = {name: str((table["group"] == name).sum()) for name in groups} | {ALL: str(len(table))}
    rows = [_row("images", images), _row("patients", {name: str(len(part)) for name, part in parts.items()})]
    for column in columns:
        rows += _variable(column, parts=parts)
    return pd.DataFrame(rows)


def _with_scanner(table: pd.DataFrame) -> pd.DataFrame:
    """Manufacturer and model as one text, None where neither is known."""
    known = [name for name in ("Manufacturer", "ManufacturerModelName") if name in table]
    if not known:
        return table
    words = table[known].fillna("").agg(" ".join, axis=1).str.strip()
    return table.assign(scanner=words.where(words != ""))


def _row(variable: str, cells: dict[str, str], *, level: str = "", smd: float | None = None) -> dict[str, Any]:
    return {"variable": variable, "level": level, **cells, "smd": None if smd is None else round(smd, 3)}


def _variable(column: str, *, parts: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Lines of one variable; the difference stands in its first line."""
    name, values = VARIABLES[column], {group: part[column] for group, part in parts.items()}
    everyone = values[ALL]
    smd = _largest([part for group, part in values.items() if group != ALL], numeric=is_numeric(everyone))
    if is_numeric(everyone):
        cells = {group: _quartiles(part) for group, part in values.items()}
        rows = [_row(name, cells, level="median [quartiles]", smd=smd)]
    else:
        shares = {
            level: {group: _share(part.isin(same)) for group, part in values.items()}
            for level, same in _levels(everyone).items()
        }
        differences = [smd, *[None] * (len(shares) - 1)]
        rows = [
            _row(name, cells, level=level, smd=first)
            for (level, cells), first in zip(shares.items(), differences, strict=True)
        ]
    if everyone.isna().any():
        rows.append(_row(name, {group: _share(part.isna()) for group, part in values.items()}, level=MISSING))
    return rows


def _levels(values: pd.Series) -> dict[str, list[str]]:
    """The most frequent values, and the rest as one."""
    counts = values.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
    names = [str(name) for name in counts.index]
    if len(names) <= MAX_LEVELS:
        return {name: [name] for name in names}
    return {name: [name] for name in names[: MAX_LEVELS - 1]} | {OTHER: names[MAX_LEVELS - 1 :]}


def _quartiles(values: pd.Series) -> str:
    if values.isna().all():
        return "-"
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def _share(chosen: pd.Series) -> str:
    return f"{int(chosen.sum())} ({chosen.mean():.1%})" if len(chosen) else "0"


def _largest(groups: Sequence[pd.Series], *, numeric: bool) -> float | None:
    difference = smd_numbers if numeric else smd_texts
    found = [difference(one.dropna(), other.dropna()) for one, other in combinations(groups, 2)]
    known = [value for value in found if np.isfinite(value)]
    return max(known) if known else None


def smd_numbers(one: pd.Series, other: pd.Series) -> float:
    """Absolute difference of the means over the root of the mean variance; NaN without spread."""
    spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
    return float(abs(one.mean() - other.mean()) / spread) if spread > 0 else np.nan


def smd_texts(one: pd.Series, other: pd.Series) -> float:
    """Standardised difference of two multinomial shares (Yang and Dalton 2012, SAS Global Forum 335); NaN if undefined.

    The last level is left out: the shares sum to one.
    """
    levels = sorted({*one, *other})
    if len(levels) < 2 or one.empty or other.empty:
        return np.nan
    p, q = ((group.value_counts(normalize=True).reindex(levels, fill_value=0)).to_numpy()[1:] for group in (one, other))
    covariance = sum(np.diag(share) - np.outer(share, share) for share in (p, q)) / 2
    return float(np.sqrt(max((p - q) @ np.linalg.pinv(covariance) @ (p - q), 0)))
