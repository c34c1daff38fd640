"""Write a rendered image as a DICOM CT Image (PS3.3 A.3) in Explicit VR Little Endian, byte for byte repeatable.

A patient has one study; the images of one level in one orientation are a series, numbered along the normal of their
planes. UIDs are UUID-derived (PS3.5 B.2: ``2.25.`` and the decimal UUID) from a hash of what they name, so that the
same cohort always carries the same ones; dates are fixed. Twelve bits are stored unsigned with intercept -1024.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from helpers.phantom.acquisition import AIR_HU
from helpers.phantom.canvas import Plane
from helpers.phantom.patient import Patient, RenderedImage

BITS_STORED = 12
RESCALE_INTERCEPT = AIR_HU
STUDY_DATE = "20240101"
STUDY_TIME = "120000"
SOFTWARE = "helpers.phantom"
#: One turn of the tube, ms; tube current follows from the exposure.
ROTATION_MS = 500
#: Positions are written to a micrometre; planes closer than this are one plane.
_DECIMALS = 3
_SAME_MM = 1.5e-3


@dataclass(frozen=True)
class SeriesPlace:
    """Where an image belongs in its patient's study.

    Parameters
    ----------
    cohort
        The cohort's digest, root of all UIDs.
    series, instance
        1-based numbers of the series in the study and of the image in the series.
    spacing_mm
        Distance of neighbouring slices, or None unless the series is an even stack of several.
    """

    cohort: str
    series: int
    instance: int
    spacing_mm: float | None = None


def place_images(images: Sequence[RenderedImage], *, cohort: str) -> list[SeriesPlace]:
    """Place all images of a patient: a series per level and orientation, instances in order along the normal.

    Returns
    -------
    One place per image, in the order of ``images``; series are numbered as they first appear.
    """
    series: dict[tuple[str, str], list[int]] = {}
    for index, image in enumerate(images):
        series.setdefault((image.request.level, image.plane.orientation), []).append(index)
    places: dict[int, SeriesPlace] = {}
    for number, members in enumerate(series.values(), start=1):
        members.sort(key=lambda index: _height_mm(images[index].plane))
        spacing = _even_spacing([images[index].plane for index in members])
        for instance, index in enumerate(members, start=1):
            places[index] = SeriesPlace(cohort, number, instance, spacing)
    return [places[index] for index in range(len(images))]


def _height_mm(plane: Plane) -> float:
    return float(_normal(plane) @ to_dicom(plane.corner_mm))


def _normal(plane: Plane) -> np.ndarray:
    return np.cross(to_dicom(plane.row_direction), to_dicom(plane.column_direction))


def _even_spacing(planes: Sequence[Plane]) -> float | None:
    """Spacing of a stack whose slices differ by the same step along the normal, else None."""
    if len(planes) == 1:
        return None
    steps = np.diff([to_dicom(plane.corner_mm) for plane in planes], axis=0)
    spacing = float(steps[0] @ _normal(planes[0]))
    even = np.allclose(steps, spacing * _normal(planes[0]), rtol=0, atol=_SAME_MM)
    return round(spacing, _DECIMALS) if even and spacing > _SAME_MM else None


def to_dicom(vector: Sequence[float] | np.ndarray) -> np.ndarray:
    """From (left, posterior, caudal) to DICOM patient coordinates (left, posterior, cranial); PS3.3 C.7.6.2.1.1."""
    return np.asarray(vector, dtype=float) * (1.0, 1.0, -1.0) + 0.0  # no negative zeros


def hashed_uid(*parts: str) -> UID:
    """A valid ``2.25.`` UID that depends on ``parts`` only."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def write_ct_image(path: Path, *, image: RenderedImage, patient: Patient, place: SeriesPlace) -> Dataset:
    """Write one image to ``path`` (its folder must exist) and return it.

    Raises
    ------
    ValueError
        If HU do not fit into the twelve bits that are stored.
    """
    dataset = Dataset()
    _add_patient(dataset, patient=patient)
    _add_study_and_series(dataset, patient=patient, place=place)
    _add_acquisition(dataset, patient=patient)
    _add_plane(dataset, image=image, place=place)
    _add_pixels(dataset, hu=image.hu, window=patient.acquisition.window)
    dataset.SOPClassUID = CTImageStorage
    dataset.file_meta = _file_meta(dataset.SOPInstanceUID)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def _file_meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = hashed_uid(SOFTWARE)
    meta.ImplementationVersionName = "HELPERS_PHANTOM"
    return meta


