"""A tree of DICOM files at any depth; a row of the labels table names one image file, or a folder with one series."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from helpers.cohort.dicom import has_dicom_preamble, read_ct
from helpers.cohort.exclusions import Reason
from helpers.cohort.labels import Labelled, labelled_table
from helpers.cohort.picture import Picture, View
from helpers.cohort.series import read_series
from helpers.cohort.storage import list_files
from helpers.study import CohortParams


@dataclass(frozen=True)
class DicomTree:
    """DICOM files at any depth; a row names one image file, or a folder that holds one series."""

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams
    notes: tuple[Path, ...] = ()

    def files(self) -> list[str]:
        """Every file but the labels table and the notes."""
        return list_files(self.folder, without=(self.labels, *self.notes))

    def labelled(self) -> Labelled:
        """Read the labels table."""
        return labelled_table(self.labels, needed=("file", "label"), params=self.params, exists=self._exists)

    def read(self, view: View) -> Picture:
        """Read one CT image as stored, or a plane of a series."""
        path = self.folder / view.source
        return read_series(path, view=view, params=self.params) if path.is_dir() else read_ct(path)

    def unnamed(self, file: str) -> Reason:
        """Tell files that are no DICOM, or not even readable, from DICOM files without a label."""
        try:
            return Reason.UNLABELLED_FILE if has_dicom_preamble(self.folder / file) else Reason.NOT_DICOM
        except OSError:
            return Reason.UNREADABLE_DICOM

    def _exists(self, name: str) -> bool:
        return (self.folder / name).exists()
