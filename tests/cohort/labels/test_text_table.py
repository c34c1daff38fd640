import contextlib
import datetime

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.cohort.exclusions import CohortError
from helpers.cohort.labels.text_table import nearest, read_text_table, writes_decimal_commas


@pytest.fixture
def workbook(tmp_path):
    """workbook(rows, merged=...) -> path of an Excel file with these cells."""

    def write(rows, *, merged=()):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        for cells in merged:
            book.active.merge_cells(cells)
        book.save(tmp_path / "labels.xlsx")
        return tmp_path / "labels.xlsx"

    return write


@pytest.fixture
def text(tmp_path):
    """text(content, encoding) -> path of a CSV file."""

    def write(content, encoding="utf-8"):
        (tmp_path / "labels.csv").write_bytes(content.encode(encoding))
        return tmp_path / "labels.csv"

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_spreadsheet_dialects_are_read(text, delimiter, end, encoding):
    lines = [["file", "label"], ["\u00fc.png", " A "], [], ["b.png", "007"], ["", ""]]
    path = text(end.join(delimiter.join(cells) for cells in lines), encoding)
    table = read_text_table(path)
    assert table.to_dict("list") == {"file": ["\u00fc.png", "b.png"], "label": ["A", "007"]}
    assert table.index.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [("a;b\n1,5;2\n", True), ("sep=;\na,b\n1;2\n", True), ("a,b\n1;2,3\n", False), ("a\tb\n1;2\t3\n", False)],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_semicolons_tell_of_decimal_commas(text, content, expected, encoding):
    assert writes_decimal_commas(text(content, encoding)) is expected


def test_a_workbook_holds_numbers_not_commas(workbook):
    assert not writes_decimal_commas(workbook([["a;b"], ["1,5;2"]]))


def test_the_hint_of_excel_is_no_header(text):
    table = read_text_table(text("sep=;\nfile;label\na.png;A,B\n"))
    assert table.to_dict("list") == {"file": ["a.png"], "label": ["A,B"]}
    assert table.index.tolist() == [1]


def test_a_cell_of_two_lines_moves_the_count_of_lines(text):
    table = read_text_table(text('file,label\n"a\nb",A\nc,B\n'))
    assert table.index.tolist() == [0, 2]
    assert table["file"].tolist() == ["a\nb", "c"]


def test_marks_that_nobody_sees_are_no_text(text):
    table = read_text_table(text("file,label\n\u200ba.png\u00a0,\ufeff A\n\u200b,\u00a0\n"))
    assert table.to_numpy().tolist() == [["a.png", "A"]]


def test_short_rows_are_filled_and_trailing_delimiters_are_nothing(text):
    table = read_text_table(text("file,label,level,\na,A\nb,B,L1,,,\n"))
    assert table.to_dict("list") == {"file": ["a", "b"], "label": ["A", "B"], "level": [None, "L1"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "names no column"),
        (",,\n1,2,3\n", "names no column"),
        ("file,label\n", "header but no row"),
        ("file,label\n,\n\n", "header but no row"),
        ("file,label, label\na,A,B\n", "two columns are called 'label'"),
        ("file,x\na,1\nb,0,5\n", "row 3 has more cells than the header has columns"),
        ('file,label\n"a,A\nb,B\n', "not readable as a table"),
        ("file,label\nmy\0file,A\n", "not readable as a table"),
    ],
)
def test_a_file_that_can_only_be_guessed_is_refused(text, content, words):
    if "\0" in content:
        content = content.replace("label\n", "label\n" + "x" * 140_000)  # a cell that no table holds
    with pytest.raises(CohortError, match=words):
        read_text_table(text(content))


def test_another_encoding_is_told(text):
    with pytest.raises(CohortError, match="not UTF-8; save it as"):
        read_text_table(text("file,label\n\u00fc.png,A\n", "latin-1"))


def test_an_umlaut_of_windows_is_told(text):
    with pytest.raises(CohortError, match="not UTF-8; save it as `CSV UTF-8` or as Excel workbook"):
        read_text_table(text("file;label\n\u00fc\u20ac.png;A\n", "cp1252"))


@pytest.mark.parametrize("name", ["labels.xls", "labels.ods", "labels.json"])
def test_other_kinds_of_table_name_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CohortError, match=r"tables are not read; save it as \.xlsx, \.csv or \.parquet"):
        read_text_table(tmp_path / name)


def test_a_missing_table_names_the_field(tmp_path):
    with pytest.raises(CohortError, match=r"nowhere\.csv: no such labels table; correct cohort\.labels"):
        read_text_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(("name", "content"), [("labels.xlsx", b"PK no"), ("labels.parquet", b"PAR1 no")])
def test_a_damaged_file_is_no_table(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CohortError, match="not readable as a table"):
        read_text_table(tmp_path / name)


def test_excel_cells_are_what_they_show(workbook):
    day = datetime.datetime(2024, 1, 31)
    path = workbook([["a", "b", None, "c"], [1.0, day, None, True], [None] * 4, [2.5, "NA", None, "#N/A"]])
    table = read_text_table(path)
    assert table.to_numpy().tolist() == [["1", "2024-01-31", "True"], ["2.5", "NA", "#N/A"]]
    assert table.columns.tolist() == ["a", "b", "c"]
    assert table.index.tolist() == [0, 2]


def test_a_merged_cell_counts_for_all_that_it_covers(workbook):
    path = workbook([["patient", "file"], ["7", "a"], [None, "b"], [None, "c"]], merged=["A2:A3"])
    assert read_text_table(path)["patient"].tolist() == ["7", "7", None]


def test_a_formula_without_a_result_is_refused(workbook):
    with pytest.raises(CohortError, match="cell B2 is a formula without a result"):
        read_text_table(workbook([["file", "label"], ["a", '=IF(1=1,"A","B")']]))


def test_parquet_cells_are_what_they_show(tmp_path):
    frame = pd.DataFrame(
        {
            "n": [1.0, None, 2.5],
            "day": pd.to_datetime(["2024-01-31", None, "2024-02-01 12:00"], format="ISO8601"),
            "kind": pd.Categorical(["A", None, "B"]),
            "empty": [None, None, None],
        },
        index=pd.Index(["p", "q", "r"], name="PatientID"),
    )
    frame.to_parquet(tmp_path / "labels.parquet")
    table = read_text_table(tmp_path / "labels.parquet")
    assert table.columns.tolist() == ["PatientID", "n", "day", "kind", "empty"]
    assert table.to_numpy().tolist() == [
        ["p", "1", "2024-01-31", "A", None],
        ["q", None, None, None, None],
        ["r", "2.5", "2024-02-01 12:00:00", "B", None],
    ]


CELL = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=5))
def test_all_three_formats_give_the_same_text(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("formats")
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    assert read_text_table(folder / "t.csv").equals(read_text_table(folder / "t.parquet"))
    assert read_text_table(folder / "t.csv").to_numpy().tolist() == rows


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error_of_the_cohort(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "labels.csv"
    path.write_bytes(content)
    with contextlib.suppress(CohortError):
        assert not read_text_table(path).isna().all(axis=1).any()


def test_the_nearest_name_ignores_case():
    assert nearest("patientid", ["file", "PatientID"]) == " (nearest: 'PatientID')"
    assert nearest("zzz", ["file"]) == ""
