"""The labels table: read as text, columns matched to study columns, every row checked by itself and against the others.

A row that passes becomes an `Entry`; a row that does not becomes an `Exclusion` that names its line in the table.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Optional

import pandas as pd

from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable, Reason
from helpers.cohort.picture import View, series_key
from helpers.study import CohortParams
from helpers.study.paths import short_path

BOX_COLUMNS = ("x0", "y0", "x1", "y1")
CENTER_MM_COLUMNS = ("center_x_mm", "center_y_mm", "center_z_mm")
CENTER_VOXEL_COLUMNS = ("center_column", "center_row", "center_slice")
# What a table may know besides: `split` is for splits.split_method predefined, `grade` a severity such as Genant's.
FACT_COLUMNS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyDate",
    "PatientSex",
    "PatientAge",
    "site",
    "split",
    "grade",
)
STUDY_COLUMNS = (
    "file",
    "PatientID",
    "label",
    "level",
    *BOX_COLUMNS,
    "mm_per_px",
    "slice_index",
    "rescale_intercept",
    *CENTER_MM_COLUMNS,
    *CENTER_VOXEL_COLUMNS,
    *FACT_COLUMNS,
)
EXCEL_SUFFIXES = (".xlsx", ".xlsm")
FIRST_DATA_LINE = 2

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Entry:
    """One usable row of the labels table.

    Attributes
    ----------
    line
        Line of the table, the header being line 1.
    view
        Which image is meant.
    patient
        PatientID from the table, or None to take it from the header.
    label
        Class key.
    level
        Vertebral level as written, if any.
    box
        (x0, y0, x1, y1) in pixels of the image, x along its columns, whole numbers at pixel centres; None for the
        whole image.
    mm_per_px
        Pixel size from the table, if any.
    facts
        Further columns of the table by study name (`FACT_COLUMNS`), where they hold something: what a header does not
        say, or says worse.
    """

    line: int
    view: View
    patient: Optional[str]
    label: str
    level: Optional[str] = None
    box: Optional[Box] = None
    mm_per_px: Optional[float] = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple:
        """What this sample is an image of: two entries with one key are the same sample."""
        place = (self.view.series, self.view.center, self.view.center_unit)
        return self.view.source, self.view.slice_index, self.box, *(item for item in place if item is not None)


@dataclass(frozen=True)
class Labelled:
    """What the labels of a cohort say.

    Attributes
    ----------
    entries
        Rows that can be used as far as the labels can tell.
    exclusions
        Rows that cannot, with the reason.
    rows
        (file, patient) of every row before any check, None where a row does not say.
    readings
        One row per labelled image, one column per reader, class keys or None; without columns where there is one
        reader. Rows that were excluded because readers disagree are in it.
    """

    entries: Sequence[Entry]
    exclusions: Sequence[Exclusion]
    rows: Sequence[tuple[Optional[str], Optional[str]]]
    readings: pd.DataFrame = field(default_factory=pd.DataFrame)


def read_labels(path: Path, *, columns: Mapping[str, str], needed: Sequence[str]) -> pd.DataFrame:
    """Read a labels table as text and name its columns as the study does.

    Parameters
    ----------
    path
        CSV file (comma, semicolon or tab; UTF-8) or Excel workbook (first sheet).
    columns
        Study column to column of the table; others are looked up under their own name.
    needed
        Study columns that must be there.

    Returns
    -------
    DataFrame with every study column; empty cells and absent columns are None, all else is stripped text. Rows without
    any text are dropped; the index still counts them.

    Raises
    ------
    CohortError
        If the file is missing or not readable, or a needed or mapped column is not in it.
    """
    if not path.is_file():
        raise CohortError(f"{short_path(path)}: no such labels table; correct cohort.labels")
    table = _read_text_table(path)
    unknown = [name for name in columns if name not in STUDY_COLUMNS]
    if unknown:
        hint = _nearest(unknown[0], STUDY_COLUMNS)
        raise CohortError(f"cohort.columns.{unknown[0]}: not a study column{hint}; they are {', '.join(STUDY_COLUMNS)}")
    for study_name in dict.fromkeys((*needed, *columns)):
        name = columns.get(study_name, study_name)
        if name not in table.columns:
            raise CohortError(
                f"{short_path(path)}: no column {name!r} for {study_name}{_nearest(name, table.columns)}; "
                f"map it in cohort.columns, for example `{study_name}: {table.columns[0]}`"
            )
    chosen = {name: table.get(columns.get(name, name)) for name in STUDY_COLUMNS}
    empty = pd.Series([None] * len(table), index=table.index, dtype=object)
    return pd.DataFrame({name: empty if values is None else values for name, values in chosen.items()})


def _read_text_table(path: Path) -> pd.DataFrame:
    options = {"dtype": str, "keep_default_na": False, "na_filter": False}
    try:
        if path.suffix.lower() in EXCEL_SUFFIXES:
            table = pd.read_excel(path, **options)
        else:
            table = pd.read_csv(path, sep=_delimiter(path), encoding="utf-8-sig", skip_blank_lines=False, **options)
    except UnicodeDecodeError as error:
        raise CohortError(f"{short_path(path)}: not UTF-8; save it as `CSV UTF-8` or as Excel workbook") from error
    except Exception as error:  # pandas and openpyxl raise many kinds; each means that this file is no table
        raise CohortError(f"{short_path(path)}: not readable as a table: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    doubled = table.columns[table.columns.duplicated()]
    if len(doubled):
        raise CohortError(f"{short_path(path)}: two columns are called {doubled[0]!r}; rename one")
    cells = table.astype(object).map(lambda cell: None if pd.isna(cell) else str(cell).strip() or None)
    cells = cells.dropna(how="all").astype(object)
    return cells.where(cells.notna(), None)


def _delimiter(path: Path) -> str:
    """The separator that occurs most often in the header line; spreadsheets in many countries write semicolons."""
    with path.open(encoding="utf-8-sig") as stream:
        header = stream.readline()
    return max(",;\t", key=header.count)


def _nearest(name: str, known: Sequence[str]) -> str:
    """The most similar name, by letters in common or as a part of it, whatever the case."""
    lowered = {str(item).lower(): str(item) for item in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f" (nearest: {lowered[close[0]]!r})" if close else ""


def labelled_table(
    path: Path, *, needed: Sequence[str], params: CohortParams, exists: Callable[[str], bool]
) -> Labelled:
    """Read a labels table and turn its rows into entries; rows that cannot be used become exclusions.

    Parameters
    ----------
    path
        As `read_labels` takes it.
    needed
        Study columns that must be there.
    params
        Section `cohort`: the mapping of columns and values, the classes, the readers.
    exists
        Whether a file or folder of this name, relative to the cohort folder, is there.
    """
    table = read_labels(path, columns=params.columns, needed=needed)
    entries: list[Entry] = []
    exclusions: list[Exclusion] = []
    for line, row in zip(table.index + FIRST_DATA_LINE, table.to_dict("records"), strict=True):
        try:
            entries.append(_entry(row, line=line, exists=exists, params=params))
        except NotUsable as finding:
            exclusions.append(Exclusion(row["file"] or "(none)", finding.reason, f"row {line}: {finding.detail}"))
    entries, conflicts = without_conflicts(entries)
    rows = [(file, patient) for file, patient in table[["file", "PatientID"]].to_numpy()]
    return Labelled(entries, exclusions + conflicts, rows)


def _entry(
    row: Mapping[str, Optional[str]], *, line: int, exists: Callable[[str], bool], params: CohortParams
) -> Entry:
    source = _source(row["file"], exists)
    label = class_key(row["label"], params)
    plane = _number(row, "slice_index")
    if plane is not None and plane != int(plane):
        raise NotUsable(Reason.BAD_NUMBER, f"slice_index {row['slice_index']!r} is not a whole number")
    center, unit = _center(row)
    view = View(
        source,
        slice_index=None if plane is None else int(plane),
        rescale_intercept=_number(row, "rescale_intercept"),
        center=center,
        center_unit=unit,
        series=None if row["SeriesInstanceUID"] is None else series_key(row["SeriesInstanceUID"]),
    )
    return Entry(
        line=line,
        view=view,
        patient=row["PatientID"],
        label=label,
        level=row["level"],
        box=_box(row),
        mm_per_px=_pixel_size(row),
        facts={name: row[name] for name in FACT_COLUMNS if row[name] is not None},
    )


def class_key(label: Optional[str], params: CohortParams) -> str:
    """Map a label as written to a class key, or raise `NotUsable`."""
    if label is None:
        raise NotUsable(Reason.MISSING_LABEL, "the label is empty")
    key = params.label_values.get(label, label)
    if key not in params.class_names:
        raise NotUsable(Reason.UNKNOWN_LABEL, f"label {label!r} is not one of {', '.join(params.class_names)}")
    return key


def _source(name: Optional[str], exists: Callable[[str], bool]) -> str:
    if name is None:
        raise NotUsable(Reason.FILE_MISSING, "no file is named")
    # Tables written on Windows separate folders by backslashes.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise NotUsable(Reason.PATH_ESCAPES_FOLDER, f"{name!r} leads out of the cohort folder")
    if not exists(path.as_posix()):
        raise NotUsable(Reason.FILE_MISSING, f"{name!r} does not exist")
    return path.as_posix()


def _center(row: Mapping[str, Optional[str]]) -> tuple[Optional[tuple[float, float, float]], Optional[str]]:
    """The vertebra's centre in space and its unit, from one of two sets of three columns."""
    for columns, unit in ((CENTER_MM_COLUMNS, "mm"), (CENTER_VOXEL_COLUMNS, "voxel")):
        values = [_number(row, column) for column in columns]
        if all(value is None for value in values):
            continue
        if any(value is None for value in values):
            raise NotUsable(Reason.BAD_NUMBER, f"some of {', '.join(columns)} are empty")
        return tuple(values), unit
    return None, None


