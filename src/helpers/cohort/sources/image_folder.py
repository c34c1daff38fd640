"""A folder of image files at any depth; a row of the labels table names one file and its patient."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from helpers.cohort.exclusions import Reason
from helpers.cohort.images import IMAGE_SUFFIXES, read_image
from helpers.cohort.labels import Labelled, labelled_table
from helpers.cohort.picture import Picture, View
from helpers.cohort.storage import list_files
from helpers.study import CohortParams


@dataclass(frozen=True)
class ImageFolder:
    """PNG, JPEG or TIFF files at any depth; a row names one file and its patient, since images have no header."""

    no_spacing: ClassVar[Reason] = Reason.NO_MM_PER_PX
    folder: Path
    labels: Optional[Path]
    params: CohortParams

    def files(self) -> list[str]:
        """Every file but the labels table."""
        return list_files(self.folder, without=(self.labels,))

    def labelled(self) -> Labelled:
        """Read the labels table."""
        needed = ("file", "PatientID", "label")
        return labelled_table(self.labels, needed=needed, params=self.params, exists=self._exists)

    def read(self, view: View) -> Picture:
        """Read one image file."""
        return read_image(self.folder / view.source, rescale_intercept=view.rescale_intercept)

    def unnamed(self, file: str) -> Reason:
        """Tell other files from images without a label."""
        return Reason.UNLABELLED_FILE if Path(file).suffix.lower() in IMAGE_SUFFIXES else Reason.NOT_IMAGE

    def _exists(self, name: str) -> bool:
        return (self.folder / name).exists()
