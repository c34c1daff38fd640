from pathlib import Path

import pandas as pd
import pytest

from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.labels import STUDY_COLUMNS, parse_labels, read_labels

CLASSES = {"A": "compression", "B": "burst"}
ROW = {"file": "a.png", "PatientID": "1", "label": "A"}


@pytest.fixture
def parse(tmp_path, write_labels):
    """parse(rows) -> (entries, [(reason, detail)]); the files a.png, b.png and the folder series/ exist."""
    folder = tmp_path / "images"
    (folder / "series").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / name).touch()

    def run(rows, label_values=None):
        table = read_labels(write_labels(rows), columns={}, needed=("file", "label"))
        entries, exclusions = parse_labels(table, folder=folder, label_values=label_values or {}, class_names=CLASSES)
        return entries, [(item.reason, item.detail) for item in exclusions]

    return run


def test_columns_are_mapped_and_text_stays_text(write_labels):
    path = write_labels([{"image": " a.png ", "nr": "007", "case": "NA", "note": "x"}])
    table = read_labels(path, columns={"file": "image", "PatientID": "nr", "label": "case"}, needed=("file",))
    assert tuple(table.columns) == STUDY_COLUMNS
    assert table.iloc[0][["file", "PatientID", "label"]].tolist() == ["a.png", "007", "NA"]
    assert table.iloc[0]["level"] is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheet_dialects_are_read(tmp_path, delimiter):
    path = tmp_path / "labels.csv"
    lines = [
        delimiter.join(["file", "label"]),
        delimiter.join(["a.png", "A"]),
        "",
        delimiter.join(["b.png", "B"]),
        delimiter,
    ]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    table = read_labels(path, columns={}, needed=("file", "label"))
    assert table["file"].tolist() == ["a.png", "b.png"]
    assert table.index.tolist() == [0, 2]


def test_excel_is_read_as_text(tmp_path):
    path = tmp_path / "labels.xlsx"
    pd.DataFrame({"file": ["a.png", "b.png"], "label": [0, 1], "PatientID": [12, None], "x0": [1.5, None]}).to_excel(
        path, index=False
    )
    table = read_labels(path, columns={}, needed=("file", "label"))
    assert table["label"].tolist() == ["0", "1"]
    assert table["x0"].tolist() == ["1.5", None]
    assert table["PatientID"].iloc[1] is None


def test_a_missing_table_names_the_field():
    with pytest.raises(CohortError, match=r"nowhere\.csv: no such labels table; correct cohort\.labels"):
        read_labels(Path("nowhere.csv"), columns={}, needed=())


def test_a_missing_column_names_the_nearest(write_labels):
    path = write_labels([{"filename": "a.png", "label": "A"}])
    with pytest.raises(CohortError, match=r"no column 'file' for file \(nearest: 'filename'\).*cohort\.columns"):
        read_labels(path, columns={}, needed=("file", "label"))


def test_a_mapped_column_must_exist(write_labels):
    path = write_labels([ROW])
    with pytest.raises(CohortError, match=r"no column 'Etage' for level"):
        read_labels(path, columns={"level": "Etage"}, needed=("file",))


def test_an_unknown_study_column_names_the_nearest(write_labels):
    with pytest.raises(CohortError, match=r"cohort\.columns\.patientid.*nearest: 'PatientID'"):
        read_labels(write_labels([ROW]), columns={"patientid": "PatientID"}, needed=())


def test_two_columns_of_one_name_are_an_error(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label, label\na.png,A,B\n")
    with pytest.raises(CohortError, match="two columns are called 'label'"):
        read_labels(tmp_path / "labels.csv", columns={}, needed=())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("labels.csv", "file,label\n\u00fc.png,A".encode("latin-1"), "UTF-8"),
        ("labels.xlsx", b"PK no", "as a table"),
        ("labels.csv", b"", "as a table"),
    ],
)
def test_a_file_that_is_no_table_is_an_error(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CohortError, match=words):
        read_labels(tmp_path / name, columns={}, needed=("file",))


