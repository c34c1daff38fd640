"""Why a file or a row of the labels table is not used: enumerated reasons, each with its remedy.

Nothing is skipped in silence. A reader that meets an input it cannot use raises `NotUsable`; whoever reads the cohort
turns that into an `Exclusion`. What makes the whole cohort impossible is a `CohortError`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from helpers.study.errors import StudyError
from helpers.study.spreadsheets import without_formulas
from helpers.study.terminal import visible

MESSAGE_LENGTH = 200


class CohortError(StudyError, ValueError):
    """A cohort that cannot be used at all; the message names the file, the field and the way out."""


class Reason(StrEnum):
    """Why something was left out. The value is what `exclusions.parquet` holds."""

    UNLABELLED_FILE = "unlabelled_file"
    DUPLICATE_FILE = "duplicate_file"
    INDEX_FILE = "index_file"
    NOT_DICOM = "not_dicom"
    NOT_IMAGE = "not_image"
    FILE_MISSING = "file_missing"
    PATH_ESCAPES_FOLDER = "path_escapes_folder"
    UNREADABLE_ARCHIVE = "unreadable_archive"
    ENCRYPTED_ARCHIVE = "encrypted_archive"
    ARCHIVE_TOO_LARGE = "archive_too_large"
    MISSING_LABEL = "missing_label"
    UNKNOWN_LABEL = "unknown_label"
    BAD_NUMBER = "bad_number"
    BAD_BOX = "bad_box"
    DUPLICATE_ROW = "duplicate_row"
    LABEL_CONFLICT = "label_conflict"
    NO_CENTER = "no_center"
    READERS_DISAGREE = "readers_disagree"
    PATIENT_CONFLICT = "patient_conflict"
    UNREADABLE_DICOM = "unreadable_dicom"
    CONTRADICTORY_HEADER = "contradictory_header"
    UNSUPPORTED_COMPRESSION = "unsupported_compression"
    DECODER_CRASHED = "decoder_crashed"
    NOT_CT = "not_ct"
    LOCALIZER = "localizer"
    MULTI_FRAME = "multi_frame"
    MISSING_RESCALE = "missing_rescale"
    NOT_HU = "not_hu"
    MISSING_PIXEL_SPACING = "missing_pixel_spacing"
    SEVERAL_SERIES = "several_series"
    OTHER_SERIES = "other_series"
    OTHER_ORIENTATION = "other_orientation"
    DUPLICATE_SLICE = "duplicate_slice"
    MISSING_SLICES = "missing_slices"
    TILTED_GANTRY = "tilted_gantry"
    OBLIQUE_VOLUME = "oblique_volume"
    IRREGULAR_SERIES = "irregular_series"
    NOT_A_VOLUME = "not_a_volume"
    PLANE_OUTSIDE_VOLUME = "plane_outside_volume"
    CENTER_OUTSIDE_VOLUME = "center_outside_volume"
    NOT_NIFTI = "not_nifti"
    UNREADABLE_NIFTI = "unreadable_nifti"
    NO_SCALAR_VOLUME = "no_scalar_volume"
    VOLUME_TOO_LARGE = "volume_too_large"
    BAD_GEOMETRY = "bad_geometry"
    SEVERAL_VOLUMES = "several_volumes"
    NO_CENTROID = "no_centroid"
    UNREADABLE_CENTROIDS = "unreadable_centroids"
    FOREIGN_MATERIAL = "foreign_material"
    CONTRADICTORY_GRADE = "contradictory_grade"
    NO_BOX = "no_box"
    SLICE_NOT_SAMPLED = "slice_not_sampled"
    UNREADABLE_IMAGE = "unreadable_image"
    IMAGE_TOO_LARGE = "image_too_large"
    COLOUR_IMAGE = "colour_image"
    DEEP_COLOUR_IMAGE = "deep_colour_image"
    TRANSPARENT_IMAGE = "transparent_image"
    NO_MM_PER_PX = "no_mm_per_px"
    BOX_OUTSIDE_IMAGE = "box_outside_image"
    MISSING_PATIENT = "missing_patient"
    MIXED_BITS = "mixed_bits"
    NAME_NOT_TEXT = "name_not_text"


REMEDIES = {
    Reason.UNLABELLED_FILE: "Add a row for this file to the labels table, or leave it out knowingly.",
    Reason.DUPLICATE_FILE: "None needed: a copy of an image that a row names, with the same SOPInstanceUID and place.",
    Reason.INDEX_FILE: "Nothing to do: a DICOMDIR lists other files and holds no image.",
    Reason.NOT_DICOM: "Remove the file from the folder, or export it again as DICOM with its 128-byte preamble.",
    Reason.NOT_IMAGE: "Convert it to PNG, JPEG, TIFF or WebP, or read DICOM files with `source: dicom`.",
    Reason.FILE_MISSING: "Correct the name in the labels table (relative to cohort.folder), or restore the file.",
    Reason.PATH_ESCAPES_FOLDER: "Name files relative to cohort.folder, without `..` and without a leading slash.",
    Reason.UNREADABLE_ARCHIVE: "Make the zip archive again, or unpack it: it is damaged or packed in an unusual way.",
    Reason.ENCRYPTED_ARCHIVE: "Unpack the archive with its password, or pack it without one.",
    Reason.ARCHIVE_TOO_LARGE: "Unpack the archive: this member is too large, or packed too tightly, to be an image.",
    Reason.MISSING_LABEL: "Fill in the label, or remove the row.",
    Reason.UNKNOWN_LABEL: "Correct the label, or map it to a class in cohort.label_values.",
    Reason.BAD_NUMBER: "Write a plain number with a decimal point, or leave the cell empty.",
    Reason.BAD_BOX: "Give all of x0, y0, x1, y1 with x0 < x1 and y0 < y1, or none of them.",
    Reason.DUPLICATE_ROW: "Keep one row per image and box.",
    Reason.LABEL_CONFLICT: "Decide which label is right and keep only its row.",
    Reason.NO_CENTER: (
        "Map center_x_mm, center_y_mm, center_z_mm (or slice_index) in cohort.columns; for a single image, x0, y0, x1, "
        "y1."
    ),
    Reason.READERS_DISAGREE: "Let the readers settle it, or choose another rule in cohort.adjudication.",
    Reason.PATIENT_CONFLICT: "Decide which patient the file belongs to and correct the other rows.",
    Reason.UNREADABLE_DICOM: "Copy or export the file again: it is damaged or cut short.",
    Reason.CONTRADICTORY_HEADER: "Export the file again: its header contradicts itself or its pixel data.",
    Reason.UNSUPPORTED_COMPRESSION: "Decompress the file, for example with `dcmdjpeg` or `gdcmconv --raw`.",
    Reason.DECODER_CRASHED: "Copy or export the file again: it brings the decoder down, or holds it for ever.",
    Reason.NOT_CT: "Remove the row: only images with Modality CT are used.",
    Reason.LOCALIZER: "Name the CT image itself: a localizer (scout view) is a projection.",
    Reason.MULTI_FRAME: "Export Enhanced CT with the position of each frame, or one file per slice.",
    Reason.MISSING_RESCALE: (
        "Export with RescaleSlope and RescaleIntercept; for 16-bit image files add the column rescale_intercept."
    ),
    Reason.NOT_HU: "Export the original CT image: this one does not hold Hounsfield units.",
    Reason.MISSING_PIXEL_SPACING: "Export with PixelSpacing, or give mm_per_px in the labels table.",
    Reason.SEVERAL_SERIES: "Add the column SeriesInstanceUID to the labels table, or give each series its own folder.",
    Reason.OTHER_SERIES: "Add a row with its SeriesInstanceUID, or leave the series out knowingly.",
    Reason.OTHER_ORIENTATION: "Nothing to do, if the image does not belong to the stack of parallel slices.",
    Reason.DUPLICATE_SLICE: "Keep one slice per position; copies with equal pixels are left aside without harm.",
    Reason.MISSING_SLICES: "Export the complete series again: slices are missing.",
    Reason.TILTED_GANTRY: "Export a reconstruction without gantry tilt.",
    Reason.OBLIQUE_VOLUME: "Reformat the volume along the axes of the body before it is used.",
    Reason.IRREGULAR_SERIES: "Export the complete series again: slices must be parallel and evenly spaced.",
    Reason.NOT_A_VOLUME: "Set cohort.n_planes to 1, or name the folder of a series: neighbouring planes need a volume.",
    Reason.PLANE_OUTSIDE_VOLUME: "Correct slice_index: planes are counted from 0 at the patient's right side.",
    Reason.CENTER_OUTSIDE_VOLUME: "Correct the centre: in mm of the DICOM patient system, or in voxels from 0.",
    Reason.NOT_NIFTI: "Remove the file, or convert it to NIfTI (.nii or .nii.gz).",
    Reason.UNREADABLE_NIFTI: "Copy or convert the volume again: it is damaged, cut short or no NIfTI of a single file.",
    Reason.NO_SCALAR_VOLUME: "Name a volume with three axes and one number for each voxel.",
    Reason.VOLUME_TOO_LARGE: "Crop the volume to the spine, or correct the sizes in its header.",
    Reason.BAD_GEOMETRY: "Convert the volume again from DICOM, with one spacing in mm and one orientation.",
    Reason.SEVERAL_VOLUMES: "Keep one file for each scan below cohort.folder, for example only one VerSe release.",
    Reason.NO_CENTROID: "Put the centroid file (..._seg-subreg_ctd.json) with this vertebra beside the volume.",
    Reason.UNREADABLE_CENTROIDS: "Download the file again, or write it as VerSe does: direction, then vertebrae.",
    Reason.FOREIGN_MATERIAL: "None needed: a vertebra with cement or screws was not graded.",
    Reason.CONTRADICTORY_GRADE: "Correct grade or shape: both are 0 for a normal vertebra, neither for a fracture.",
    Reason.NO_BOX: "None needed: where the fracture lies is not known without a box.",
    Reason.SLICE_NOT_SAMPLED: "None needed: slices are samples where a box marks a fracture; of normal studies a few.",
    Reason.UNREADABLE_IMAGE: "Copy or export the file again: it is damaged or cut short.",
    Reason.IMAGE_TOO_LARGE: "Cut the image to the spine: so many pixels could exhaust the memory.",
    Reason.COLOUR_IMAGE: "Export a grey image without colour overlay or colour map.",
    Reason.DEEP_COLOUR_IMAGE: "Export as 16-bit grey, or as 8-bit: 16-bit colour would lose its lower half.",
    Reason.TRANSPARENT_IMAGE: "Flatten the image onto black and export it without transparency.",
    Reason.NO_MM_PER_PX: "Fill the column mm_per_px of the labels table, or set cohort.mm_per_px.",
    Reason.BOX_OUTSIDE_IMAGE: "Correct the box: it must lie within the image it refers to.",
    Reason.MISSING_PATIENT: "Fill in PatientID: without it a patient could leak between training and test.",
    Reason.MIXED_BITS: "Keep images in HU and 8-bit images in separate studies: their grey values do not compare.",
    Reason.NAME_NOT_TEXT: "Rename the file or its folder: a name is UTF-8 text without line breaks or tabs.",
}


@dataclass(frozen=True)
class Exclusion:
    """One file or row that is not used.

    Attributes
    ----------
    source
        File or folder, relative to the cohort folder, as the labels table names it.
    reason
        Why it is not used.
    detail
        What exactly was found, for example the offending value and the row of the table.
    """

    source: str
    reason: Reason
    detail: str


class NotUsable(Exception):
    """Raised by readers: this input cannot be used, for this reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        """An exception pickles by its message alone otherwise, and could not come back from a worker process."""
        return type(self), (self.reason, self.detail)