def _number(row: Mapping[str, Optional[str]], column: str) -> Optional[float]:
    value = row[column]
    if value is None:
        return None
    try:
        parsed = float(value)
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        raise NotUsable(Reason.BAD_NUMBER, f"{column} {value!r} is not a number")
    return parsed


def _pixel_size(row: Mapping[str, Optional[str]]) -> Optional[float]:
    size = _number(row, "mm_per_px")
    if size is not None and size <= 0:
        raise NotUsable(Reason.BAD_NUMBER, f"mm_per_px {row['mm_per_px']!r} is not positive")
    return size


def _box(row: Mapping[str, Optional[str]]) -> Optional[Box]:
    x0, y0, x1, y1 = (_number(row, column) for column in BOX_COLUMNS)
    if x0 is None and y0 is None and x1 is None and y1 is None:
        return None
    if x0 is None or y0 is None or x1 is None or y1 is None:
        raise NotUsable(Reason.BAD_BOX, "some of x0, y0, x1, y1 are empty")
    if not (x0 < x1 and y0 < y1):
        raise NotUsable(Reason.BAD_BOX, f"box {x0:g}, {y0:g}, {x1:g}, {y1:g} has no area")
    return x0, y0, x1, y1


def without_conflicts(entries: Sequence[Entry]) -> tuple[list[Entry], list[Exclusion]]:
    """Drop repeated rows, samples with two labels, and files that are given to two patients."""
    by_key: dict[tuple, list[Entry]] = defaultdict(list)
    patients: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        by_key[entry.key].append(entry)
        patients[entry.view.source] |= {entry.patient} - {None}
    kept: list[Entry] = []
    dropped: list[Exclusion] = []
    for entry in entries:
        finding = _conflict(entry, same=by_key[entry.key], patients=patients[entry.view.source])
        if finding is None:
            kept.append(entry)
        else:
            dropped.append(Exclusion(entry.view.source, finding[0], f"row {entry.line}: {finding[1]}"))
    return kept, dropped


def _conflict(entry: Entry, *, same: Sequence[Entry], patients: set[str]) -> Optional[tuple[Reason, str]]:
    if len(patients) > 1:
        return Reason.PATIENT_CONFLICT, f"the file is given to {len(patients)} patients"
    found = sorted({other.label for other in same})
    if len(found) > 1:
        return Reason.LABEL_CONFLICT, f"the same image has the labels {', '.join(found)}"
    if entry is not same[0]:
        return Reason.DUPLICATE_ROW, f"repeats row {same[0].line}"
    return None
