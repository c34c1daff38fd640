"""One row of the labels table: each cell checked by itself, each row against the others.

A row that passes becomes an `Entry`; a row that does not becomes an `Exclusion` that names its line in the table.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Optional

import pandas as pd

from helpers.cohort.exclusions import Exclusion, NotUsable, Reason
from helpers.cohort.picture import View, series_key
from helpers.study import CohortParams

BOX_COLUMNS = ("x0", "y0", "x1", "y1")
CENTER_MM_COLUMNS = ("center_x_mm", "center_y_mm", "center_z_mm")
CENTER_VOXEL_COLUMNS = ("center_column", "center_row", "center_slice")
# Height of a body in front, in the middle and behind over its normal one, where somebody measured it.
HEIGHT_COLUMNS = ("anterior_ratio", "middle_ratio", "posterior_ratio")
NUMBER_COLUMNS = (
    *BOX_COLUMNS,
    *CENTER_MM_COLUMNS,
    *CENTER_VOXEL_COLUMNS,
    "mm_per_px",
    "slice_index",
    "rescale_intercept",
    *HEIGHT_COLUMNS,
)
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

Box = tuple[float, float, float, float]
Row = Mapping[str, Optional[str]]


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
        Further columns of the table by study name (`FACT_COLUMNS`, `HEIGHT_COLUMNS`), where they hold something: what
        a header does not say, or says worse.
    """

    line: int
    view: View
    patient: Optional[str]
    label: str
    level: Optional[str] = None
    box: Optional[Box] = None
    mm_per_px: Optional[float] = None
    facts: Mapping[str, str | float] = field(default_factory=dict)

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
        Several readers' labels, as `readers.reading_table` has them; empty where there is one reader. Rows that were
        excluded because readers disagree are in it.
    """

    entries: Sequence[Entry]
    exclusions: Sequence[Exclusion]
    rows: Sequence[tuple[Optional[str], Optional[str]]]
    readings: pd.DataFrame = field(default_factory=pd.DataFrame)


def class_words(params: CohortParams) -> dict[str, str]:
    """Every word for a class, also in lower case, to its key: what the parameters map goes before keys, then names."""
    names = {name: key for key, name in params.class_names.items()}
    words = names | {key: key for key in params.class_names} | params.label_values
    return {word.casefold(): key for word, key in words.items()} | words


def class_key(label: Optional[str], params: CohortParams) -> str:
    """Map a label in any case to a class key, or raise `NotUsable`; 1.0 is 1 where only that is known."""
    if label is None:
        raise NotUsable(Reason.MISSING_LABEL, "the label is empty")
    words = class_words(params)
    for written in (label, label.casefold(), label.removesuffix(".0")):
        if written in words:
            return words[written]
    raise NotUsable(Reason.UNKNOWN_LABEL, f"label {label!r} is not one of {', '.join(params.class_names)}")


def parse_entry(row: Row, *, line: int, label: str, exists: Callable[[str], bool]) -> Entry:
    """Turn a row of `read_labels` into an entry of class `label`, or raise `NotUsable`."""
    source = file_of(row, exists)
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
        facts=_known(
            {name: row[name] for name in FACT_COLUMNS} | {name: _number(row, name) for name in HEIGHT_COLUMNS}
        ),
    )


def _known(facts: Mapping[str, str | float | None]) -> dict[str, str | float]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def file_of(row: Row, exists: Callable[[str], bool]) -> str:
    """The file or folder that a row names, relative to the cohort folder; `NotUsable` if there is none."""
    name = row["file"]
    if name is None:
        raise NotUsable(Reason.FILE_MISSING, "no file is named")
    # Tables written on Windows separate folders by backslashes.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise NotUsable(Reason.PATH_ESCAPES_FOLDER, f"{name!r} leads out of the cohort folder")
    if not _exists(path, exists):
        raise NotUsable(Reason.FILE_MISSING, f"{name!r} does not exist, or is no file")
    return path.as_posix()


def _exists(path: PurePosixPath, exists: Callable[[str], bool]) -> bool:
    try:
        return exists(path.as_posix())
    except (OSError, ValueError):  # a name that no file system can hold: too long, or with a zero in it
        return False


def _center(row: Row) -> tuple[Optional[tuple[float, float, float]], Optional[str]]:
    """The vertebra's centre in space and its unit, from one of two sets of three columns."""
    for columns, unit in ((CENTER_MM_COLUMNS, "mm"), (CENTER_VOXEL_COLUMNS, "voxel")):
        values = [_number(row, column) for column in columns]
        if all(value is None for value in values):
            continue
        if any(value is None for value in values):
            raise NotUsable(Reason.BAD_NUMBER, f"some of {', '.join(columns)} are empty")
        return tuple(values), unit
    return None, None


