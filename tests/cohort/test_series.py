import numpy as np
import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.series import read_series


def expected(plane):
    """HU of the volume that `write_series` writes: rows run down, columns to the back."""
    down, back = np.mgrid[0:4, 0:5]
    return 100 * plane + 10 * down + back


def test_slices_are_sorted_by_position_and_stand_upright(tmp_path, write_series):
    picture = read_series(write_series(tmp_path / "s"))
    np.testing.assert_array_equal(picture.pixels, expected(3))
    assert picture.spacing_mm == pytest.approx((2.0, 0.8))
    assert picture.header["PatientOrientation"] == "P\\F"


def test_a_plane_can_be_chosen(tmp_path, write_series):
    np.testing.assert_array_equal(read_series(write_series(tmp_path / "s"), slice_index=0).pixels, expected(0))
    with pytest.raises(NotUsable, match="planes are 0 to 6") as caught:
        read_series(tmp_path / "s", slice_index=7)
    assert caught.value.reason is Reason.PLANE_OUTSIDE_VOLUME


def test_a_sagittal_acquisition_gives_the_same_picture(tmp_path, write_ct):
    for index in (2, 0, 1):
        down, back = np.mgrid[0:4, 0:5]
        write_ct(
            tmp_path / "s" / f"{index}.dcm",
            stored=100 * index + 10 * down + back,
            ImagePositionPatient=[1.5 * index, 0, 0],
            PixelSpacing=[2.0, 0.8],
            RescaleIntercept=0,
        )
    picture = read_series(tmp_path / "s")
    np.testing.assert_array_equal(picture.pixels, expected(1))
    assert picture.spacing_mm == pytest.approx((2.0, 0.8))


def test_a_patient_on_the_belly_is_turned(tmp_path, write_series):
    """Prone: image columns run to the right and rows to the front."""
    folder = write_series(tmp_path / "s", ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    np.testing.assert_array_equal(read_series(folder).pixels, expected(3)[:, ::-1])


@pytest.mark.parametrize(
    "heights_mm",
    [(0, 2, 4, 8), (0, 2, 2, 4), (0, 2), (0, 1, 3, 3.5)],
    ids=["missing slice", "doubled slice", "two slices", "uneven"],
)
def test_an_uneven_stack_is_refused(tmp_path, write_series, heights_mm):
    with pytest.raises(NotUsable) as caught:
        read_series(write_series(tmp_path / "s", heights_mm=heights_mm))
    assert caught.value.reason is Reason.IRREGULAR_SERIES


def test_rounded_positions_are_an_even_stack(tmp_path, write_series):
    picture = read_series(write_series(tmp_path / "s", heights_mm=(0, 2.03, 3.98, 6.0)))
    assert picture.spacing_mm[0] == pytest.approx(2.0, abs=0.02)


def test_a_tilted_gantry_is_refused(tmp_path, write_ct):
    for index in range(4):
        write_ct(
            tmp_path / "s" / f"{index}.dcm",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0.7 * index, 2.0 * index],
        )
    with pytest.raises(NotUsable) as caught:
        read_series(tmp_path / "s")
    assert caught.value.reason is Reason.IRREGULAR_SERIES


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"SeriesInstanceUID": "9.9"}, Reason.SEVERAL_SERIES),
        ({"Modality": "MR"}, Reason.NOT_CT),
        ({"PixelSpacing": [0.8, 0.8]}, Reason.IRREGULAR_SERIES),
        ({"PixelSpacing": None}, Reason.MISSING_PIXEL_SPACING),
        ({"ImagePositionPatient": None}, Reason.IRREGULAR_SERIES),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, Reason.IRREGULAR_SERIES),
    ],
)
def test_one_slice_of_another_kind_spoils_the_series(tmp_path, write_series, write_ct, attributes, reason):
    folder = write_series(tmp_path / "s")
    axial = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 8],
        "PixelSpacing": [0.8, 0.9],
    }
    write_ct(folder / "other.dcm", stored=np.zeros((5, 7)), **(axial | attributes))
    with pytest.raises(NotUsable) as caught:
        read_series(folder)
    assert caught.value.reason is reason


def test_files_that_are_no_slices_are_left_aside(tmp_path, write_series):
    folder = write_series(tmp_path / "s")
    (folder / "readme.txt").write_text("exported on a Tuesday")
    np.testing.assert_array_equal(read_series(folder).pixels, expected(3))


@pytest.mark.shared
def test_real_series_shows_an_upright_spine(shared_data):
    picture = read_series(shared_data / "ircadb01_case17" / "PATIENT_DICOM")
    assert picture.pixels.shape == (119, 512)
    assert picture.spacing_mm == pytest.approx((1.6, 0.743), abs=1e-3)
    # Independent of our reading: the published bone mask in (z upwards, y to the back, x to the left).
    packed = np.load(shared_data / "ircadb01_case17" / "bone_mask.npz")
    mask = np.unpackbits(packed["mask"])[: np.prod(packed["shape"])].reshape(packed["shape"])
    bone = mask[::-1, :, 256].astype(bool)
    bright = picture.pixels > 200

    def overlap(other):
        return (other & bright).sum() / (other | bright).sum()

    assert bone[:, 256:].any(axis=1).all(), "the spine runs through the whole height, behind the middle"
    assert overlap(bone) > 0.5  # the mask is filled, the threshold finds dense bone only
    for wrong in (bone[::-1], bone[:, ::-1], mask[::-1, :, 240].astype(bool)):
        assert overlap(wrong) < 0.35
