"""Write a rendered image as a DICOM CT Image (PS3.3 A.3) in Explicit VR Little Endian, byte for byte repeatable.

UIDs are UUID-derived (PS3.5 B.2: ``2.25.`` and the decimal UUID) from a hash of what they name, so that the same
cohort always carries the same ones; dates are fixed. Twelve bits are stored unsigned with intercept -1024.
"""

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from helpers.phantom.patient import Patient, RenderedImage

RESCALE_INTERCEPT = -1024
STUDY_DATE = "20240101"
STUDY_TIME = "120000"


@dataclass(frozen=True)
class SeriesPlace:
    """Where an image belongs: the cohort's digest (root of all UIDs) and the 1-based instance number."""

    cohort: str
    instance: int


def hashed_uid(*parts: str) -> UID:
    """A valid ``2.25.`` UID that depends on ``parts`` only."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def write_ct_image(path: Path, *, image: RenderedImage, patient: Patient, place: SeriesPlace) -> None:
    """Write one image to ``path`` (its folder must exist)."""
    dataset = Dataset()
    _add_patient(dataset, patient=patient)
    _add_study_and_series(dataset, patient=patient, place=place)
    _add_acquisition(dataset, patient=patient)
    _add_plane(dataset, image=image, patient=patient)
    _add_pixels(dataset, hu=image.hu, window=patient.acquisition.window)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = hashed_uid(place.cohort, patient.patient_id, "instance", str(place.instance))
    dataset.InstanceNumber = place.instance
    dataset.file_meta = _file_meta(dataset.SOPInstanceUID)
    dataset.save_as(path, enforce_file_format=True)


def _file_meta(instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = hashed_uid("helpers.phantom")
    meta.ImplementationVersionName = "HELPERS_PHANTOM"
    return meta


def _add_patient(dataset: Dataset, *, patient: Patient) -> None:
    dataset.PatientName = f"Simulated^{patient.patient_id}"
    dataset.PatientID = patient.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Simulated image: no person was scanned"


def _add_study_and_series(dataset: Dataset, *, patient: Patient, place: SeriesPlace) -> None:
    names = (place.cohort, patient.patient_id)
    dataset.StudyInstanceUID = hashed_uid(*names, "study")
    dataset.SeriesInstanceUID = hashed_uid(*names, "series")
    dataset.FrameOfReferenceUID = hashed_uid(*names, "frame")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = STUDY_TIME
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.StudyDescription = "Simulated thoracolumbar spine"
    dataset.SeriesDescription = "Sagittal reformat"
    dataset.Modality = "CT"
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.BodyPartExamined = "SPINE"


def _add_acquisition(dataset: Dataset, *, patient: Patient) -> None:
    settings = patient.acquisition
    dataset.Manufacturer = settings.manufacturer
    dataset.ManufacturerModelName = settings.model
    dataset.SoftwareVersions = "helpers.phantom"
    dataset.KVP = settings.kvp
    dataset.Exposure = settings.exposure_mas
    dataset.ConvolutionKernel = settings.kernel
    dataset.SliceThickness = f"{settings.slice_mm:g}"


def _add_plane(dataset: Dataset, *, image: RenderedImage, patient: Patient) -> None:
    """Sagittal plane: columns run towards posterior (+y), rows towards caudal (-z); PS3.3 C.7.6.2."""
    pixel = f"{patient.acquisition.pixel_mm:g}"
    dataset.PixelSpacing = [pixel, pixel]
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    p, c = image.origin_mm
    dataset.ImagePositionPatient = [f"{image.request.offset_mm:.3f}", f"{p:.3f}", f"{-c:.3f}"]
    dataset.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED"]
    dataset.BurnedInAnnotation = "NO"


def _add_pixels(dataset: Dataset, *, hu: np.ndarray, window: tuple[int, int]) -> None:
    stored = (hu.astype(np.int32) - RESCALE_INTERCEPT).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = RESCALE_INTERCEPT, 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = window
    dataset.PixelData = stored.tobytes()
