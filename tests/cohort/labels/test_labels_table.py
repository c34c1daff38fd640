import pandas as pd
import pytest

from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.labels.labels_table import STUDY_COLUMNS, labelled_table, read_labels
from helpers.study import CohortParams

CLASSES = {"A": "compression", "B": "burst"}
ROW = {"file": "a.png", "PatientID": "1", "label": "A"}
FILES = {"a.png", "b.png"}


@pytest.fixture
def label(write_labels):
    """label(rows, needed=..., locate=..., **cohort parameters) -> Labelled; the files a.png and b.png exist."""

    def run(rows, *, needed=("file", "label"), locate=None, **values):
        params = CohortParams(class_names=CLASSES, normal_class=None, **values)
        exists = FILES.__contains__
        return labelled_table(write_labels(rows), needed=needed, params=params, exists=exists, locate=locate)

    return run


def test_columns_are_mapped_and_text_stays_text(write_labels):
    path = write_labels([{"image": " a.png ", "nr": "007", "case": "NA", "note": "x"}])
    table = read_labels(path, columns={"file": "image", "PatientID": "nr", "label": "case"}, needed=("file",))
    assert tuple(table.columns) == STUDY_COLUMNS
    assert table.iloc[0][["file", "PatientID", "label"]].tolist() == ["a.png", "007", "NA"]
    assert table.iloc[0]["level"] is None


def test_excel_is_read_as_text(tmp_path):
    path = tmp_path / "labels.xlsx"
    pd.DataFrame({"file": ["a.png", "b.png"], "label": [0, 1], "PatientID": [12, None], "x0": [1.5, None]}).to_excel(
        path, index=False
    )
    table = read_labels(path, columns={}, needed=("file", "label"))
    assert table["label"].tolist() == ["0", "1"]
    assert table["x0"].tolist() == ["1.5", None]
    assert table["PatientID"].tolist() == ["12", None]


def test_a_missing_column_names_the_nearest(write_labels):
    path = write_labels([{"filename": "a.png", "label": "A"}])
    with pytest.raises(
        CohortError, match=r"no column 'file' for file \(nearest: 'filename'\).*the table has .*filename"
    ):
        read_labels(path, columns={}, needed=("file", "label"))


def test_one_of_several_columns_may_be_enough(write_labels):
    needed = (("file", "SeriesInstanceUID", "SOPInstanceUID"), "label")
    table = read_labels(
        write_labels([{"series": "1.2", "label": "A"}]), columns={"SeriesInstanceUID": "series"}, needed=needed
    )
    assert table["SeriesInstanceUID"].tolist() == ["1.2"]
    with pytest.raises(CohortError, match="no column 'file' or 'SeriesInstanceUID', 'SOPInstanceUID' for file"):
        read_labels(write_labels([{"label": "A"}]), columns={}, needed=needed)


def test_a_mapped_column_must_exist(write_labels):
    path = write_labels([ROW])
    with pytest.raises(CohortError, match=r"no column 'Etage' for level"):
        read_labels(path, columns={"level": "Etage"}, needed=("file",))


def test_an_unknown_study_column_names_the_nearest(write_labels):
    with pytest.raises(CohortError, match=r"cohort\.columns\.patientid.*nearest: 'PatientID'"):
        read_labels(write_labels([ROW]), columns={"patientid": "PatientID"}, needed=())


def test_a_readers_column_must_exist(write_labels):
    with pytest.raises(CohortError, match=r"no column 'Reader1' of a reader \(nearest: 'reader1'\)"):
        read_labels(write_labels([ROW | {"reader1": "A"}]), columns={}, needed=(), readers=["Reader1"])