@contextlib.contextmanager
def refusing(reason: Reason, *, name: str) -> Iterator[None]:
    """Turn whatever a decoder raises within the block into `NotUsable`.

    Decoders raise anything from `EOFError` to `struct.error` on damaged bytes; one bad file must not end the audit of
    thousands, and it is not skipped in silence either: the finding is recorded with the decoder's own words.
    """
    try:
        yield
    except NotUsable:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:MESSAGE_LENGTH]
        raise NotUsable(reason, f"{name}: {type(error).__name__}: {words}") from error


def exclusions_table(exclusions: Sequence[Exclusion]) -> pd.DataFrame:
    """One row per exclusion with its remedy, sorted, as `exclusions.parquet` holds them.

    Names and details come from the files themselves: what is invisible in them is written as an escape, and what a
    spreadsheet program would run stands behind an apostrophe.
    """
    rows = sorted(
        (visible(item.source), item.reason.value, visible(item.detail), REMEDIES[item.reason]) for item in exclusions
    )
    return without_formulas(pd.DataFrame(rows, columns=["source", "reason", "detail", "remedy"], dtype="str"))


def exclusion_counts(exclusions: pd.DataFrame) -> pd.DataFrame:
    """How often each reason occurs, most frequent first: columns reason, count, remedy."""
    counts = exclusions.groupby(["reason", "remedy"], as_index=False).size().rename(columns={"size": "count"})
    counts = counts.sort_values(["count", "reason"], ascending=[False, True], ignore_index=True)
    return counts[["reason", "count", "remedy"]]
