import shutil
import subprocess
from types import SimpleNamespace

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from helpers.phantom.canvas import Plane
from helpers.phantom.dicom_writer import SeriesPlace, hashed_uid, place_images, write_ct_image

ROWS, COLUMNS, PIXEL_MM = 60, 48, 0.532
ORIENTATIONS = ("sagittal", "coronal", "axial")
# Where the landmark lies in the plane: row, column; and a step to the neighbouring slice (x, p, c).
LANDMARK = (17, 33)
NEIGHBOUR = {"sagittal": (1.0, 0.0, 0.0), "coronal": (0.0, 1.0, 0.0), "axial": (0.0, 0.0, 1.0)}
# Columns run and rows run towards (x, p, c): to posterior or left, to caudal or posterior.
COLUMNS_TO = {"sagittal": (0, 1, 0), "coronal": (1, 0, 0), "axial": (1, 0, 0)}
ROWS_TO = {"sagittal": (0, 0, 1), "coronal": (0, 0, 1), "axial": (0, 1, 0)}


def make_image(orientation="sagittal", *, offset_mm=0.0, level="L1", centre_mm=(2.25, -3.1, 41.7)):
    """An image of noise with one bright pixel, the landmark."""
    centre = np.add(centre_mm, np.multiply(offset_mm, NEIGHBOUR[orientation]))
    plane = Plane(
        orientation=orientation,
        centre_mm=tuple(float(x) for x in centre),
        rows=ROWS,
        columns=COLUMNS,
        pixel_mm=PIXEL_MM,
        thickness_mm=2.0,
    )
    hu = np.random.default_rng(3).integers(-1024, 1500, size=(ROWS, COLUMNS)).astype(np.int16)
    hu[LANDMARK] = 3071
    return SimpleNamespace(hu=hu, plane=plane, request=SimpleNamespace(level=level))


def landmark_mm(image):
    """The landmark in DICOM patient coordinates (left, posterior, cranial), from the plane's middle."""
    orientation, (row, column) = image.plane.orientation, LANDMARK
    across = np.multiply(column - (COLUMNS - 1) / 2, COLUMNS_TO[orientation])
    down = np.multiply(row - (ROWS - 1) / 2, ROWS_TO[orientation])
    return (np.array(image.plane.centre_mm) + PIXEL_MM * (across + down)) * (1, 1, -1)


@pytest.fixture(params=ORIENTATIONS)
def image(request):
    return make_image(request.param)


@pytest.fixture
def written(tmp_path, patient, image):
    path = tmp_path / "IM0001.dcm"
    write_ct_image(path, image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))
    return path


@pytest.fixture
def stack(tmp_path, patient, request):
    """Three neighbouring slices 2.5 mm apart, written out of order: their images and paths."""
    images = [make_image(request.param, offset_mm=offset) for offset in (0.0, 5.0, 2.5)]
    paths = [tmp_path / f"{number}.dcm" for number in range(3)]
    for path, image, place in zip(paths, images, place_images(images, cohort="cohort"), strict=True):
        write_ct_image(path, image=image, patient=patient, place=place)
    return images, paths


def test_the_reader_gives_back_every_hu(written, image):
    dataset = pydicom.dcmread(written)
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert (hu == image.hu).all()


def test_what_is_returned_is_what_was_written(tmp_path, patient, image):
    path = tmp_path / "image.dcm"
    returned = write_ct_image(path, image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))
    assert returned == pydicom.dcmread(path)


def test_it_is_an_explicit_little_endian_ct_image(written):
    dataset = pydicom.dcmread(written)
    assert dataset.SOPClassUID == CTImageStorage
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation) == (16, 12, 11, 0)
    assert (dataset.Modality, dataset.BodyPartExamined, dataset.RescaleType) == ("CT", "SPINE", "HU")
    assert (dataset.PatientIdentityRemoved, dataset.BurnedInAnnotation) == ("YES", "NO")
    assert dataset.QualityControlSubject == "YES"


def test_the_acquisition_is_recorded(written, image, patient):
    dataset, settings = pydicom.dcmread(written), patient.acquisition
    assert dataset.Manufacturer == settings.manufacturer
    assert dataset.ManufacturerModelName == settings.model
    assert dataset.ConvolutionKernel == settings.kernel
    assert int(dataset.KVP) == settings.kvp
    assert float(dataset.SliceThickness) == image.plane.thickness_mm
    assert [float(x) for x in dataset.PixelSpacing] == [PIXEL_MM] * 2
    assert dataset.PatientAge == "061Y"


