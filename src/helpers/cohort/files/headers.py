"""What the header alone says about where an image belongs: read from many files in one pass, without their pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Optional

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.dicom import CT_CLASSES, HEAD_BYTES, is_dicom_head, pixel_spacing
from helpers.cohort.files.elements import frame_count, numbers, text, texts, whole
from helpers.cohort.files.storage import Storage
from helpers.cohort.workers import share_out

KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesInstanceUID",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
)
# Starting a process takes about as long as reading some thousand headers.
FILES_WORTH_WORKERS = 20_000
CHUNK_FILES = 500
NAMES_OF_INDEX = ("DICOMDIR",)


@dataclass(frozen=True)
class SliceHeader:
    """Identity and geometry of one image, or of one frame of a multi-frame image.

    Attributes
    ----------
    file
        As `Storage` names it.
    series, instance
        SeriesInstanceUID and SOPInstanceUID.
    is_ct, is_localizer
        By Modality (or SOPClassUID where there is none) and by ImageType.
    n_frames
        Frames in the file.
    shape
        (Rows, Columns), None without pixels.
    position, orientation, spacing_mm
        ImagePositionPatient, ImageOrientationPatient and PixelSpacing, None where missing or malformed.
    frame
        Number of the frame in a multi-frame file, from 0.
    """

    file: str
    series: Optional[str]
    instance: Optional[str]
    is_ct: bool
    is_localizer: bool
    n_frames: int
    shape: Optional[tuple[int, int]]
    position: Optional[tuple[float, ...]]
    orientation: Optional[tuple[float, ...]]
    spacing_mm: Optional[tuple[float, float]]
    frame: int = 0


def is_index(file: str) -> bool:
    """Whether a file is called like the index of a DICOM medium (PS3.10 section 8.6)."""
    return file.rpartition("/")[2].upper() in NAMES_OF_INDEX


def scan_headers(storage: Storage, files: Sequence[str], *, workers: int = 1) -> Iterator[SliceHeader | NotUsable]:
    """Read the headers of many files, in the order given; memory does not depend on their pixels.

    Parameters
    ----------
    storage
        Where the files lie.
    files
        Names in `storage`.
    workers
        Processes that share the work where there are many files.
    """
    chunks = [files[start : start + CHUNK_FILES] for start in range(0, len(files), CHUNK_FILES)]
    processes = workers if len(files) >= FILES_WORTH_WORKERS else 1
    yield from share_out(partial(read_header, storage), chunks, workers=processes)


def read_header(storage: Storage, file: str) -> SliceHeader | NotUsable:
    """The header of one file, or why it has none."""
    try:
        with refusing(Reason.UNREADABLE_DICOM, name=file), storage.open(file) as stream:
            if is_index(file):
                raise NotUsable(Reason.INDEX_FILE, f"{file} lists other files")
            if not is_dicom_head(stream.read(HEAD_BYTES)):
                raise NotUsable(Reason.NOT_DICOM, f"{file}: no DICM prefix")
            stream.seek(0)
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(KEYWORDS))
            return slice_header(dataset, file=file)
    except NotUsable as finding:
        return finding


def slice_header(dataset: Dataset, *, file: str) -> SliceHeader:
    """Identity and geometry of a single-frame image.

    Raises
    ------
    NotUsable
        If the file says neither what it is nor how it was made.
    """
    modality, kind = text(dataset, "Modality"), text(dataset, "SOPClassUID")
    if "Modality" not in dataset and "SOPClassUID" not in dataset:
        raise NotUsable(Reason.NOT_DICOM, f"{file}: neither SOPClassUID nor Modality")
    sized = "Rows" in dataset and "Columns" in dataset
    return SliceHeader(
        file=file,
        series=text(dataset, "SeriesInstanceUID"),
        instance=text(dataset, "SOPInstanceUID"),
        is_ct=modality == "CT" or (not modality and kind in CT_CLASSES),
        is_localizer="LOCALIZER" in texts(dataset, "ImageType"),
        n_frames=frame_count(dataset),
        shape=(int(whole(dataset, "Rows")), int(whole(dataset, "Columns"))) if sized else None,
        position=numbers(dataset, "ImagePositionPatient", count=3),
        orientation=numbers(dataset, "ImageOrientationPatient", count=6),
        spacing_mm=pixel_spacing(dataset),
    )


def normal(orientation: Sequence[float]) -> np.ndarray:
    """Unit vector at right angles to rows and columns, right-handed: towards the head for axial slices, supine."""
    cross = np.cross(orientation[:3], orientation[3:])
    return cross / np.linalg.norm(cross)