def test_a_good_row_becomes_an_entry(parse):
    row = ROW | {"level": "L1", "x0": "1", "y0": "2", "x1": "3.5", "y1": "4", "mm_per_px": "0.4", "slice_index": "7"}
    (entry,), exclusions = parse([row])
    assert exclusions == []
    assert (entry.line, entry.patient, entry.label, entry.level) == (2, "1", "A", "L1")
    assert entry.box == (1, 2, 3.5, 4)
    assert (entry.mm_per_px, entry.view.slice_index) == (0.4, 7)


def test_windows_paths_and_folders_are_understood(parse):
    entries, _ = parse([ROW | {"file": ".\\series\\"}])
    assert entries[0].view.source == "series"


def test_labels_are_mapped(parse):
    entries, exclusions = parse([ROW | {"label": "3"}, ROW | {"file": "b.png", "label": "B"}], label_values={"3": "A"})
    assert [entry.label for entry in entries] == ["A", "B"]
    assert exclusions == []


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"file": ""}, Reason.FILE_MISSING, "no file is named"),
        ({"file": "gone.png"}, Reason.FILE_MISSING, "'gone.png' does not exist"),
        ({"file": "../a.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "series/../../x.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "/etc/hosts"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"file": "C:\\a.png"}, Reason.PATH_ESCAPES_FOLDER, "leads out"),
        ({"label": ""}, Reason.MISSING_LABEL, "empty"),
        ({"label": "Z"}, Reason.UNKNOWN_LABEL, "'Z' is not one of A, B"),
        ({"mm_per_px": "0,4"}, Reason.BAD_NUMBER, "mm_per_px '0,4' is not a number"),
        ({"mm_per_px": "-1"}, Reason.BAD_NUMBER, "not positive"),
        ({"mm_per_px": "inf"}, Reason.BAD_NUMBER, "not a number"),
        ({"slice_index": "1.5"}, Reason.BAD_NUMBER, "whole number"),
        ({"x0": "1"}, Reason.BAD_BOX, "some of"),
        ({"x0": "5", "y0": "1", "x1": "5", "y1": "9"}, Reason.BAD_BOX, "no area"),
    ],
)
def test_a_bad_row_is_told_with_its_line(parse, change, reason, words):
    entries, exclusions = parse([ROW | {"file": "b.png"}, ROW | change])
    assert [entry.line for entry in entries] == [2]
    ((found, detail),) = exclusions
    assert found is reason
    assert detail.startswith("row 3: ")
    assert words in detail


def test_a_repeated_row_is_used_once(parse):
    entries, exclusions = parse([ROW, ROW | {"level": "L1"}])
    assert [entry.line for entry in entries] == [2]
    assert exclusions == [(Reason.DUPLICATE_ROW, "row 3: repeats row 2")]


def test_an_image_with_two_labels_is_not_used_at_all(parse):
    entries, exclusions = parse([ROW, ROW | {"label": "B"}, ROW])
    assert entries == []
    assert [reason for reason, _ in exclusions] == [Reason.LABEL_CONFLICT] * 3


def test_two_boxes_of_one_image_may_differ_in_label(parse):
    box = {"x0": "0", "y0": "0", "x1": "5", "y1": "5"}
    entries, exclusions = parse([ROW | box, ROW | box | {"y1": "9", "label": "B"}])
    assert len(entries) == 2
    assert exclusions == []


def test_a_file_of_two_patients_is_not_used(parse):
    box = {"x0": "0", "y0": "0", "x1": "5", "y1": "5"}
    entries, exclusions = parse([ROW | box, ROW | box | {"PatientID": "2", "x0": "1"}, ROW | {"file": "b.png"}])
    assert [entry.view.source for entry in entries] == ["b.png"]
    assert [reason for reason, _ in exclusions] == [Reason.PATIENT_CONFLICT] * 2
