import zipfile

import numpy as np
import pytest

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.files import series
from helpers.cohort.files.series import compact, read_frames, read_series, straightened
from helpers.cohort.files.storage import Storage
from helpers.cohort.picture import View, series_key
from helpers.study import CohortParams

PARAMS = CohortParams(source="dicom", labels="labels.csv")
AXIAL = [1, 0, 0, 0, 1, 0]


def read(folder, name="s", *, changes=None, **view):
    return read_series(Storage(folder), View(name, **view), params=PARAMS.model_copy(update=changes or {}))


def expected(plane):
    """HU of the volume that `write_series` writes: rows run down, columns to the back."""
    down, back = np.mgrid[0:4, 0:5]
    return 100 * plane + 10 * down + back


def reason_of(call, *arguments, **options):
    with pytest.raises(NotUsable) as caught:
        call(*arguments, **options)
    return caught.value.reason


def test_slices_are_sorted_by_position_and_stand_upright(tmp_path, write_series):
    write_series(tmp_path / "s")
    picture = read(tmp_path)
    np.testing.assert_array_equal(picture.pixels, expected(3))
    assert picture.pixels.dtype == np.float32
    assert picture.spacing_mm == pytest.approx((2.0, 0.8))
    assert picture.header["PatientOrientation"] == "P\\F"
    assert picture.header["obliquity_deg"] == 0


def test_a_plane_can_be_chosen(tmp_path, write_series):
    write_series(tmp_path / "s")
    np.testing.assert_array_equal(read(tmp_path, slice_index=0).pixels, expected(0))
    with pytest.raises(NotUsable, match="planes are 0 to 6") as caught:
        read(tmp_path, slice_index=7)
    assert caught.value.reason is Reason.PLANE_OUTSIDE_VOLUME


@pytest.mark.parametrize(
    ("center", "unit"), [((4.5, 1.6, 4), "mm"), ((5, 2, 2), "voxel")], ids=["mm", "column, row, slice"]
)
def test_a_centre_in_mm_or_voxels_chooses_the_plane_and_lies_on_it(tmp_path, write_series, center, unit):
    """Voxel (5, 2, 2) lies at x = 5 * 0.9, y = 2 * 0.8, z = 2 * 2 mm: third slice from below of four."""
    write_series(tmp_path / "s")
    picture = read(tmp_path, center=center, center_unit=unit)
    np.testing.assert_array_equal(picture.pixels, expected(5))
    assert picture.center_px == pytest.approx((1, 2))
    assert picture.pixels[1, 2] == 512


def test_a_centre_outside_is_told_as_such(tmp_path, write_series):
    write_series(tmp_path / "s")
    assert reason_of(read, tmp_path, center=(99, 0, 0), center_unit="mm") is Reason.CENTER_OUTSIDE_VOLUME


def test_three_planes_are_channels_at_the_distance_asked_for(tmp_path, write_series):
    write_series(tmp_path / "s")
    picture = read(tmp_path, changes={"n_planes": 3, "plane_distance_mm": 1.8})
    np.testing.assert_array_equal(picture.pixels, np.stack([expected(1), expected(3), expected(5)]))


@pytest.mark.parametrize(("plane", "shape"), [("coronal", (4, 7)), ("axial", (5, 7))])
def test_other_planes_are_cut_in_the_same_way(tmp_path, write_series, plane, shape):
    write_series(tmp_path / "s")
    assert read(tmp_path, changes={"plane": plane}).pixels.shape == shape


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
    picture = read(tmp_path)
    np.testing.assert_array_equal(picture.pixels, expected(1))
    assert picture.spacing_mm == pytest.approx((2.0, 0.8))


def test_a_patient_on_the_belly_is_turned(tmp_path, write_series):
    """Prone: image columns run to the right and rows to the front."""
    write_series(tmp_path / "s", ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    np.testing.assert_array_equal(read(tmp_path).pixels, expected(3)[:, ::-1])


def test_a_series_is_chosen_where_a_folder_holds_several(tmp_path, write_series, write_ct):
    write_series(tmp_path / "s")
    for number in range(3):
        write_ct(
            tmp_path / "s" / f"other{number}",
            stored=np.full((3, 3), number),
            SeriesInstanceUID="9.9",
            ImageOrientationPatient=AXIAL,
            ImagePositionPatient=[0, 0, number],
            RescaleIntercept=0,
        )
    assert reason_of(read, tmp_path) is Reason.SEVERAL_SERIES
    np.testing.assert_array_equal(read(tmp_path, series=series_key("1.2.3.4")).pixels, expected(3))
    np.testing.assert_array_equal(read(tmp_path, series=series_key("9.9")).pixels[:, 0], [2, 1, 0])
    assert reason_of(read, tmp_path, series=series_key("5.5")) is Reason.FILE_MISSING


def test_a_copy_of_a_slice_is_dropped_and_a_different_one_refused(tmp_path, write_series):
    folder = write_series(tmp_path / "s")
    (folder / "image_0 copy").write_bytes((folder / "image_0").read_bytes())
    np.testing.assert_array_equal(read(tmp_path).pixels, expected(3))
    write_series(folder / "again", RescaleIntercept=1)
    assert reason_of(read, tmp_path) is Reason.DUPLICATE_SLICE


def test_files_that_are_no_slices_are_left_aside(tmp_path, write_series):
    folder = write_series(tmp_path / "s")
    (folder / "readme.txt").write_text("exported on a Tuesday")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    np.testing.assert_array_equal(read(tmp_path).pixels, expected(3))


def test_a_series_in_an_archive_is_read_in_place(tmp_path, write_series):
    folder = write_series(tmp_path / "s")
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"inner/{path.name}")
    for name in ("export.zip/inner", "export.zip"):
        np.testing.assert_array_equal(read(tmp_path, name).pixels, expected(3))


