"""RSNA 2022 cervical spine fractures: axial DICOM slices, a table by study and boxes by slice.

The folder is the one of the challenge: `train.csv` (a row per study, 0 or 1 for the patient and for C1 to C7),
`train_bounding_boxes.csv` (a row per box) and `train_images/<StudyInstanceUID>/<n>.dcm`, n being the slice number. A
box marks any fracture of a cervical vertebra: neither compression nor burst is told apart.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Optional

import pandas as pd

from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable, Reason
from helpers.cohort.files.dicom import read_ct
from helpers.cohort.files.storage import list_files
from helpers.cohort.labels.entries import Box, Entry, Labelled, class_key
from helpers.cohort.labels.text_table import FIRST_DATA_LINE, nearest, read_text_table
from helpers.cohort.picture import Picture, View
from helpers.study import CohortParams
from helpers.study.paths import short_path

STUDY_TABLE, BOX_TABLE, IMAGES = "train.csv", "train_bounding_boxes.csv", "train_images"
STUDY_COLUMNS = ("StudyInstanceUID", "patient_overall")
BOX_COLUMNS = ("StudyInstanceUID", "x", "y", "width", "height", "slice_number")
LEVELS = tuple(f"C{number}" for number in range(1, 8))
FRACTURE, NORMAL = "fracture", "normal"
# A study has some 300 slices, each almost like the next: many add time, not knowledge. Seven, as many as there are
# cervical vertebrae, show each region of the neck about once.
NORMAL_SLICES = 7

Row = Mapping[str, Optional[str]]
Numbered = tuple[int, Row]


@dataclass(frozen=True)
class Rsna:
    """One sample per slice: a fracture where a box lies on it, normal from studies without any fracture.

    The patient is the study: the release has one study of each patient, and no other name for them. Slices of a
    fractured study without a box are not used, since boxes were not drawn on all slices with a fracture, and of a
    normal study only `NORMAL_SLICES`, evenly spaced. A normal slice has no box: its centre is that of the image.
    """

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams

    def files(self) -> list[str]:
        """Every file but the two tables."""
        return list_files(self.folder, without=(self._study_table, self._box_table))

    def labelled(self) -> Labelled:
        """Read both tables; `label_values` is asked for `fracture` and `normal`."""
        boxes: dict[Optional[str], list[Numbered]] = defaultdict(list)
        for line, row in _rows(self._box_table, needed=BOX_COLUMNS):
            boxes[row["StudyInstanceUID"]].append((line, row))
        found: list[tuple[Optional[str], Entry | Exclusion]] = []
        for study, rows in self._studies.items():
            found += [(study, item) for item in self._study(study, rows, boxes.pop(study, []))]
        found += [(study, item) for study, rows in boxes.items() for item in _without_study(study, rows)]
        entries = [item for _, item in found if isinstance(item, Entry)]
        exclusions = [item for _, item in found if isinstance(item, Exclusion)]
        return Labelled(entries, exclusions, [(_file(item), study) for study, item in found])

    def read(self, view: View) -> Picture:
        """Read one slice; the release has lost the Modality of many files, and holds nothing but CT."""
        if self.params.n_planes > 1:
            raise NotUsable(Reason.NOT_A_VOLUME, f"{view.source}: a single slice has no neighbouring planes")
        return read_ct(self.folder / view.source, modality_required=False)

    def unnamed(self, file: str) -> Reason:
        """Tell slices that were not chosen from slices of unknown studies and from files that are no slice."""
        path = PurePosixPath(file)
        if path.suffix.lower() != ".dcm":
            return Reason.NOT_DICOM
        chosen_from = path.parts[0] == IMAGES and path.parent.name in self._studies
        return Reason.SLICE_NOT_SAMPLED if chosen_from else Reason.UNLABELLED_FILE

    @property
    def _study_table(self) -> Path:
        return self.labels or self.folder / STUDY_TABLE

    @property
    def _box_table(self) -> Path:
        return self._study_table.with_name(BOX_TABLE)

    @cached_property
    def _studies(self) -> dict[Optional[str], list[Numbered]]:
        studies: dict[Optional[str], list[Numbered]] = defaultdict(list)
        for line, row in _rows(self._study_table, needed=STUDY_COLUMNS):
            studies[row["StudyInstanceUID"]].append((line, row))
        return dict(studies)

    def _study(self, study: Optional[str], rows: Sequence[Numbered], boxes: Sequence[Numbered]) -> Iterator:
        """Samples of one study, or why there are none."""
        line, row = rows[0]
        try:
            fractured = _is_fractured(study, rows, boxes=boxes)
            label = class_key(FRACTURE if fractured else NORMAL, self.params)
            normal = [] if fractured else evenly_spaced(self._numbers(study), count=NORMAL_SLICES)
        except NotUsable as finding:
            yield Exclusion(_folder(study), finding.reason, f"{STUDY_TABLE} row {line}: {finding.detail}")
            return
        for again, _ in rows[1:]:
            yield Exclusion(_folder(study), Reason.DUPLICATE_ROW, f"{STUDY_TABLE} row {again}: repeats row {line}")
        for number in normal:
            yield _entry(study, number, line=line, label=label)
        if fractured:
            yield from self._fractures(study, boxes, label=label, level=_only_level(row))

    def _numbers(self, study: str) -> list[int]:
        """Numbers of the slices that are there."""
        names = [path.stem for path in (self.folder / IMAGES / study).glob("*.dcm")]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        if not numbers:
            raise NotUsable(Reason.FILE_MISSING, f"no slice in {_folder(study)}")
        return numbers

    def _fractures(
        self, study: str, boxes: Sequence[Numbered], *, label: str, level: Optional[str]
    ) -> Iterator[Entry | Exclusion]:
        """One sample for the largest box of each slice; the slice of two fractures is one image."""
        best: dict[int, tuple[Box, int]] = {}
        parsed: list[tuple[int, int, Box]] = []
        for line, row in boxes:
            try:
                number, box = self._box(study, row)
            except NotUsable as finding:
                yield Exclusion(_folder(study), finding.reason, f"{BOX_TABLE} row {line}: {finding.detail}")
                continue
            parsed.append((line, number, box))
            if number not in best or _area(box) > _area(best[number][0]):
                best[number] = box, line
        for line, number, box in parsed:
            if best[number][1] == line:
                yield _entry(study, number, line=line, label=label, box=box, level=level)
            else:
                detail = f"{BOX_TABLE} row {line}: a larger box of the same slice is in row {best[number][1]}"
                yield Exclusion(_slice(study, number), Reason.DUPLICATE_ROW, detail)

    def _box(self, study: str, row: Row) -> tuple[int, Box]:
        x, y, width, height, number = (_number(row, column) for column in BOX_COLUMNS[1:])
        if not (width > 0 and height > 0):
            raise NotUsable(Reason.BAD_BOX, f"a box of {width:g} x {height:g} pixels")
        if number != int(number):
            raise NotUsable(Reason.BAD_NUMBER, f"slice_number {number:g} is not a whole number")
        if not (self.folder / _slice(study, int(number))).is_file():
            raise NotUsable(Reason.FILE_MISSING, f"{_slice(study, int(number))} does not exist")
        return int(number), (x, y, x + width, y + height)


def evenly_spaced(numbers: Sequence[int], *, count: int) -> list[int]:
    """At most `count` of the numbers: the middle one of each of `count` stretches of equal length."""
    if len(numbers) <= count:
        return list(numbers)
    return [numbers[(2 * part + 1) * len(numbers) // (2 * count)] for part in range(count)]


def _rows(path: Path, *, needed: Sequence[str]) -> list[Numbered]:
    table: pd.DataFrame = read_text_table(path)
    for column in needed:
        if column not in table.columns:
            known = nearest(column, table.columns)
            raise CohortError(f"{short_path(path)}: no column {column!r}{known}; use the table as it was published")
    return list(zip((table.index + FIRST_DATA_LINE).tolist(), table.to_dict("records"), strict=True))


def _is_fractured(study: Optional[str], rows: Sequence[Numbered], *, boxes: Sequence[Numbered]) -> bool:
    """What the table says of a study; `NotUsable` if that is unclear or the boxes contradict it."""
    if study is None or not study.replace(".", "").isalnum():
        raise NotUsable(Reason.FILE_MISSING, f"StudyInstanceUID {study!r} names no folder")
    said = {row["patient_overall"] for _, row in rows}
    if len(said) > 1:
        raise NotUsable(Reason.LABEL_CONFLICT, f"the study has {len(rows)} rows that differ in patient_overall")
    overall = said.pop()
    if overall is None:
        raise NotUsable(Reason.MISSING_LABEL, "patient_overall is empty")
    if overall not in ("0", "1"):
        raise NotUsable(Reason.UNKNOWN_LABEL, f"patient_overall {overall!r} is neither 0 nor 1")
    if overall == "0" and boxes:
        raise NotUsable(Reason.LABEL_CONFLICT, f"patient_overall is 0, and {BOX_TABLE} has {len(boxes)} boxes")
    if overall == "1" and not boxes:
        raise NotUsable(Reason.NO_BOX, "a fracture somewhere, without a box")
    return overall == "1"


def _only_level(row: Row) -> Optional[str]:
    """The fractured vertebra, where there is one: a box does not say to which of several it belongs."""
    levels = [level for level in LEVELS if row.get(level) == "1"]
    return levels[0] if len(levels) == 1 else None


def _without_study(study: Optional[str], rows: Sequence[Numbered]) -> Iterator[Exclusion]:
    for line, _ in rows:
        detail = f"{BOX_TABLE} row {line}: {STUDY_TABLE} has no row of this study"
        yield Exclusion(_folder(study), Reason.MISSING_LABEL, detail)


def _entry(
    study: str, number: int, *, line: int, label: str, box: Optional[Box] = None, level: Optional[str] = None
) -> Entry:
    return Entry(
        line=line,
        view=View(_slice(study, number)),
        patient=study,
        label=label,
        level=level,
        box=box,
        facts={"StudyInstanceUID": study},
    )


def _number(row: Row, column: str) -> float:
    try:
        value = float(row[column] or "nan")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NotUsable(Reason.BAD_NUMBER, f"{column} {row[column]!r} is not a number")
    return value


def _area(box: Box) -> float:
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0)


def _folder(study: Optional[str]) -> str:
    return f"{IMAGES}/{study}"


def _slice(study: str, number: int) -> str:
    return f"{_folder(study)}/{number}.dcm"


def _file(item: Entry | Exclusion) -> Optional[str]:
    """The slice that is meant; a study as a whole names no file."""
    if isinstance(item, Entry):
        return item.view.source
    return item.source if item.source.endswith(".dcm") else None
