"""Where a cohort's pictures come from: a DICOM tree or a folder of image files, behind one protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional, Protocol

from helpers.cohort.dicom import has_dicom_preamble, read_ct
from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.images import IMAGE_SUFFIXES, read_image
from helpers.cohort.picture import Picture, View
from helpers.cohort.series import read_series
from helpers.phantom import PhantomSpec, simulate_cohort
from helpers.study import CohortParams
from helpers.study.paths import project_file, short_path

Report = Callable[[int, int], None]
PHANTOM_LABELS = "labels.csv"
PHANTOM_NOTES = ("truth.csv", "phantom.json")


class Source(Protocol):
    """What the reading of a cohort asks of a kind of source.

    Attributes
    ----------
    needed_columns
        Study columns without which its labels table is of no use.
    no_spacing
        Reason for a picture whose pixel size nobody gives.
    folder, labels
        Where the pictures and the labels table lie.
    notes
        Files in the folder that are neither pictures nor left over, such as the simulation's own records.
    """

    needed_columns: ClassVar[tuple[str, ...]]
    no_spacing: ClassVar[Reason]
    folder: Path
    labels: Path
    notes: tuple[Path, ...]

    def read(self, view: View) -> Picture:
        """Decode one picture, or raise `NotUsable`."""
        ...

    def unnamed(self, path: Path) -> Reason:
        """Why a file that no row names is not used."""
        ...


@dataclass(frozen=True)
class DicomTree:
    """DICOM files at any depth; a row names one image file, or a folder that holds one series."""

    needed_columns: ClassVar[tuple[str, ...]] = ("file", "label")
    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Path
    notes: tuple[Path, ...] = ()

    def read(self, view: View) -> Picture:
        """Read one CT image as stored, or the sagittal plane of a series."""
        path = self.folder / view.source
        return read_series(path, slice_index=view.slice_index) if path.is_dir() else read_ct(path)

    def unnamed(self, path: Path) -> Reason:
        """Tell files that are no DICOM, or not even readable, from DICOM files without a label."""
        try:
            return Reason.UNLABELLED_FILE if has_dicom_preamble(path) else Reason.NOT_DICOM
        except OSError:
            return Reason.UNREADABLE_DICOM


@dataclass(frozen=True)
class ImageFolder:
    """PNG, JPEG or TIFF files at any depth; a row names one file and its patient, since images have no header."""

    needed_columns: ClassVar[tuple[str, ...]] = ("file", "PatientID", "label")
    no_spacing: ClassVar[Reason] = Reason.NO_MM_PER_PX
    folder: Path
    labels: Path
    notes: tuple[Path, ...] = ()

    def read(self, view: View) -> Picture:
        """Read one image file."""
        return read_image(self.folder / view.source, rescale_intercept=view.rescale_intercept)

    def unnamed(self, path: Path) -> Reason:
        """Tell other files from images without a label."""
        return Reason.UNLABELLED_FILE if path.suffix.lower() in IMAGE_SUFFIXES else Reason.NOT_IMAGE


def open_source(params: CohortParams, *, report: Optional[Report] = None) -> Source:
    """Find the cohort that the parameters name; simulate it first if it is the simulated one and not there yet.

    Raises
    ------
    CohortError
        If the folder or the labels table is missing.
    """
    folder = project_file(params.folder)
    if params.source == "phantom":
        spec = PhantomSpec(
            images=dict(params.phantom_images), patients=params.phantom_patients, seed=params.phantom_seed
        )
        folder = simulate_cohort(spec, folder, report=report)
        return DicomTree(folder, folder / PHANTOM_LABELS, notes=tuple(folder / name for name in PHANTOM_NOTES))
    if not folder.is_dir():
        raise CohortError(f"{short_path(folder)}: no such folder; correct cohort.folder")
    labels = project_file(params.labels)
    if not labels.is_file():
        raise CohortError(f"{short_path(labels)}: no such labels table; correct cohort.labels")
    return {"dicom": DicomTree, "images": ImageFolder}[params.source](folder, labels)