def test_dose_adds_up(written, patient):
    dataset = pydicom.dcmread(written)
    assert int(dataset.Exposure) == patient.acquisition.exposure_mas
    assert dataset.ExposureTime / 1000 * dataset.XRayTubeCurrent == pytest.approx(dataset.Exposure, abs=0.5)


@pytest.mark.parametrize(
    ("orientation", "cosines", "kind"),
    [
        ("sagittal", [0, 1, 0, 0, 0, -1], ["DERIVED", "SECONDARY", "REFORMATTED"]),
        ("coronal", [1, 0, 0, 0, 0, -1], ["DERIVED", "SECONDARY", "REFORMATTED"]),
        ("axial", [1, 0, 0, 0, 1, 0], ["ORIGINAL", "PRIMARY", "AXIAL"]),
    ],
)
def test_planes_lie_as_a_radiologist_sees_them(tmp_path, patient, orientation, cosines, kind):
    path = tmp_path / "image.dcm"
    write_ct_image(path, image=make_image(orientation), patient=patient, place=SeriesPlace("cohort", 1, 1))
    dataset = pydicom.dcmread(path)
    assert [float(x) for x in dataset.ImageOrientationPatient] == cosines
    assert list(dataset.ImageType) == kind
    assert not {"-0", "-0.0"} & {str(x) for x in dataset.ImageOrientationPatient}


@pytest.mark.filterwarnings("ignore:The DICOM readers are highly experimental")
def test_the_landmark_lies_where_nibabel_puts_it(written, image):
    from nibabel.nicom.dicomwrappers import wrapper_from_data

    # nibabel's affine leads from (row, column, slice) to millimetres (left, posterior, cranial).
    affine = wrapper_from_data(pydicom.dcmread(written)).affine
    assert nib.affines.apply_affine(affine, [*LANDMARK, 0]) == pytest.approx(landmark_mm(image), abs=1e-3)


@pytest.mark.parametrize("stack", ORIENTATIONS, indirect=True)
def test_highdicom_reads_neighbouring_slices_as_an_even_volume(stack):
    images, paths = stack
    datasets = [pydicom.dcmread(path) for path in paths]
    volume = highdicom.get_volume_from_series(datasets, dtype=np.float64)
    assert volume.spacing == pytest.approx((2.5, PIXEL_MM, PIXEL_MM))
    for image in images:
        index = np.rint(volume.map_reference_to_indices(landmark_mm(image)[None]))[0].astype(int)
        assert volume.map_indices_to_reference(index[None])[0] == pytest.approx(landmark_mm(image), abs=2e-3)
        assert volume.array[tuple(index)] == 3071


@pytest.mark.parametrize("stack", ORIENTATIONS, indirect=True)
def test_instance_numbers_follow_the_position_along_the_normal(stack):
    datasets = sorted((pydicom.dcmread(path) for path in stack[1]), key=lambda dataset: dataset.InstanceNumber)
    normal = np.cross(*np.reshape(datasets[0].ImageOrientationPatient, (2, 3)).astype(float))
    heights = [float(np.dot(normal, np.array(dataset.ImagePositionPatient, float))) for dataset in datasets]
    assert [dataset.InstanceNumber for dataset in datasets] == [1, 2, 3]
    assert np.diff(heights) == pytest.approx([2.5, 2.5])
    assert {float(dataset.SpacingBetweenSlices) for dataset in datasets} == {2.5}
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1


def test_a_level_in_an_orientation_is_a_series():
    images = [
        make_image("sagittal", level="L1"),
        make_image("axial", level="L1"),
        make_image("sagittal", level="L3"),
        make_image("sagittal", level="L1", offset_mm=-3.0),
    ]
    places = place_images(images, cohort="cohort")
    assert [(place.series, place.instance) for place in places] == [(1, 1), (2, 1), (3, 1), (1, 2)]
    assert [place.spacing_mm for place in places] == [3.0, None, None, 3.0]


