import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from helpers.phantom.dicom_writer import SeriesPlace, hashed_uid, write_ct_image
from helpers.phantom.patient import ImageRequest, render_image, sample_patient


@pytest.fixture(scope="module")
def patient():
    return sample_patient(np.random.default_rng(8), patient_id="SIM0042", fractures={"L1": "B"})


@pytest.fixture(scope="module")
def image(patient):
    wanted = ImageRequest("B", "L1", 2.25, (1.0, 2.0), None)
    return render_image(patient, request=wanted, rng=np.random.default_rng(0))


@pytest.fixture
def written(tmp_path, patient, image):
    path = tmp_path / "IM0001.dcm"
    write_ct_image(path, image=image, patient=patient, place=SeriesPlace("cohort", 1))
    return path


def test_the_reader_gives_back_every_hu(written, image):
    dataset = pydicom.dcmread(written)
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert (hu == image.hu).all()
    assert dataset.pixel_array.max() < 4096


def test_it_is_an_explicit_little_endian_ct_image(written):
    dataset = pydicom.dcmread(written)
    assert dataset.SOPClassUID == CTImageStorage
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation) == (16, 12, 11, 0)
    assert (dataset.Modality, dataset.BodyPartExamined, dataset.RescaleType) == ("CT", "SPINE", "HU")
    assert (dataset.PatientIdentityRemoved, dataset.BurnedInAnnotation) == ("YES", "NO")


def test_the_acquisition_is_recorded(written, patient):
    dataset, settings = pydicom.dcmread(written), patient.acquisition
    assert dataset.Manufacturer == settings.manufacturer
    assert dataset.ManufacturerModelName == settings.model
    assert dataset.ConvolutionKernel == settings.kernel
    assert int(dataset.KVP) == settings.kvp
    assert float(dataset.SliceThickness) == settings.slice_mm
    assert [float(x) for x in dataset.PixelSpacing] == [settings.pixel_mm] * 2
    assert dataset.PatientAge == f"{patient.age:03d}Y"


def test_the_plane_is_sagittal_and_leads_from_pixels_to_the_vertebra(written, image):
    dataset = pydicom.dcmread(written)
    along_columns, along_rows = np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float)
    assert abs(np.cross(along_columns, along_rows)) == pytest.approx([1, 0, 0])
    # PS3.3 C.7.6.2.1.1: position = corner + column index * dx * row direction + row index * dy * column direction.
    frame, pixel = image.target.frame, float(dataset.PixelSpacing[0])
    column = (frame.p_mm - image.origin_mm[0]) / pixel
    row = (frame.c_mm - image.origin_mm[1]) / pixel
    place = np.array(dataset.ImagePositionPatient, float) + pixel * (column * along_columns + row * along_rows)
    assert place == pytest.approx([2.25, frame.p_mm, -frame.c_mm], abs=1e-3)


def test_the_same_image_gives_the_same_bytes(written, tmp_path, patient, image):
    again = tmp_path / "again.dcm"
    write_ct_image(again, image=image, patient=patient, place=SeriesPlace("cohort", 1))
    assert again.read_bytes() == written.read_bytes()


def test_images_of_a_patient_share_study_series_and_frame_only(tmp_path, patient, image):
    datasets = []
    for number in (1, 2):
        path = tmp_path / f"{number}.dcm"
        write_ct_image(path, image=image, patient=patient, place=SeriesPlace("cohort", number))
        datasets.append(pydicom.dcmread(path))
    first, second = datasets
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert first[keyword].value == second[keyword].value
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert len({first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID}) == 3


def test_uids_are_valid_uuid_derived_and_depend_on_every_part():
    uids = {hashed_uid("a", "b"), hashed_uid("ab"), hashed_uid("a", "c"), hashed_uid("b", "a")}
    assert len(uids) == 4
    assert all(uid.is_valid and uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert hashed_uid("a", "b") == hashed_uid("a", "b")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_the_dicom_validator_finds_no_error(written):
    result = subprocess.run(["dciodvfy", str(written)], capture_output=True, text=True, check=False)
    assert "Error" not in result.stdout + result.stderr
