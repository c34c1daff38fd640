import pytest

from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.picture import View
from helpers.cohort.sources import DicomTree, ImageFolder, open_source
from helpers.study import CohortParams


def test_a_missing_folder_names_the_field(dicom_params):
    with pytest.raises(CohortError, match=r"cohort: no such folder; correct cohort\.folder"):
        open_source(dicom_params)


def test_a_missing_table_names_the_field(folder, dicom_params):
    with pytest.raises(CohortError, match=r"labels\.csv: no such labels table; correct cohort\.labels"):
        open_source(dicom_params)


def test_the_kind_of_source_follows_the_parameters(folder, write_labels, dicom_params):
    write_labels([{"file": "a", "label": "A"}])
    assert isinstance(open_source(dicom_params), DicomTree)
    images = open_source(dicom_params.model_copy(update={"source": "images"}))
    assert isinstance(images, ImageFolder)
    assert "PatientID" in images.needed_columns


def test_a_dicom_row_names_a_file_or_a_series(folder, write_ct, write_series):
    tree = DicomTree(folder, folder / "labels.csv")
    write_ct(folder / "one.dcm")
    write_series(folder / "series")
    assert tree.read(View("one.dcm")).pixels.shape == (12, 10)
    assert tree.read(View("series")).pixels.shape == (4, 5)
    assert tree.read(View("series", slice_index=1)).pixels[0, 0] == 100


def test_files_without_a_row_are_told_apart(folder, write_ct):
    tree, images = DicomTree(folder, folder / "labels.csv"), ImageFolder(folder, folder / "labels.csv")
    (folder / "notes.txt").write_text("text")
    assert tree.unnamed(write_ct(folder / "a.dcm")) is Reason.UNLABELLED_FILE
    assert tree.unnamed(folder / "notes.txt") is Reason.NOT_DICOM
    assert tree.unnamed(folder / "vanished") is Reason.UNREADABLE_DICOM
    assert images.unnamed(folder / "notes.txt") is Reason.NOT_IMAGE
    assert images.unnamed(folder / "a.PNG") is Reason.UNLABELLED_FILE


def test_the_simulated_cohort_is_made_once(tmp_path):
    params = CohortParams(folder="sim", phantom_images={"A": 1, "B": 1, "C": 1}, phantom_patients=3)
    seen = []
    source = open_source(params, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    assert source.labels.is_file()
    marked = source.labels.stat().st_mtime_ns
    assert open_source(params) == source
    assert source.labels.stat().st_mtime_ns == marked
