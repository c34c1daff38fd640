import pickle
import shutil
import zipfile

import numpy as np
import pytest

from helpers.cohort.exclusions import CohortError, NotUsable, Reason
from helpers.cohort.picture import View
from helpers.cohort.reading import load_pixels, read_cohort
from helpers.cohort.sources import DicomTree, ImageFolder, open_source
from helpers.study import CohortParams

AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.fixture
def tree(folder, tmp_path, dicom_params):
    return DicomTree(folder, tmp_path / "labels.csv", params=dicom_params)


def sources(cohort):
    return dict(zip(cohort.exclusions["source"], cohort.exclusions["reason"], strict=True))


def test_a_row_names_a_file_or_a_series(tree, folder, write_ct, write_series):
    write_ct(folder / "one.dcm")
    write_series(folder / "series")
    assert tree.read(View("one.dcm")).pixels.shape == (12, 10)
    assert tree.read(View("series")).pixels.shape == (4, 5)
    assert tree.read(View("series", slice_index=1)).pixels[0, 0] == 100


def test_a_multi_frame_file_is_a_volume_and_one_frame_an_image(tree, folder, write_enhanced):
    frames = np.arange(4 * 5 * 7).reshape(4, 5, 7)
    write_enhanced(folder / "volume", frames, heights_mm=[0, 2, 4, 6])
    write_enhanced(folder / "one", frames[:1], heights_mm=[0], rescales=[(2, -1000)])
    assert tree.read(View("volume")).pixels.shape == (4, 5)
    assert tree.read(View("volume", slice_index=0)).pixels[3, 0] == 0
    picture = tree.read(View("one"))
    np.testing.assert_array_equal(picture.pixels, 2 * frames[0] - 1000)
    assert picture.spacing_mm == (0.8, 0.9)
    assert picture.header["PatientOrientation"] == "L\\P"


def test_what_only_a_volume_can_give_is_refused_of_an_image(tree, folder, write_ct, dicom_params):
    write_ct(folder / "one.dcm")
    three = DicomTree(folder, None, params=dicom_params.model_copy(update={"n_planes": 3}))
    for source, view, reason in (
        (three, View("one.dcm"), Reason.NOT_A_VOLUME),
        (tree, View("one.dcm", slice_index=2), Reason.PLANE_OUTSIDE_VOLUME),
        (tree, View("one.dcm", center=(90, 0, 0), center_unit="mm"), Reason.CENTER_OUTSIDE_VOLUME),
    ):
        with pytest.raises(NotUsable, match=r"one\.dcm") as caught:
            source.read(view)
        assert caught.value.reason is reason


@pytest.mark.parametrize(("center", "unit"), [((1, 2.0, -1.5), "mm"), ((5, 3, 0), "voxel")])
def test_a_centre_lies_on_a_single_image(tree, folder, write_ct, center, unit):
    """Sagittal: columns run 0.4 mm each to the back (y), rows 0.5 mm each to the feet (-z)."""
    write_ct(folder / "one.dcm")
    assert tree.read(View("one.dcm", center=center, center_unit=unit)).center_px == pytest.approx((3, 5))


