"""One DICOM CT image: what must be true of its header, its pixels in HU, and which identifiers it still holds."""

from io import BytesIO
from pathlib import Path
from typing import Optional

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from helpers.cohort.deidentification import held_attributes
from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.elements import frame_count, number, numbers, text, texts, whole
from helpers.cohort.files.hounsfield import check_pixel_format, hounsfield
from helpers.cohort.picture import Picture

PREAMBLE_BYTES = 128
HEAD_BYTES = PREAMBLE_BYTES + 4
# A file without preamble begins with a low element of group 0002 or 0008, little endian, or of 0008, big endian.
LOW_ELEMENTS = (0x00, 0x01, 0x05, 0x08, 0x12, 0x16, 0x18)
BARE_STARTS = (b"\2\0\0\0", b"\2\0\1\0", *(bytes([8, 0, low, 0]) for low in LOW_ELEMENTS), b"\0\x08\0")
CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
TEXT_KEYWORDS = (
    "StudyDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ConvolutionKernel",
    "FilterType",
    "ContrastBolusAgent",
    "BodyPartExamined",
    "PatientPosition",
    "LossyImageCompression",
    "PhotometricInterpretation",
    "BurnedInAnnotation",
    "PatientSex",
    "PatientAge",
)
# What these say is free text, of which only that it is there is kept.
PRESENCE_KEYWORDS = ("ContrastBolusAgent",)
NUMBER_KEYWORDS = (
    "KVP",
    "XRayTubeCurrent",
    "Exposure",
    "ExposureTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ReconstructionDiameter",
    "RescaleSlope",
    "RescaleIntercept",
)


def is_dicom_head(head: bytes) -> bool:
    """Whether bytes begin like a DICOM file: preamble and `DICM` (PS3.10 section 7.1), or at once with its header."""
    return head[PREAMBLE_BYTES:HEAD_BYTES] == b"DICM" or head.startswith(BARE_STARTS)


def parse(content: bytes, *, name: str) -> FileDataset:
    """Read the header and the undecoded pixels, also of a file that lost its preamble or file meta information.

    Raises
    ------
    NotUsable
        If it is no DICOM file, or a damaged one.
    """
    if not is_dicom_head(content[:HEAD_BYTES]):
        raise NotUsable(Reason.NOT_DICOM, f"{name}: no DICM prefix")
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        # With the prefix checked above, `force` lets in only files that begin with a plausible element.
        dataset = pydicom.dcmread(BytesIO(content), force=True)
        if "SOPClassUID" not in dataset and "Modality" not in dataset and content[PREAMBLE_BYTES:HEAD_BYTES] != b"DICM":
            raise NotUsable(Reason.NOT_DICOM, f"{name}: neither DICM prefix, SOPClassUID nor Modality")
        if text(dataset.file_meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            raise NotUsable(Reason.INDEX_FILE, f"{name}: a directory of other files")
        _complete_syntax(dataset)
    return dataset


def _complete_syntax(dataset: FileDataset) -> None:
    """Name the transfer syntax of a file that does not, by how its header turned out to be encoded."""
    if dataset.file_meta.get("TransferSyntaxUID") is not None:
        return
    implicit, little_endian = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def open_ct(content: bytes, *, name: str, modality_required: bool = True) -> FileDataset:
    """Parse a file and check that it is a CT image whose values can be turned into HU; multi-frame ones pass.

    Parameters
    ----------
    content
        The whole file.
    name
        What messages call it.
    modality_required
        False accepts any file without Modality, for a source that holds nothing but CT. In any case a file without
        Modality is CT if its SOPClassUID is that of CT images.

    Raises
    ------
    NotUsable
        With the reason that applies: not DICOM, unreadable, not CT, a localizer, colour, without rescale, not in HU.
    """
    dataset = parse(content, name=name)
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        _check_modality(dataset, name, required=modality_required)
        if "LOCALIZER" in texts(dataset, "ImageType"):
            raise NotUsable(Reason.LOCALIZER, f"{name}: ImageType holds LOCALIZER")
        check_pixel_format(dataset, name=name)
    return dataset


def _check_modality(dataset: FileDataset, name: str, *, required: bool) -> None:
    modality = text(dataset, "Modality")
    if modality in (None, "CT") and "PixelData" not in dataset:
        raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: holds no pixel data")
    if modality is None and required and text(dataset, "SOPClassUID") not in CT_CLASSES:
        raise NotUsable(Reason.NOT_CT, f"{name}: no Modality, and SOPClassUID is not a CT class")
    if modality not in (None, "CT"):
        raise NotUsable(Reason.NOT_CT, f"{name}: Modality is {modality!r}")


def read_ct(path: Path, *, modality_required: bool = True) -> Picture:
    """Read one CT image file as it is stored, without reordering its rows and columns.

    Raises
    ------
    NotUsable
        As `open_ct` and `ct_picture` do.
    """
    with refusing(Reason.UNREADABLE_DICOM, name=path.name):
        content = path.read_bytes()
    return ct_picture(open_ct(content, name=path.name, modality_required=modality_required), name=path.name)


def ct_picture(dataset: FileDataset, *, name: str) -> Picture:
    """Decode one CT image that `open_ct` has passed.

    Raises
    ------
    NotUsable
        If there are several frames, or the pixels are damaged or compressed in a way that no decoder reads.
    """
    # pydicom decodes a value when it is first asked for: damage may show up in any of these.
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        if frame_count(dataset) > 1:
            raise NotUsable(Reason.MULTI_FRAME, f"{name}: NumberOfFrames is {frame_count(dataset)}")
        return Picture(
            pixels=hounsfield(dataset, name=name).reshape(whole(dataset, "Rows"), whole(dataset, "Columns")),
            spacing_mm=pixel_spacing(dataset),
            header=header(dataset) | {"PatientOrientation": orientation(dataset)},
            identifying_attributes=held_attributes(dataset),
        )


def header(dataset: Dataset) -> dict[str, str | float | None]:
    """PatientID and acquisition values by DICOM keyword; what is missing or malformed is None."""
    found = {keyword: text(dataset, keyword) for keyword in ("PatientID", *TEXT_KEYWORDS)}
    found |= {keyword: "present" if found[keyword] else "absent" for keyword in PRESENCE_KEYWORDS}
    return found | {keyword: number(dataset, keyword) for keyword in NUMBER_KEYWORDS}


def pixel_spacing(dataset: Dataset) -> Optional[tuple[float, float]]:
    """PixelSpacing as (row, column) in mm (PS3.3 10.7.1.3), or None if it is missing or not positive."""
    spacing = numbers(dataset, "PixelSpacing", count=2)
    return spacing if spacing is not None and min(spacing) > 0 else None


def orientation(dataset: Dataset) -> Optional[str]:
    r"""Where rows and columns run, as DICOM PatientOrientation says it: `P\F` is a sagittal image, upright."""
    cosines = numbers(dataset, "ImageOrientationPatient", count=6)
    if cosines is None:
        return None
    return f"{_direction(cosines[:3])}\\{_direction(cosines[3:])}"


def _direction(vector: tuple[float, ...]) -> str:
    axis = max(range(3), key=lambda index: abs(vector[index]))
    return "LPH"[axis] if vector[axis] > 0 else "RAF"[axis]
