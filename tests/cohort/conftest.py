"""Small genuine DICOM files and labels tables, written where a test needs them."""

import csv

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from helpers.study import CohortParams

UPRIGHT_SAGITTAL = [0, 1, 0, 0, 0, -1]
AXIAL = [1, 0, 0, 0, 1, 0]


def ct_dataset(stored, **attributes):
    """A CT image of int16 stored values; an attribute given as None is left out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    values = {
        "Modality": "CT",
        "PatientID": "patient",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImageOrientationPatient": UPRIGHT_SAGITTAL,
        "ImagePositionPatient": [0, 0, 0],
        "PixelSpacing": [0.5, 0.4],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
    }
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = stored.astype("<i2").tobytes()
    return dataset


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    """Relative paths and the pseudonym key belong to a folder of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cohort"
    folder.mkdir()
    return folder


@pytest.fixture
def write_ct():
    """write_ct(path, stored=..., **attributes) -> path; without `stored` each file has pixels of its own."""
    rng = np.random.default_rng(1)

    def write(path, *, stored=None, **attributes):
        stored = rng.integers(0, 2000, size=(12, 10)) if stored is None else stored
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, ct_dataset(stored, **attributes), enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_series(write_ct):
    """Axial slices whose HU are 100 * left + 10 * down + back in voxels, shuffled so that names tell no order."""

    def write(folder, *, heights_mm=(0, 2, 4, 6), **attributes):
        order = np.random.default_rng(3).permutation(len(heights_mm))
        back, left = np.mgrid[0:5, 0:7]
        for name, index in enumerate(order):
            z = heights_mm[index]
            down = len(heights_mm) - 1 - index
            given = {
                "ImageOrientationPatient": AXIAL,
                "ImagePositionPatient": [0, 0, z],
                "PixelSpacing": [0.8, 0.9],
                "RescaleIntercept": 0,
            }
            write_ct(folder / f"image_{name}", stored=100 * left + 10 * down + back, **(given | attributes))
        return folder

    return write


@pytest.fixture
def write_enhanced(tmp_path):
    """write_enhanced(path, frames, ...) -> path of an Enhanced CT file with axial frames at the heights given."""

    def item(**attributes):
        dataset = Dataset()
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        return dataset

    def write(path, frames, *, heights_mm, rescales=None, **attributes):
        frames = np.asarray(frames)
        dataset = ct_dataset(frames[0], RescaleSlope=None, RescaleIntercept=None, PixelSpacing=None)
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
        dataset.NumberOfFrames = len(frames)
        dataset.PixelData = frames.astype("<i2").tobytes()
        shared = item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
            PixelMeasuresSequence=[item(PixelSpacing=[0.8, 0.9], SliceThickness=2)],
            CTXRayDetailsSequence=[item(KVP=120)],
            CTExposureSequence=[item(XRayTubeCurrentInmA=210.4)],
        )
        rescales = rescales or [(1, 0)] * len(frames)
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = [
            item(
                PlanePositionSequence=[item(ImagePositionPatient=[0, 0, height])],
                PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=intercept)],
            )
            for height, (slope, intercept) in zip(heights_mm, rescales, strict=True)
        ]
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_labels(tmp_path):
    """write_labels(rows) -> path of a CSV table with the columns that occur in the rows."""

    def write(rows, name="labels.csv"):
        columns = list(dict.fromkeys(column for row in rows for column in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def dicom_params():
    """Parameters of a DICOM cohort in `cohort` with `labels.csv` beside it."""
    return CohortParams(source="dicom", folder="cohort", labels="labels.csv")


@pytest.fixture
def clean_cohort(folder, write_ct, write_labels):
    """Rows of a faultless DICOM cohort of three classes, three patients each; tests spoil it and write it again."""
    rows = []
    for number, label in enumerate("ABCABCABC"):
        file = f"p{number}/image.dcm"
        attributes = {"PatientID": f"MRN{number}", "StudyInstanceUID": f"1.2.{number}"}
        write_ct(folder / file, **attributes)
        rows.append({"file": file, "PatientID": f"MRN{number}", "label": label})
    write_labels(rows)
    return rows
