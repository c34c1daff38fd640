from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files.dicom import header
from helpers.cohort.files.multiframe import frame_headers, frame_pixels, promote

FRAMES = np.arange(3 * 4 * 5).reshape(3, 4, 5)


@pytest.fixture
def enhanced(tmp_path, write_enhanced):
    path = write_enhanced(tmp_path / "a", FRAMES, heights_mm=[4, 0, 2], rescales=[(1, -1024), (2, 0), (1, 10)])
    return pydicom.dcmread(path)


def test_each_frame_has_its_place(enhanced):
    headers = frame_headers(enhanced, name="a")
    assert [item.position[2] for item in headers] == [4, 0, 2]
    assert [item.file for item in headers] == ["a (frame 1)", "a (frame 2)", "a (frame 3)"]
    assert {(item.spacing_mm, item.shape, item.orientation[0]) for item in headers} == {((0.8, 0.9), (4, 5), 1.0)}


def test_each_frame_has_its_own_rescale(enhanced):
    first, last = frame_pixels(enhanced, [1, 0], name="a")
    np.testing.assert_array_equal(first, 2 * FRAMES[1])
    np.testing.assert_array_equal(last, FRAMES[0] - 1024)


def test_what_the_groups_say_is_described_like_any_image(enhanced):
    assert header(enhanced)["KVP"] is None
    described = header(promote(enhanced))
    assert (described["KVP"], described["SliceThickness"], described["XRayTubeCurrent"]) == (120, 2, 210)


def test_the_top_level_is_not_overwritten(enhanced):
    enhanced.KVP = 80
    assert header(promote(enhanced))["KVP"] == 80


def test_frames_without_a_place_are_refused(enhanced):
    del enhanced.PerFrameFunctionalGroupsSequence
    with pytest.raises(NotUsable, match="3 frames without the position of each") as caught:
        frame_headers(enhanced, name="a")
    assert caught.value.reason is Reason.MULTI_FRAME


def test_a_real_enhanced_file_is_understood():
    """Perfusion maps of two slices; positions as they stand in the file."""
    found = get_testdata_file("eCT_Supplemental.dcm", download=False)
    if found is None:
        pytest.skip("eCT_Supplemental.dcm comes with the package pydicom-data, which is not installed")
    dataset = pydicom.dcmread(Path(found))
    headers = frame_headers(dataset, name="eCT")
    assert [item.position for item in headers] == [(99.5, -301.5, -159.0), (99.5, -301.5, -149.0)]
    with pytest.raises(NotUsable) as caught:
        frame_pixels(dataset, [0], name="eCT")
    assert caught.value.reason is Reason.NOT_HU, "blood flow is not HU"
