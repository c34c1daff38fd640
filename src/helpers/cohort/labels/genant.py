"""The table of VerSe: shape and Genant grade of each vertebra of each scan, one row per scan or one per vertebra.

Shapes are none, wedge, biconcave and crush (codes 0 to 3); grades 0 to 3 are the loss of height by Genant et al.
(doi 10.1002/jbmr.5650080915): none, mild, moderate, severe. Crush means that the posterior height is lost. It is not a
burst fracture, which is told by its broken posterior wall: no label of VerSe is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import pandas as pd

from helpers.cohort.exclusions import CohortError, NotUsable, Reason
from helpers.cohort.labels.text_table import FIRST_DATA_LINE, nearest
from helpers.study.paths import short_path

SHAPES = {"0": "none", "1": "wedge", "2": "biconcave", "3": "crush"}
GRADES = ("0", "1", "2", "3")
GRADED_LEVELS = (*(f"T{number}" for number in range(1, 13)), *(f"L{number}" for number in range(1, 7)))
FOREIGN = "x"
GRADE_ENDING, SHAPE_ENDING = "_fx-g", "_fx-s"
LONG_COLUMNS = ("verse_ID", "subject_ID", "level", "genant_grade", "shape")
WIDE_COLUMNS = ("verse_ID", "subject_ID")
SPLIT_COLUMNS = ("split", "dataset")
# Sheet `info` of the published table.
DEVICES = {
    "1": ("Philips", "Brilliance 64"),
    "2": ("Philips", "iCT"),
    "3": ("Philips", "IQon"),
    "4": ("Siemens", "Somatom Definition AS+"),
    "5": ("Siemens", "Somatom Definition AS"),
}


@dataclass(frozen=True)
class Grading:
    """What the table says about one vertebra of one scan.

    Attributes
    ----------
    line
        Line of the table.
    scan
        As `scan_key` gives it.
    patient
        As the folders of VerSe call the subject, for example ``sub-verse401``, who may have several scans.
    level
        For example ``L1``.
    grade, shape
        As written; None where the cell is empty.
    facts
        By column of the cohort table: age, split and scanner, as far as the table has them.
    """

    line: int
    scan: str
    patient: str
    level: str
    grade: Optional[str]
    shape: Optional[str]
    facts: Mapping[str, str] = field(default_factory=dict)


def scan_key(name: str) -> str:
    """The number of a scan, however it is written: `4`, `004`, `verse004` and `sub-verse004` are one."""
    return name.lower().removeprefix("sub-").removeprefix("verse").lstrip("0") or "0"


def gradings(table: pd.DataFrame, *, path: Path) -> list[Grading]:
    """Turn the table into gradings, in its order; vertebrae of which neither grade nor shape is given are left out.

    Parameters
    ----------
    table
        As `read_text_table` gives it: the published Excel table (one row per scan, columns `T1_fx-g` to `L6_fx-s`), or
        one row per vertebra with the columns of `LONG_COLUMNS`.
    path
        For messages.

    Raises
    ------
    CohortError
        If it is neither.
    """
    wide = [column for column in table.columns if column.endswith(GRADE_ENDING)]
    _check_columns(table, needed=WIDE_COLUMNS if wide else LONG_COLUMNS, path=path)
    found: list[Grading] = []
    for line, row in zip(table.index + FIRST_DATA_LINE, table.to_dict("records"), strict=True):
        levels = [column.removesuffix(GRADE_ENDING) for column in wide] or [row["level"]]
        for level in levels:
            grade, shape = _cells(row, level=level if wide else None)
            if grade is not None or shape is not None or not wide:
                found.append(_grading(row, line=int(line), level=level, grade=grade, shape=shape))
    return found


def _check_columns(table: pd.DataFrame, *, needed: tuple[str, ...], path: Path) -> None:
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise CohortError(
            f"{short_path(path)}: no column {missing[0]!r}{nearest(missing[0], table.columns)}; source `verse` takes "
            f"the published table (verse_ID, subject_ID, T1{GRADE_ENDING} to L6{SHAPE_ENDING}), a table with columns "
            f"{', '.join(LONG_COLUMNS)}, or one with a column `file`"
        )


def _cells(row: Mapping[str, Any], *, level: Optional[str]) -> tuple[Optional[str], Optional[str]]:
    """Grade and shape as written; 0.0 is 0."""
    names = ("genant_grade", "shape") if level is None else (f"{level}{GRADE_ENDING}", f"{level}{SHAPE_ENDING}")
    cells = [row.get(name) for name in names]
    grade, shape = (cell if cell is None else cell.lower().removesuffix(".0") for cell in cells)
    return grade, shape


def _grading(
    row: Mapping[str, Any], *, line: int, level: Optional[str], grade: Optional[str], shape: Optional[str]
) -> Grading:
    subject = row["subject_ID"] or row["verse_ID"]
    return Grading(
        line=line,
        scan=scan_key(row["verse_ID"] or ""),
        patient=f"sub-{_subject(subject or '')}",
        level=(level or "").upper(),
        grade=grade,
        shape=shape,
        facts=_facts(row),
    )


def _subject(name: str) -> str:
    """The name of a subject's folder, less `sub-`."""
    name = name.removeprefix("sub-")
    return f"verse{int(name):03d}" if re.fullmatch(r"[0-9]+", name) else name


def _facts(row: Mapping[str, Any]) -> dict[str, str]:
    facts = {"split": next((row[name] for name in SPLIT_COLUMNS if row.get(name)), None)}
    age = re.fullmatch(r"([0-9]{1,3})(\.[0-9]+)?", row.get("age_ct") or "")
    if age:
        facts["PatientAge"] = f"{int(age[1]):03d}Y"  # as DICOM writes an age (PS3.5 6.2, AS)
    if row.get("CT_device") in DEVICES:
        facts["Manufacturer"], facts["ManufacturerModelName"] = DEVICES[row["CT_device"]]
    return {name: value for name, value in facts.items() if value is not None}


def shape_word(grading: Grading) -> str:
    """The shape as a word: none, wedge, biconcave or crush.

    Raises
    ------
    NotUsable
        If the vertebra is not graded, holds foreign material, or grade and shape contradict each other.
    """
    written = f"grade {grading.grade or '(empty)'}, shape {grading.shape or '(empty)'}"
    if FOREIGN in (grading.grade, grading.shape):
        raise NotUsable(Reason.FOREIGN_MATERIAL, f"{grading.level}: {written}")
    if grading.grade is None or grading.shape is None:
        raise NotUsable(Reason.MISSING_LABEL, f"{grading.level}: {written}; not graded, or not wholly in the volume")
    word = SHAPES.get(grading.shape, grading.shape)
    if word not in SHAPES.values() or grading.grade not in GRADES:
        raise NotUsable(Reason.UNKNOWN_LABEL, f"{grading.level}: {written}; codes run from 0 to 3")
    if (grading.grade == "0") != (word == "none"):
        raise NotUsable(Reason.CONTRADICTORY_GRADE, f"{grading.level}: {written}")
    return word


def written_label(grading: Grading, *, label_values: Mapping[str, str]) -> str:
    """What `label_values` is asked for: shape and grade as `wedge2` where that is mapped, else the shape.

    Raises
    ------
    NotUsable
        As `shape_word`.
    """
    word = shape_word(grading)
    graded = f"{word}{grading.grade}"
    return graded if graded in label_values else word