def test_several_planes_cost_one_decoding(tmp_path, write_series, monkeypatch):
    write_series(tmp_path / "s")
    decoded = []
    inner = series.hounsfield
    monkeypatch.setattr(
        series, "hounsfield", lambda dataset, *, name: decoded.append(name) or inner(dataset, name=name)
    )
    for index in (1, 2, 3):
        read(tmp_path, slice_index=index)
    assert len(decoded) == 4
    write_series(tmp_path / "s", RescaleIntercept=1)
    assert read(tmp_path, slice_index=1).pixels[0, 0] == 101, "files that changed are read again"


def test_a_tilted_gantry_is_put_upright(tmp_path, write_ct):
    """A ball seen by slices that slide backwards by 15 degrees: after correction its centre is where it was."""
    tilt, step = np.radians(15), 2.0
    down, normal = np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0, -np.sin(tilt), np.cos(tilt)])
    center = np.array([20.0, 25.0, 20.0])
    for number in range(20):
        origin = np.array([0, 0, number * step / np.cos(tilt)])
        row, column = np.mgrid[0:60, 0:40]
        place = origin + row[..., None] * down + column[..., None] * np.array([1.0, 0, 0])
        inside = np.linalg.norm(place - center, axis=-1) < 8
        write_ct(
            tmp_path / "s" / f"{number}",
            stored=np.where(inside, 1000, 0),
            RescaleIntercept=0,
            PixelSpacing=[1, 1],
            ImagePositionPatient=[round(float(value), 4) for value in origin],
            ImageOrientationPatient=[1, 0, 0, 0, *(round(float(value), 6) for value in down[1:])],
        )
    picture = read(tmp_path, center=tuple(center), center_unit="mm")
    assert picture.header["obliquity_deg"] == pytest.approx(15, abs=0.01)
    rows, columns = np.nonzero(picture.pixels > 500)
    assert (rows.mean(), columns.mean()) == pytest.approx(picture.center_px, abs=0.3)
    height_mm, depth_mm = np.ptp(rows) * picture.spacing_mm[0], np.ptp(columns) * picture.spacing_mm[1]
    assert height_mm == pytest.approx(depth_mm, abs=2.5), "a ball, not an egg"
    assert picture.spacing_mm[0] == pytest.approx(step)
    voxel = (center[0], (center - 10 * step / np.cos(tilt) * np.array([0, 0, 1])) @ down, 10)
    upright = center @ normal / step
    assert read(tmp_path, center=voxel, center_unit="voxel").center_px[0] == pytest.approx(19 - 10, abs=1e-3)
    assert upright == pytest.approx(19 - picture.center_px[0], abs=1e-3)


def test_straightening_by_whole_pixels_loses_nothing():
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    moved, start = straightened(array, slide_px=(-1.0, 2.0))
    assert moved.shape == (2, 4, 6)
    assert start.tolist() == [-1, 0]
    np.testing.assert_array_equal(moved[0, 1:, :4], array[0])
    np.testing.assert_array_equal(moved[1, :3, 2:], array[1])
    assert moved[0, 0, 0] == -1024


@pytest.mark.parametrize(
    ("values", "kind"), [([0, -1024, 3071], np.int16), ([0.5, 1, 2], np.float32), ([40000, 0, 0], np.float32)]
)
def test_volumes_are_kept_small_where_nothing_is_lost(values, kind):
    hu = np.array(values, dtype=np.float32)
    assert compact(hu).dtype == kind
    np.testing.assert_array_equal(compact(hu), hu)


def test_a_multi_frame_file_is_a_series(tmp_path, write_enhanced):
    down, back, left = np.mgrid[0:4, 0:5, 0:7]
    frames = (100 * left + 10 * down + back)[[2, 0, 3, 1]]
    write_enhanced(tmp_path / "s" / "ct.dcm", frames, heights_mm=[2, 6, 0, 4])
    for picture in (read(tmp_path), read_frames(Storage(tmp_path), View("s/ct.dcm"), params=PARAMS)):
        np.testing.assert_array_equal(picture.pixels, expected(3))
        assert picture.spacing_mm == pytest.approx((2.0, 0.8))
        assert (picture.header["KVP"], picture.header["XRayTubeCurrent"]) == (120, 210)


@pytest.mark.shared
def test_real_series_shows_an_upright_spine(shared_data):
    picture = read(shared_data / "ircadb01_case17", "PATIENT_DICOM")
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