def test_rows_may_name_uids_instead_of_files(folder, write_ct, write_series, write_labels, dicom_params):
    """A flat export: images and two series in one folder, told apart by their headers alone."""
    for number in range(2):
        uids = {"SOPInstanceUID": f"1.7.{number}", "SeriesInstanceUID": f"1.8.{number}", "PatientID": str(number)}
        write_ct(folder / "deep" / "er" / f"IM{number}", **uids)
    write_series(folder / "flat", SeriesInstanceUID="1.9.1", PatientID="2")
    for number in range(3):
        position = {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, number]}
        write_ct(folder / "flat" / f"x{number}", SeriesInstanceUID="1.9.2", **position)
    write_labels(
        [
            {"SOPInstanceUID": "1.7.0", "SeriesInstanceUID": "", "label": "A"},
            {"SOPInstanceUID": "", "SeriesInstanceUID": "1.8.1", "label": "B"},
            {"SOPInstanceUID": "", "SeriesInstanceUID": "1.9.1", "label": "C"},
            {"SOPInstanceUID": "", "SeriesInstanceUID": "6.6.6", "label": "C"},
        ]
    )
    cohort = read_cohort(dicom_params)
    assert cohort.table.set_index("label")["source"].to_dict() == {
        "A": "deep/er/IM0",
        "B": "deep/er/IM1",
        "C": "flat",
    }
    row = cohort.table.set_index("label").loc["C"]
    assert load_pixels(row, source=cohort.source)[0, 0] == 300
    assert sources(cohort) == {
        "(none)": "file_missing",
        **{f"flat/x{number}": "other_series" for number in range(3)},
    }


