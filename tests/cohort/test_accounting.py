import shutil

import pandas as pd
import pytest

from helpers.cohort.accounting import flow_step, unnamed_files
from helpers.cohort.exclusions import Exclusion, Reason
from helpers.cohort.sources import DicomTree

FILES = ["a.dcm", "b.dcm", "s/1.dcm", "s/2.dcm"]


def test_files_that_no_row_names_are_told(folder, write_ct, write_series, write_labels, dicom_params):
    write_ct(folder / "used.dcm")
    write_ct(folder / "spare.dcm")
    write_series(folder / "series")
    (folder / "series" / "notes.txt").write_text("text")
    labels = write_labels([{"file": "used.dcm", "label": "A"}, {"file": "series", "label": "A"}])
    source = DicomTree(folder, labels, params=dicom_params)
    found = unnamed_files(source.files(), labels=["used.dcm", "series\\"], source=source)
    assert [(item.source, item.reason) for item in found] == [
        ("series/notes.txt", Reason.NOT_DICOM),
        ("spare.dcm", Reason.UNLABELLED_FILE),
    ]


def test_a_copy_of_a_slice_names_the_other_file(folder, write_series, write_labels, dicom_params):
    write_series(folder / "series")
    shutil.copy(folder / "series" / "image_0", folder / "series" / "image_0 (1)")
    source = DicomTree(folder, write_labels([{"file": "series", "label": "A"}]), params=dicom_params)
    assert unnamed_files(source.files(), labels=["series"], source=source) == [
        Exclusion("series/image_0 (1)", Reason.DUPLICATE_SLICE, "repeats series/image_0")
    ]


def test_a_step_counts_files_below_a_named_folder_once():
    rows = [("s", "p"), ("s", "p"), ("a.dcm", "q"), (None, "q")]
    step = flow_step("rows", rows=rows, files=FILES, excluded=[Exclusion("b.dcm", Reason.UNLABELLED_FILE, "")])
    assert step == {
        "step": "rows",
        "n_files": 3,
        "n_samples": 4,
        "n_patients": 2,
        "excluded": {"unlabelled_file": 1},
    }


@pytest.mark.parametrize("rows", [None, [("a.dcm", None)]])
def test_unknown_patients_are_not_counted(rows):
    assert flow_step("x", rows=rows, files=FILES)["n_patients"] is None


def test_rows_of_a_table_can_be_counted_as_they_are():
    table = pd.DataFrame({"file": ["a.dcm", "gone.dcm"], "PatientID": ["1", "2"]}, dtype=object)
    assert flow_step("x", rows=table.to_numpy(), files=FILES)["n_files"] == 1
