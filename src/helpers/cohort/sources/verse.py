"""VerSe: NIfTI volumes with centroid files, labelled by the published Genant table. Genant crush is not burst.

Every released layout is read, since volumes and centroid files are found by their names: `rawdata` and `derivatives`
of VerSe'19 and VerSe'20, and the flat folders of the MICCAI challenges. Volumes from elsewhere take a labels table
with a column `file`, as DICOM files do.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from helpers.cohort.exclusions import Exclusion, NotUsable, Reason
from helpers.cohort.files.nifti import is_nifti, read_nifti
from helpers.cohort.files.storage import list_files
from helpers.cohort.files.volumes import cut_plane
from helpers.cohort.labels.centroids import center_mm
from helpers.cohort.labels.entries import Entry, Labelled, class_key, without_conflicts
from helpers.cohort.labels.genant import GRADED_LEVELS, Grading, gradings, written_label
from helpers.cohort.labels.labels_table import labelled_table
from helpers.cohort.labels.text_table import read_text_table
from helpers.cohort.picture import Picture, View
from helpers.cohort.sources.verse_scans import COMPANION, Scans
from helpers.study import CohortParams


@dataclass(frozen=True)
class Verse:
    """Volumes under `rawdata`, centroids under `derivatives`; one sample per graded vertebra."""

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams

    def files(self) -> list[str]:
        """Every file but the labels table, and the masks, centroids and previews of volumes."""
        return [file for file in self._all_files() if not COMPANION.search(file)]

    def labelled(self) -> Labelled:
        """Read the Genant table, or a table with a column `file`.

        Of the Genant table every vertebra with a grade or a shape is a row. The key of `label_values` is its shape and
        grade (`wedge2`), where that is mapped, or its shape (`none`, `wedge`, `biconcave`, `crush`).
        """
        table = read_text_table(self.labels)
        if self.params.columns.get("file", "file") in table.columns:
            needed = ("file", "PatientID", "label")
            return labelled_table(self.labels, needed=needed, params=self.params, exists=self._exists)
        graded = gradings(table, path=self.labels)
        scans = Scans(self.folder, self._all_files())
        entries: list[Entry] = []
        exclusions: list[Exclusion] = []
        for grading in graded:
            try:
                entries.append(self._entry(grading, scans))
            except NotUsable as finding:
                exclusions.append(_exclusion(grading, finding, file=_file(grading.scan, scans)))
        entries, conflicts = without_conflicts(entries)
        rows = [(_file(grading.scan, scans), grading.patient) for grading in graded]
        return Labelled(entries, [*exclusions, *conflicts, *_ungraded(graded, scans)], rows)

    def read(self, view: View) -> Picture:
        """Cut a plane of a volume; a NIfTI header says nothing about patient or scanner."""
        image = cut_plane(read_nifti(self.folder / view.source), view, params=self.params)
        return Picture(
            pixels=image.pixels,
            spacing_mm=image.spacing_mm,
            header={"PatientOrientation": image.orientation, "obliquity_deg": image.obliquity_deg},
            center_px=image.center_px,
        )

    def unnamed(self, file: str) -> Reason:
        """Tell volumes without a label from files that are no volume."""
        return Reason.UNLABELLED_FILE if is_nifti(file) else Reason.NOT_NIFTI

    def _all_files(self) -> list[str]:
        return list_files(self.folder, without=(self.labels,))

    def _exists(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _entry(self, grading: Grading, scans: Scans) -> Entry:
        file = scans.volume(grading.scan)
        label = class_key(written_label(grading, label_values=self.params.label_values), self.params)
        scan = scans.scan(grading.scan)
        center = center_mm(scan.centroids, grading.level, grid=scan.grid)
        series = {"SeriesInstanceUID": f"verse{grading.scan}"}
        return Entry(
            line=grading.line,
            view=View(file, center=center, center_unit="mm"),
            patient=grading.patient,
            label=label,
            level=grading.level,
            facts={**grading.facts, **series, "grade": grading.grade},
        )


def _file(scan: str, scans: Scans) -> Optional[str]:
    try:
        return scans.volume(scan)
    except NotUsable:
        return None


def _exclusion(grading: Grading, finding: NotUsable, *, file: Optional[str]) -> Exclusion:
    detail = f"row {grading.line}, {grading.level or 'no level'}: {finding.detail}"
    return Exclusion(file or grading.patient, finding.reason, detail)


def _ungraded(graded: Sequence[Grading], scans: Scans) -> Iterator[Exclusion]:
    """Vertebrae whose centre is known though the table leaves them blank: cut off by the edge of the volume."""
    levels: dict[str, set[str]] = defaultdict(set)
    for grading in graded:
        levels[grading.scan].add(grading.level)
    for key, known in levels.items():
        try:
            places, file = scans.scan(key).centroids.places, scans.volume(key)
        except NotUsable:
            continue  # told for each of its graded vertebrae
        for level in sorted((set(places) & set(GRADED_LEVELS)) - known):
            detail = f"{level} has a centre but no grade in the table: not wholly in the volume"
            yield Exclusion(file, Reason.MISSING_LABEL, detail)
