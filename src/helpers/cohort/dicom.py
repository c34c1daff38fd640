"""One DICOM CT image: what must be true of its header, its pixels in HU, and which identifiers it still holds."""

from pathlib import Path
from typing import Optional

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels import apply_rescale

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.picture import Picture

PREAMBLE_BYTES = 128
HU_MIN_BITS = 9
TEXT_KEYWORDS = (
    "StudyDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "PatientSex",
    "PatientAge",
)
NUMBER_KEYWORDS = ("KVP", "SliceThickness", "RescaleSlope", "RescaleIntercept")

# Attributes that name a person or point to one in a hospital's records: the direct identifiers among those which the
# Basic Application Level Confidentiality Profile (DICOM PS3.15 table E.1-1) removes or replaces.
IDENTIFYING_KEYWORDS = (
    "AccessionNumber",
    "InstitutionAddress",
    "InstitutionName",
    "MedicalRecordLocator",
    "OperatorsName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientName",
    "PatientTelephoneNumbers",
    "PerformingPhysicianName",
    "ReferringPhysicianName",
)


def has_dicom_preamble(path: Path) -> bool:
    """Whether the file starts like a DICOM file (PS3.10 section 7.1: 128 bytes, then `DICM`)."""
    with path.open("rb") as stream:
        return stream.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"


def open_ct(path: Path) -> FileDataset:
    """Read a file and check that it is a single CT image whose values can be turned into HU.

    Raises
    ------
    NotUsable
        With the reason that applies: not DICOM, unreadable, not CT, a localizer, multi-frame, colour, without rescale,
        or not in HU.
    """
    with refusing(Reason.UNREADABLE_DICOM, name=path.name):
        try:
            dataset = pydicom.dcmread(path)
        except InvalidDicomError as error:
            raise NotUsable(Reason.NOT_DICOM, f"{path.name}: no DICM prefix") from error
        _check_kind(dataset, path.name)
        _check_units(dataset, path.name)
    return dataset


def _check_kind(dataset: FileDataset, name: str) -> None:
    modality = dataset.get("Modality")
    if modality in (None, "CT") and "PixelData" not in dataset:
        raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: holds no pixel data")
    if modality != "CT":
        raise NotUsable(Reason.NOT_CT, f"{name}: Modality is {modality!r}")
    if "LOCALIZER" in _values(dataset.get("ImageType")):
        raise NotUsable(Reason.LOCALIZER, f"{name}: ImageType holds LOCALIZER")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise NotUsable(Reason.MULTI_FRAME, f"{name}: NumberOfFrames is {frames}")
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: SamplesPerPixel is {dataset.SamplesPerPixel}")


def _check_units(dataset: FileDataset, name: str) -> None:
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if number(dataset, keyword) is None:
            raise NotUsable(Reason.MISSING_RESCALE, f"{name}: {keyword} is missing")
    if number(dataset, "RescaleSlope") == 0:
        raise NotUsable(Reason.MISSING_RESCALE, f"{name}: RescaleSlope is 0")
    # PS3.3 C.11.1.1.2: US is "unspecified", which scanners write for CT in HU; anything else is another quantity.
    if dataset.get("RescaleType", "HU") not in ("", "HU", "US"):
        raise NotUsable(Reason.NOT_HU, f"{name}: RescaleType is {dataset.RescaleType!r}")
    if dataset.get("BitsStored", HU_MIN_BITS) < HU_MIN_BITS:
        raise NotUsable(Reason.NOT_HU, f"{name}: only {dataset.BitsStored} bits are stored, as in a screenshot")


def hounsfield(dataset: FileDataset, *, name: str) -> np.ndarray:
    """Decode the pixels and apply the modality rescale (PS3.3 C.11.1): float32 HU of shape (Rows, Columns).

    Raises
    ------
    NotUsable
        If the pixel data are cut short, damaged, or compressed in a way that no installed decoder reads.
    """
    syntax = dataset.file_meta.get("TransferSyntaxUID") if "file_meta" in dataset.__dict__ else None
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        try:
            stored = dataset.pixel_array
        except (NotImplementedError, RuntimeError) as error:
            if syntax is not None and syntax.is_compressed:
                raise NotUsable(Reason.UNSUPPORTED_COMPRESSION, f"{name}: {syntax.name}") from error
            raise
        with np.errstate(over="ignore"):  # told below, with the value that causes it
            hu = apply_rescale(stored, dataset).astype(np.float32)
    if not np.isfinite(hu).all():
        raise NotUsable(Reason.MISSING_RESCALE, f"{name}: RescaleSlope {dataset.RescaleSlope} gives no finite HU")
    return hu


def read_ct(path: Path) -> Picture:
    """Read one CT image file as it is stored, without reordering its rows and columns."""
    # pydicom decodes a value when it is first asked for: damage may show up in any of these.
    with refusing(Reason.UNREADABLE_DICOM, name=path.name):
        dataset = open_ct(path)
        return Picture(
            pixels=hounsfield(dataset, name=path.name),
            spacing_mm=pixel_spacing(dataset),
            header=header(dataset) | {"PatientOrientation": orientation(dataset)},
            identifying_attributes=identifying_attributes(dataset),
        )


def header(dataset: FileDataset) -> dict[str, str | float | None]:
    """PatientID and acquisition values by DICOM keyword; what is missing or malformed is None."""
    texts = {keyword: text(dataset, keyword) for keyword in ("PatientID", *TEXT_KEYWORDS)}
    return texts | {keyword: number(dataset, keyword) for keyword in NUMBER_KEYWORDS}


def text(dataset: FileDataset, keyword: str) -> Optional[str]:
    """A value as stripped text; several values are joined by a backslash as in DICOM."""
    return "\\".join(str(value).strip() for value in _values(dataset.get(keyword))).strip() or None


def number(dataset: FileDataset, keyword: str) -> Optional[float]:
    """A finite number, or None."""
    try:
        value = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def pixel_spacing(dataset: FileDataset) -> Optional[tuple[float, float]]:
    """PixelSpacing as (row, column) in mm (PS3.3 10.7.1.3), or None if it is missing or not positive."""
    try:
        row_mm, column_mm = (float(value) for value in _values(dataset.get("PixelSpacing")))
    except (TypeError, ValueError):
        return None
    return (row_mm, column_mm) if min(row_mm, column_mm) > 0 else None


def orientation(dataset: FileDataset) -> Optional[str]:
    r"""Where rows and columns run, as DICOM PatientOrientation says it: `P\F` is a sagittal image, upright."""
    try:
        along_row, along_column = np.array(_values(dataset.get("ImageOrientationPatient")), dtype=float).reshape(2, 3)
    except ValueError:
        return None
    return f"{_direction(along_row)}\\{_direction(along_column)}"


def _direction(vector: np.ndarray) -> str:
    axis = int(np.argmax(np.abs(vector)))
    return "LPH"[axis] if vector[axis] > 0 else "RAF"[axis]


def identifying_attributes(dataset: FileDataset) -> tuple[str, ...]:
    """Names of the direct identifiers that hold a value, in alphabetical order."""
    return tuple(keyword for keyword in IDENTIFYING_KEYWORDS if text(dataset, keyword))


def _values(value: object) -> list:
    if value is None:
        return []
    return list(value) if isinstance(value, pydicom.multival.MultiValue | list) else [value]
