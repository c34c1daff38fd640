import shutil
import subprocess
from types import SimpleNamespace

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from helpers.phantom.canvas import Plane
from helpers.phantom.dicom_writer import SeriesPlace, write_ct_image
from helpers.phantom.segmentation import read_masks_png, write_masks_png, write_segmentation
from helpers.phantom.truth import STRUCTURES

ORIENTATIONS = ("sagittal", "coronal", "axial")
SHAPE = (50, 44)
KEYWORDS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def make_masks(*, fragment=True):
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    body = (abs(row - 25) < 12) & (abs(column - 18) < 10)
    return {
        "body": body,
        "endplates": body & (abs(row - 25) > 9),
        "posterior_wall": body & (column > 25),
        "fragment": (abs(row - 22) < 3) & (abs(column - 30) < 3) & fragment,
        "canal": (column > 28) & (column < 40),
    }


def make_image(orientation="sagittal", **masks):
    plane = Plane(
        orientation=orientation,
        centre_mm=(2.25, -3.1, 41.7),
        rows=SHAPE[0],
        columns=SHAPE[1],
        pixel_mm=0.6,
        thickness_mm=2.0,
    )
    hu = np.zeros(SHAPE, dtype=np.int16)
    return SimpleNamespace(hu=hu, plane=plane, masks=make_masks(**masks), request=SimpleNamespace(level="T12"))


@pytest.fixture(params=ORIENTATIONS)
def image(request):
    return make_image(request.param)


@pytest.fixture
def source(tmp_path, patient, image):
    return write_ct_image(tmp_path / "ct.dcm", image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))


@pytest.fixture
def written(tmp_path, image, source):
    path = tmp_path / "seg.dcm"
    write_segmentation(path, image=image, source=source)
    return path


@given(stack=arrays.arrays(bool, st.tuples(st.just(5), st.integers(1, 12), st.integers(1, 12))))
def test_png_gives_back_every_mask(tmp_path_factory, stack):
    path = tmp_path_factory.mktemp("masks") / "masks.png"
    write_masks_png(path, masks=dict(zip(STRUCTURES, stack, strict=True)))
    read = read_masks_png(path)
    assert list(read) == list(STRUCTURES)
    assert all((read[name] == mask).all() for name, mask in zip(STRUCTURES, stack, strict=True))


def test_a_pixel_of_the_png_has_a_bit_for_each_structure(tmp_path):
    masks = {name: np.zeros((1, 2), dtype=bool) for name in STRUCTURES}
    masks["body"][0, 1] = masks["fragment"][0, 1] = True
    write_masks_png(tmp_path / "masks.png", masks=masks)
    with Image.open(tmp_path / "masks.png") as picture:
        assert picture.mode == "P"
        assert np.asarray(picture).tolist() == [[0, 0b01001]]
        assert picture.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
        assert picture.convert("RGB").getpixel((1, 0)) == (210, 40, 60)


def test_the_same_masks_give_the_same_png(tmp_path):
    for name in ("a.png", "b.png"):
        write_masks_png(tmp_path / name, masks=make_masks())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("masks", [{}, {**make_masks(), "disc": np.ones(SHAPE, dtype=bool)}], ids=["none", "unknown"])
def test_masks_of_other_structures_are_refused(tmp_path, masks):
    with pytest.raises(ValueError, match=r"masks: .*give body, endplates"):
        write_masks_png(tmp_path / "masks.png", masks=masks)


def test_highdicom_reads_every_segment(written, image):
    segmentation = highdicom.seg.segread(written)
    labels = [segmentation.get_segment_description(number).segment_label for number in segmentation.segment_numbers]
    assert labels == list(STRUCTURES)
    pixels = segmentation.get_pixels_by_source_instance([segmentation.SourceImageSequence[0].ReferencedSOPInstanceUID])
    for label, mask in zip(labels, np.moveaxis(pixels[0], -1, 0), strict=True):
        assert (mask == image.masks[label]).all()


def test_it_refers_to_the_ct_image_and_lies_on_it(written, source):
    segmentation = pydicom.dcmread(written)
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns"):
        assert segmentation[keyword].value == source[keyword].value
    assert segmentation.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert segmentation.SeriesInstanceUID != source.SeriesInstanceUID
    assert segmentation.SeriesNumber != source.SeriesNumber
    shared, frame = segmentation.SharedFunctionalGroupsSequence[0], segmentation.PerFrameFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == source.PixelSpacing
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert [float(x) for x in orientation] == [float(x) for x in source.ImageOrientationPatient]
    assert frame.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient


def test_segments_are_coded(written):
    segments = {item.SegmentLabel: item for item in pydicom.dcmread(written).SegmentSequence}
    coded = {
        name: Code(*(item.SegmentedPropertyTypeCodeSequence[0][keyword].value for keyword in KEYWORDS))
        for name, item in segments.items()
    }
    assert coded["canal"] == codes.SCT.SpinalCanalStructure
    assert coded["posterior_wall"] == codes.SCT.PosteriorWall
    assert segments["body"].AnatomicRegionSequence[0].CodeValue == codes.SCT.T12Vertebra.value
    categories = {name: item.SegmentedPropertyCategoryCodeSequence[0].CodeValue for name, item in segments.items()}
    assert categories.pop("fragment") == codes.SCT.MorphologicallyAbnormalStructure.value
    assert set(categories.values()) == {codes.SCT.AnatomicalStructure.value}


def test_a_structure_that_is_not_there_has_no_segment(tmp_path, patient):
    image = make_image(fragment=False)
    source = write_ct_image(tmp_path / "ct.dcm", image=image, patient=patient, place=SeriesPlace("cohort", 1, 1))
    write_segmentation(tmp_path / "seg.dcm", image=image, source=source)
    labels = [item.SegmentLabel for item in pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence]
    assert labels == ["body", "endplates", "posterior_wall", "canal"]


def test_an_image_without_any_structure_has_no_segmentation(tmp_path, image, source):
    image.masks = {name: np.zeros(SHAPE, dtype=bool) for name in STRUCTURES}
    with pytest.raises(ValueError, match="all are empty"):
        write_segmentation(tmp_path / "seg.dcm", image=image, source=source)


def test_the_same_masks_give_the_same_bytes(written, tmp_path, image, source):
    write_segmentation(tmp_path / "again.dcm", image=image, source=source)
    assert (tmp_path / "again.dcm").read_bytes() == written.read_bytes()


def test_it_holds_no_clock_and_no_random_uid(written):
    dates = {
        element.value for element in pydicom.dcmread(written).iterall() if element.VR in ("DA", "DT") and element.value
    }
    assert dates == {"20240101", "20240101120000"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
def test_the_dicom_validator_finds_no_error(written):
    result = subprocess.run(["dciodvfy", "-new", str(written)], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert "Segmentation" in said
    assert "Error" not in said
    assert result.returncode == 0