def test_archives_are_read_in_place(folder, clean_cohort, write_ct, write_labels, dicom_params):
    path = write_ct(folder / "loose", PatientID="Z")
    with zipfile.ZipFile(folder / "export.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
        for member in ("inner/IM1", "inner/IM2", "../evil"):
            archive.write(path, member)
    path.unlink()
    write_labels([*clean_cohort, {"file": "export.ZIP\\inner\\IM1", "label": "A"}])
    cohort = read_cohort(dicom_params)
    assert "export.ZIP/inner/IM1" in set(cohort.table["source"])
    assert sources(cohort) == {
        "export.ZIP/inner/IM2": "duplicate_file",
        "export.ZIP/../evil": "path_escapes_folder",
    }
    assert cohort.flow[0]["n_files"] == len(clean_cohort) + 3


def test_files_without_a_row_are_told_apart(tree, folder, write_ct, write_labels):
    write_labels([{"file": "elsewhere", "label": "A"}])
    write_ct(folder / "a.dcm")
    (folder / "bare").write_bytes((folder / "a.dcm").read_bytes()[132:])
    (folder / "notes.txt").write_text("text")
    (folder / "dicomdir").write_bytes(bytes(128) + b"DICM")
    (folder / "broken.zip").write_bytes(b"PK")
    found = {file: tree.unnamed(file) for file in (*tree.files(), "vanished")}
    assert found == {
        "a.dcm": Reason.UNLABELLED_FILE,
        "bare": Reason.UNLABELLED_FILE,
        "notes.txt": Reason.NOT_DICOM,
        "dicomdir": Reason.INDEX_FILE,
        "broken.zip": Reason.UNREADABLE_ARCHIVE,
        "vanished": Reason.UNREADABLE_DICOM,
    }


def test_what_lies_outside_named_folders_is_told_by_its_header(tree, folder, write_ct, write_series, write_labels):
    write_labels([{"file": "named.dcm", "label": "A"}, {"file": "series", "label": "A"}])
    write_ct(folder / "scout.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_ct(folder / "report.dcm", Modality="SR")
    write_ct(folder / "other.dcm")
    (folder / "garbled.dcm").write_bytes(b"\x08\x00\x05\x00" * 99)
    shutil.copy(write_ct(folder / "named.dcm"), folder / "named (1).dcm")
    shutil.copytree(write_series(folder / "series"), folder / "again")
    found = {file: tree.unnamed(file) for file in tree.files()}
    assert {file: reason for file, reason in found.items() if "/" not in file and file != "named.dcm"} == {
        "garbled.dcm": Reason.UNREADABLE_DICOM,
        "named (1).dcm": Reason.DUPLICATE_FILE,
        "other.dcm": Reason.UNLABELLED_FILE,
        "report.dcm": Reason.NOT_CT,
        "scout.dcm": Reason.LOCALIZER,
    }
    assert {found[f"again/image_{number}"] for number in range(4)} == {Reason.DUPLICATE_FILE}
    assert {found[f"series/image_{number}"] for number in range(4)} == {Reason.UNLABELLED_FILE}


@pytest.mark.parametrize("changes", [{"ImagePositionPatient": [5, 0, 0]}, {"SOPInstanceUID": "1.9"}])
def test_one_uid_for_many_images_makes_no_copies(tree, folder, write_ct, write_labels, changes):
    """Some exports replace all identifiers by one."""
    write_labels([{"file": "named.dcm", "label": "A"}])
    write_ct(folder / "named.dcm", SOPInstanceUID="1.7")
    write_ct(folder / "other.dcm", **({"SOPInstanceUID": "1.7"} | changes))
    assert tree.unnamed("other.dcm") == Reason.UNLABELLED_FILE


def test_a_named_folder_within_another_knows_better(tree, folder, write_series, write_ct, write_labels):
    write_series(folder / "all" / "one", SeriesInstanceUID="1.1")
    write_series(folder / "all" / "two", SeriesInstanceUID="1.2")
    scout = write_ct(folder / "all" / "one" / "scout", ImageType=["LOCALIZER"], SeriesInstanceUID="1.1")
    shutil.copy(scout.with_name("image_0"), scout.with_name("image_0 (1)"))
    write_labels([{"file": "all/one", "label": "A"}, {"file": "all", "label": "A"}])  # the latter has two series
    found = {file: tree.unnamed(file) for file in tree.files()}
    assert {file: str(told) for file, told in found.items() if told != Reason.UNLABELLED_FILE} == {
        "all/one/scout": "localizer",
        "all/one/image_0 (1)": "duplicate_slice: repeats all/one/image_0",
    }


def test_a_folder_with_a_broken_link_is_told_by_its_row(tree, folder, write_series, write_labels):
    write_labels([{"file": "series", "label": "A"}])
    (write_series(folder / "series") / "lost").symlink_to(folder / "nowhere")
    assert {tree.unnamed(f"series/image_{number}") for number in range(4)} == {Reason.UNLABELLED_FILE}


def test_vertebrae_of_a_series_need_a_centre(tree, folder, write_series, write_labels):
    write_series(folder / "series")
    write_labels([{"file": "series", "label": label} for label in "AB"])
    assert [item.reason for item in tree.labelled().exclusions] == [Reason.NO_CENTER] * 2


def test_only_the_fields_travel_to_other_processes(tree, write_labels):
    write_labels([{"file": "a", "label": "A"}])
    tree.labelled()
    again = pickle.loads(pickle.dumps(tree))
    assert again == tree
    assert set(vars(again)) == {"folder", "labels", "params", "notes"}


def test_a_missing_folder_names_the_field(dicom_params):
    with pytest.raises(CohortError, match=r"cohort: no such folder; correct cohort\.folder"):
        open_source(dicom_params)


def test_a_missing_table_names_the_field(folder, dicom_params):
    with pytest.raises(CohortError, match=r"labels\.csv: no such labels table; correct cohort\.labels"):
        open_source(dicom_params)


def test_a_table_without_file_or_uid_names_the_columns(folder, write_labels, dicom_params):
    write_labels([{"image": "a", "label": "A"}])
    with pytest.raises(CohortError, match="no column 'file' or 'SOPInstanceUID', 'SeriesInstanceUID' for file"):
        open_source(dicom_params).labelled()


def test_the_kind_of_source_follows_the_parameters(folder, write_labels, dicom_params):
    write_labels([{"file": "a", "label": "A"}])
    assert isinstance(open_source(dicom_params), DicomTree)
    assert isinstance(open_source(dicom_params.model_copy(update={"source": "images"})), ImageFolder)


def test_the_simulated_cohort_is_made_once(tmp_path):
    params = CohortParams(folder="sim", phantom_images={"A": 1, "B": 1, "C": 1}, phantom_patients=3)
    seen = []
    source = open_source(params, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    assert source.labels.is_file()
    marked = source.labels.stat().st_mtime_ns
    assert open_source(params) == source
    assert source.labels.stat().st_mtime_ns == marked