def test_labels_are_mapped(label):
    found = label([ROW | {"label": "3"}, ROW | {"file": "b.png", "label": "B"}], label_values={"3": "A"})
    assert [entry.label for entry in found.entries] == ["A", "B"]
    assert found.exclusions == []
    assert found.rows == [("a.png", "1"), ("b.png", "1")]
    assert found.readings.empty


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"file": "gone.png"}, Reason.FILE_MISSING, "'gone.png' does not exist"),
        ({"label": ""}, Reason.MISSING_LABEL, "empty"),
        ({"label": "Z"}, Reason.UNKNOWN_LABEL, "'Z' is not one of A, B"),
        ({"slice_index": "x"}, Reason.BAD_NUMBER, "not a number"),
    ],
)
def test_a_bad_row_is_told_with_its_line(label, change, reason, words):
    found = label([ROW | {"file": "b.png"}, ROW | change])
    assert [entry.line for entry in found.entries] == [2]
    (exclusion,) = found.exclusions
    assert exclusion.reason is reason
    assert exclusion.detail.startswith("row 3: ")
    assert words in exclusion.detail


GERMAN = "file;label;PatientID;mm_per_px;x0\na.png;A;1,5;{};3\n"


@pytest.mark.parametrize(("written", "read"), [("0,45", "0.45"), ("-12,5", "-12.5"), ("0.45", "0.45"), ("7", "7")])
def test_semicolons_bring_decimal_commas(tmp_path, written, read):
    (tmp_path / "labels.csv").write_text(GERMAN.format(written))
    row = read_labels(tmp_path / "labels.csv", columns={}, needed=("file",)).iloc[0]
    assert row[["mm_per_px", "x0", "PatientID"]].tolist() == [read, "3", "1,5"]


@pytest.mark.parametrize("written", ["1.234,5", "1,234,5", "1,234.5", "12,", "12,5 mm"])
def test_a_comma_that_may_part_thousands_is_left_alone(tmp_path, written):
    (tmp_path / "labels.csv").write_text(GERMAN.format(written))
    assert read_labels(tmp_path / "labels.csv", columns={}, needed=("file",))["mm_per_px"].tolist() == [written]


def test_a_decimal_comma_elsewhere_is_refused_with_the_way_out(label):
    (exclusion,) = label([ROW | {"mm_per_px": "0,45"}]).exclusions
    assert exclusion.reason is Reason.BAD_NUMBER
    assert exclusion.detail == "row 2: mm_per_px '0,45' is not a number; write a decimal point"


def test_vertebrae_of_a_series_need_a_place(label):
    rows = [ROW | {"level": "L1"}, ROW | {"level": "L2", "label": "B"}]
    assert [item.reason for item in label(rows).exclusions] == [Reason.NO_CENTER] * 2


def test_rows_against_each_other_are_checked(label):
    found = label([ROW, ROW | {"label": "B"}])
    assert found.entries == []
    assert [item.reason for item in found.exclusions] == [Reason.LABEL_CONFLICT] * 2


def test_a_row_without_a_file_is_located_by_its_other_cells(label):
    rows = [{"SOPInstanceUID": uid, "label": "A"} for uid in ("1.1", "1.2")]
    found = label(rows, needed=("label",), locate=lambda row: {"1.1": "a.png"}.get(row["SOPInstanceUID"]))
    assert [entry.view.source for entry in found.entries] == ["a.png"]
    assert [(item.source, item.reason) for item in found.exclusions] == [("(none)", Reason.FILE_MISSING)]


def test_readers_decide_where_no_label_is_given(label):
    votes = ("A", "A", "B"), ("A", "B", "")
    rows = [
        {"file": file, "PatientID": "1", "r1": one, "r2": other, "r3": third}
        for file, (one, other, third) in zip(("a.png", "b.png"), votes, strict=True)
    ]
    found = label(rows, readers=["r1", "r2", "r3"], adjudication="majority")
    assert [(entry.view.source, entry.label) for entry in found.entries] == [("a.png", "A")]
    assert [item.reason for item in found.exclusions] == [Reason.READERS_DISAGREE]
    assert found.readings.to_numpy().tolist() == [[0, "A", "A", "B"], [0, "A", "B", None]]
