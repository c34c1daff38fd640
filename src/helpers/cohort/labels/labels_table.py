"""The labels table: its columns matched to study columns, its rows turned into entries of the cohort."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import pandas as pd

from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable
from helpers.cohort.labels.entries import (
    BOX_COLUMNS,
    CENTER_MM_COLUMNS,
    CENTER_VOXEL_COLUMNS,
    FACT_COLUMNS,
    HEIGHT_COLUMNS,
    NUMBER_COLUMNS,
    Entry,
    Labelled,
    class_key,
    parse_entry,
    without_conflicts,
)
from helpers.cohort.labels.readers import adjudicate, read_keys, reading_table
from helpers.cohort.labels.text_table import FIRST_DATA_LINE, nearest, read_text_table, writes_decimal_commas
from helpers.study import CohortParams
from helpers.study.paths import short_path

STUDY_COLUMNS = (
    "file",
    "SOPInstanceUID",
    "PatientID",
    "label",
    "level",
    *BOX_COLUMNS,
    "mm_per_px",
    "slice_index",
    "rescale_intercept",
    *CENTER_MM_COLUMNS,
    *CENTER_VOXEL_COLUMNS,
    *HEIGHT_COLUMNS,
    *FACT_COLUMNS,
)

COLUMNS_TOLD = 12  # names of columns in a message
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")

Needed = Sequence[str | tuple[str, ...]]
Locate = Callable[[Mapping[str, Optional[str]]], Optional[str]]


def read_labels(path: Path, *, columns: Mapping[str, str], needed: Needed, readers: Sequence[str] = ()) -> pd.DataFrame:
    """Read a labels table as text and name its columns as the study does.

    Parameters
    ----------
    path
        As `text_table.read_text_table` takes it.
    columns
        Study column to column of the table; others are looked up under their own name.
    needed
        Study columns that must be there; of a tuple, one is enough.
    readers
        Columns of the table that hold one reader's label each.

    Returns
    -------
    DataFrame with every study column, then the readers' under their own names; empty cells and absent columns are
    None, all else is stripped text, where numbers have decimal points. The index counts the lines below the header,
    empty ones too.

    Raises
    ------
    CohortError
        If the file is missing or not readable, or a needed, mapped or reader's column is not in it.
    """
    table = read_text_table(path)
    unknown = [name for name in columns if name not in STUDY_COLUMNS]
    if unknown:
        hint = nearest(unknown[0], STUDY_COLUMNS)
        raise CohortError(f"cohort.columns.{unknown[0]}: not a study column{hint}; they are {', '.join(STUDY_COLUMNS)}")
    for study_name in dict.fromkeys((*needed, *columns)):
        _check_column(study_name, table=table, columns=columns, path=path)
    for name in readers:
        if name not in table.columns:
            hint = nearest(name, table.columns)
            raise CohortError(f"{short_path(path)}: no column {name!r} of a reader{hint}; correct cohort.readers")
    empty = pd.Series([None] * len(table), index=table.index, dtype=object)
    chosen = {name: table.get(columns.get(name, name), empty) for name in STUDY_COLUMNS}
    if writes_decimal_commas(path):
        chosen |= {name: _with_points(chosen[name]) for name in NUMBER_COLUMNS}
    return pd.DataFrame(chosen | {name: table[name] for name in readers})


def _with_points(numbers: pd.Series) -> pd.Series:
    """12,5 as 12.5; a comma beside a point is left alone, since either may part the thousands. None stays None."""
    return pd.Series([_with_point(number) for number in numbers], index=numbers.index, dtype=object)


def _with_point(number: Optional[str]) -> Optional[str]:
    return number.replace(",", ".") if number and DECIMAL_COMMA.fullmatch(number) else number


def _first_names(table: pd.DataFrame) -> str:
    names = [str(name) for name in table.columns]
    return ", ".join(names[:COLUMNS_TOLD]) + (", ..." if len(names) > COLUMNS_TOLD else "")


def _check_column(
    study_name: str | tuple[str, ...], *, table: pd.DataFrame, columns: Mapping[str, str], path: Path
) -> None:
    choices = (study_name,) if isinstance(study_name, str) else study_name
    names = [columns.get(choice, choice) for choice in choices]
    if any(name in table.columns for name in names):
        return
    others = f" or {', '.join(repr(name) for name in names[1:])}" if len(names) > 1 else ""
    raise CohortError(
        f"{short_path(path)}: no column {names[0]!r}{others} for {choices[0]}{nearest(names[0], table.columns)}; "
        f"say in cohort.columns which one it is, as `{choices[0]}: NAME`; the table has {_first_names(table)}"
    )


def labelled_table(
    path: Path,
    *,
    needed: Needed,
    params: CohortParams,
    exists: Callable[[str], bool],
    locate: Optional[Locate] = None,
    is_series: Callable[[str], bool] = lambda source: False,
) -> Labelled:
    """Read a labels table and turn its rows into entries; rows that cannot be used become exclusions.

    Parameters
    ----------
    path, needed
        As `read_labels` takes them; `label` is not needed where the readers' columns decide.
    params
        Section `cohort`: the mapping of columns and values, the classes, the readers.
    exists
        Whether a file or folder of this name, relative to the cohort folder, is there.
    locate
        Finds the file of a row that names none, by its other cells; None where it cannot.
    is_series
        Whether what a row names is a series with several vertebrae.
    """
    if params.adjudication != "label":
        needed = [name for name in needed if name != "label"]
    table = read_labels(path, columns=params.columns, needed=needed, readers=params.readers)
    rows = table.to_dict("records")
    for row in rows:
        if row["file"] is None and locate is not None:
            row["file"] = locate(row)
    entries: list[Entry] = []
    exclusions: list[Exclusion] = []
    for line, row in zip((table.index + FIRST_DATA_LINE).tolist(), rows, strict=True):
        try:
            entries.append(parse_entry(row, line=line, label=_label(row, params), exists=exists))
        except NotUsable as finding:
            exclusions.append(Exclusion(row["file"] or "(none)", finding.reason, f"row {line}: {finding.detail}"))
    entries, conflicts = without_conflicts(entries, is_series=is_series)
    named = [(row["file"], row["PatientID"]) for row in rows]
    return Labelled(entries, exclusions + conflicts, named, reading_table(rows, params=params))


def _label(row: Mapping[str, Any], params: CohortParams) -> str:
    """Class key of a row, from its label or from what its readers say."""
    if params.adjudication == "label":
        return class_key(row["label"], params)
    return adjudicate(read_keys(row, params=params), rule=params.adjudication)