@pytest.mark.parametrize(
    "images",
    [
        [make_image(offset_mm=0.0), make_image(offset_mm=2.0), make_image(offset_mm=5.0)],
        [make_image(), make_image(offset_mm=2.0, centre_mm=(2.25, 1.0, 40.0))],
        [make_image(), make_image()],
    ],
    ids=["uneven", "framed differently", "the same plane"],
)
def test_only_an_even_stack_has_a_spacing(images):
    places = place_images(images, cohort="cohort")
    assert {place.spacing_mm for place in places} == {None}
    assert sorted(place.instance for place in places) == list(range(1, len(images) + 1))


@given(
    images=st.lists(
        st.builds(
            make_image,
            st.sampled_from(ORIENTATIONS),
            offset_mm=st.integers(-6, 6).map(float),
            level=st.sampled_from(["T12", "L1"]),
        ),
        max_size=8,
    )
)
def test_no_two_images_share_a_place(images):
    places = place_images(images, cohort="cohort")
    assert len({(place.series, place.instance) for place in places}) == len(images)
    assert {place.series for place in places} == set(range(1, len({place.series for place in places}) + 1))


def test_the_same_image_gives_the_same_bytes(written, tmp_path, patient, image):
    again = tmp_path / "again.dcm"
    write_ct_image(again, image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))
    assert again.read_bytes() == written.read_bytes()


def test_images_of_a_patient_share_study_and_frame_and_those_of_a_series_its_uid(tmp_path, patient):
    datasets = [
        write_ct_image(tmp_path / "image.dcm", image=make_image(), patient=patient, place=place)
        for place in (SeriesPlace("cohort", 1, 1), SeriesPlace("cohort", 1, 2), SeriesPlace("cohort", 2, 1))
    ]
    for keyword, values in {
        "StudyInstanceUID": 1,
        "FrameOfReferenceUID": 1,
        "SeriesInstanceUID": 2,
        "SOPInstanceUID": 3,
    }.items():
        assert len({dataset[keyword].value for dataset in datasets}) == values


@pytest.mark.parametrize("hu", [-1025, 3072])
def test_hu_beyond_twelve_bits_are_refused(tmp_path, patient, hu):
    image = make_image()
    image.hu[0, 0] = hu
    with pytest.raises(ValueError, match=f"hu: .*{hu}.*12 bits"):
        write_ct_image(tmp_path / "image.dcm", image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))


def test_uids_are_valid_uuid_derived_and_depend_on_every_part():
    uids = {hashed_uid("a", "b"), hashed_uid("ab"), hashed_uid("a", "c"), hashed_uid("b", "a")}
    assert len(uids) == 4
    assert all(uid.is_valid and uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert hashed_uid("a", "b") == hashed_uid("a", "b")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("stack", ORIENTATIONS, indirect=True)
def test_the_dicom_validator_finds_no_error(stack):
    result = subprocess.run(["dciodvfy", "-new", str(stack[1][0])], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert "CTImage" in said
    assert "Error" not in said
    assert result.returncode == 0


def test_simpleitk_reads_hu_and_millimetres(written, image):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    read = sitk.ReadImage(str(written))
    row, column = LANDMARK
    assert (sitk.GetArrayFromImage(read)[0] == image.hu).all()
    assert read.TransformIndexToPhysicalPoint((column, row, 0)) == pytest.approx(landmark_mm(image), abs=1e-3)


@pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix (Debian package dcm2niix) is not installed")
@pytest.mark.parametrize("stack", ORIENTATIONS, indirect=True)
def test_dcm2niix_reads_hu_and_millimetres(stack, tmp_path):
    images, paths = stack
    out = tmp_path / "nifti"
    out.mkdir()
    command = ["dcm2niix", "-b", "n", "-f", "volume", "-o", str(out), str(paths[0].parent)]
    subprocess.run(command, capture_output=True, check=True)
    volume = nib.load(out / "volume.nii")
    for image in images:
        # NIfTI's world is (right, anterior, cranial) as (-left, -posterior, cranial).
        at = nib.affines.apply_affine(np.linalg.inv(volume.affine), landmark_mm(image) * (-1, -1, 1))
        assert at == pytest.approx(np.rint(at), abs=5e-3)
        assert volume.dataobj[tuple(np.rint(at).astype(int))] == 3071