def _number(row: Row, column: str) -> Optional[float]:
    value = row[column]
    if value is None:
        return None
    try:
        parsed = float(value)
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        hint = "; write a decimal point" if "," in value else ""
        raise NotUsable(Reason.BAD_NUMBER, f"{column} {value!r} is not a number{hint}")
    return parsed


def _pixel_size(row: Row) -> Optional[float]:
    size = _number(row, "mm_per_px")
    if size is not None and size <= 0:
        raise NotUsable(Reason.BAD_NUMBER, f"mm_per_px {row['mm_per_px']!r} is not positive")
    return size


def _box(row: Row) -> Optional[Box]:
    x0, y0, x1, y1 = (_number(row, column) for column in BOX_COLUMNS)
    if x0 is None and y0 is None and x1 is None and y1 is None:
        return None
    if x0 is None or y0 is None or x1 is None or y1 is None:
        raise NotUsable(Reason.BAD_BOX, "some of x0, y0, x1, y1 are empty")
    if not (x0 < x1 and y0 < y1):
        raise NotUsable(Reason.BAD_BOX, f"box {x0:g}, {y0:g}, {x1:g}, {y1:g} has no area")
    return x0, y0, x1, y1


def without_conflicts(
    entries: Sequence[Entry], *, is_series: Callable[[str], bool] = lambda source: False
) -> tuple[list[Entry], list[Exclusion]]:
    """Drop repeated rows, samples with two labels, vertebrae that nothing tells apart, and files of two patients.

    Parameters
    ----------
    entries
        In the order of the table.
    is_series
        Whether a source shows a whole series, which has several vertebrae, and not one image.

    Returns
    -------
    The entries that are left, and an exclusion for each of the others.
    """
    by_key: dict[tuple, list[Entry]] = defaultdict(list)
    # one folder may hold series of several patients
    patients: dict[tuple[str, Optional[str]], set[str]] = defaultdict(set)
    for entry in entries:
        by_key[entry.key].append(entry)
        patients[entry.view.source, entry.view.series] |= {entry.patient} - {None}
    kept: list[Entry] = []
    dropped: list[Exclusion] = []
    for entry in entries:
        given_to = patients[entry.view.source, entry.view.series]
        finding = _conflict(entry, same=by_key[entry.key], patients=given_to, is_series=is_series)
        if finding is None:
            kept.append(entry)
        else:
            dropped.append(Exclusion(entry.view.source, finding[0], f"row {entry.line}: {finding[1]}"))
    return kept, dropped


def _conflict(
    entry: Entry, *, same: Sequence[Entry], patients: set[str], is_series: Callable[[str], bool]
) -> Optional[tuple[Reason, str]]:
    if len(patients) > 1:
        return Reason.PATIENT_CONFLICT, f"the file is given to {len(patients)} patients"
    if _are_vertebrae(same, is_series=is_series):
        rows = ", ".join(str(other.line) for other in same)
        what = "series" if is_series(entry.view.source) else "image"
        return Reason.NO_CENTER, f"several vertebrae of one {what} cannot be told apart (rows {rows})"
    found = sorted({other.label for other in same})
    if len(found) > 1:
        return Reason.LABEL_CONFLICT, f"the same image has the labels {', '.join(found)}"
    if entry is not same[0]:
        return Reason.DUPLICATE_ROW, f"repeats row {same[0].line}"
    return None


def _are_vertebrae(same: Sequence[Entry], *, is_series: Callable[[str], bool]) -> bool:
    """Whether rows without a place mean different vertebrae: by their levels, or by their labels in a series."""
    first = same[0]
    if len(same) == 1 or any(place is not None for place in (first.view.center, first.view.slice_index, first.box)):
        return False
    levels = {other.level and other.level.casefold() for other in same}
    if len(levels - {None}) > 1:
        return True
    return None in levels and len({other.label for other in same}) > 1 and is_series(first.view.source)