def _add_patient(dataset: Dataset, *, patient: Patient) -> None:
    dataset.PatientName = f"Simulated^{patient.patient_id}"
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.QualityControlSubject = "YES"  # a phantom, not a person
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Simulated image: no person was scanned"


def _add_study_and_series(dataset: Dataset, *, patient: Patient, place: SeriesPlace) -> None:
    names = (place.cohort, patient.patient_id)
    dataset.StudyInstanceUID = hashed_uid(*names, "study")
    dataset.SeriesInstanceUID = hashed_uid(*names, "series", str(place.series))
    dataset.SOPInstanceUID = hashed_uid(*names, "instance", str(place.series), str(place.instance))
    dataset.FrameOfReferenceUID = hashed_uid(*names, "frame")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = STUDY_TIME
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = place.series
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = place.instance
    dataset.StudyDescription = "Simulated thoracolumbar spine"
    dataset.Modality = "CT"
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.BodyPartExamined = "SPINE"


def _add_acquisition(dataset: Dataset, *, patient: Patient) -> None:
    settings = patient.acquisition
    dataset.Manufacturer = settings.manufacturer
    dataset.ManufacturerModelName = settings.model
    dataset.SoftwareVersions = SOFTWARE
    dataset.KVP = settings.kvp
    dataset.ExposureTime = ROTATION_MS
    dataset.XRayTubeCurrent = round(settings.exposure_mas / ROTATION_MS * 1000)
    dataset.Exposure = settings.exposure_mas
    dataset.ConvolutionKernel = settings.kernel


def _add_plane(dataset: Dataset, *, image: RenderedImage, place: SeriesPlace) -> None:
    """The plane in space (PS3.3 C.7.6.2). The scanner's own slices are axial; other planes are reformats of them."""
    plane = image.plane
    axial = plane.orientation == "axial"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if axial else ["DERIVED", "SECONDARY", "REFORMATTED"]
    kind = "slices" if axial else "reformat"
    dataset.SeriesDescription = f"{plane.orientation.capitalize()} {kind} {image.request.level}"
    dataset.PixelSpacing = [f"{plane.pixel_mm:g}"] * 2
    dataset.SliceThickness = f"{plane.thickness_mm:g}"
    if place.spacing_mm is not None:
        dataset.SpacingBetweenSlices = f"{place.spacing_mm:g}"
    axes = [*to_dicom(plane.row_direction), *to_dicom(plane.column_direction)]
    dataset.ImageOrientationPatient = [f"{cosine:.8g}" for cosine in axes]
    dataset.ImagePositionPatient = [f"{x:.{_DECIMALS}f}" for x in to_dicom(np.round(plane.corner_mm, _DECIMALS))]
    dataset.BurnedInAnnotation = "NO"


def _add_pixels(dataset: Dataset, *, hu: np.ndarray, window: tuple[int, int]) -> None:
    stored = hu.astype(np.int32) - RESCALE_INTERCEPT
    if stored.min() < 0 or stored.max() >= 1 << BITS_STORED:
        raise ValueError(f"hu: {hu.min()} to {hu.max()} do not fit into {BITS_STORED} bits from {RESCALE_INTERCEPT}")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS_STORED, BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = RESCALE_INTERCEPT, 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = window
    dataset.PixelData = stored.astype("<u2").tobytes()
