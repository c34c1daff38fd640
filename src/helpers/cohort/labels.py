"""The labels table: read as text, columns matched to study columns, every row checked by itself and against the others.

A row that passes becomes an `Entry`; a row that does not becomes an `Exclusion` that names its line in the table.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional

import pandas as pd

from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable, Reason
from helpers.cohort.picture import View
from helpers.study.paths import short_path

BOX_COLUMNS = ("x0", "y0", "x1", "y1")
STUDY_COLUMNS = (
    "file",
    "PatientID",
    "label",
    "level",
    *BOX_COLUMNS,
    "mm_per_px",
    "slice_index",
    "rescale_intercept",
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
    """

    line: int
    view: View
    patient: Optional[str]
    label: str
    level: Optional[str] = None
    box: Optional[Box] = None
    mm_per_px: Optional[float] = None

    @property
    def key(self) -> tuple:
        """What this sample is an image of: two entries with one key are the same sample."""
        return self.view.source, self.view.slice_index, self.box


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


def parse_labels(
    table: pd.DataFrame, *, folder: Path, label_values: Mapping[str, str], class_names: Mapping[str, str]
) -> tuple[list[Entry], list[Exclusion]]:
    """Turn rows into entries; rows that cannot be used become exclusions.

    Parameters
    ----------
    table
        As `read_labels` returns it.
    folder
        Cohort folder, to see whether the named files exist.
    label_values, class_names
        The mapping of labels, as in the parameters.
    """
    entries: list[Entry] = []
    exclusions: list[Exclusion] = []
    for line, row in zip(table.index + FIRST_DATA_LINE, table.to_dict("records"), strict=True):
        try:
            entries.append(_entry(row, line=line, folder=folder, labels=(label_values, class_names)))
        except NotUsable as finding:
            exclusions.append(Exclusion(row["file"] or "(none)", finding.reason, f"row {line}: {finding.detail}"))
    entries, conflicts = _without_conflicts(entries)
    return entries, exclusions + conflicts


def _entry(row: Mapping[str, Optional[str]], *, line: int, folder: Path, labels: tuple[Mapping, Mapping]) -> Entry:
    label_values, class_names = labels
    source = _source(row["file"], folder)
    if row["label"] is None:
        raise NotUsable(Reason.MISSING_LABEL, "the label is empty")
    label = label_values.get(row["label"], row["label"])
    if label not in class_names:
        raise NotUsable(Reason.UNKNOWN_LABEL, f"label {row['label']!r} is not one of {', '.join(class_names)}")
    plane = _number(row, "slice_index")
    if plane is not None and plane != int(plane):
        raise NotUsable(Reason.BAD_NUMBER, f"slice_index {row['slice_index']!r} is not a whole number")
    view = View(source, None if plane is None else int(plane), _number(row, "rescale_intercept"))
    return Entry(
        line=line,
        view=view,
        patient=row["PatientID"],
        label=label,
        level=row["level"],
        box=_box(row),
        mm_per_px=_pixel_size(row),
    )


def _source(name: Optional[str], folder: Path) -> str:
    if name is None:
        raise NotUsable(Reason.FILE_MISSING, "no file is named")
    # Tables written on Windows separate folders by backslashes.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise NotUsable(Reason.PATH_ESCAPES_FOLDER, f"{name!r} leads out of the cohort folder")
    if not (folder / path).exists():
        raise NotUsable(Reason.FILE_MISSING, f"{name!r} does not exist")
    return path.as_posix()


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


def _without_conflicts(entries: Sequence[Entry]) -> tuple[list[Entry], list[Exclusion]]:
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
