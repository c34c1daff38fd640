import openpyxl
import pandas as pd
import pytest

from helpers.cohort.exclusions import CohortError
from helpers.cohort.labels import table_size
from helpers.cohort.labels.table_size import check_parquet, check_sheet, check_workbook


@pytest.fixture(autouse=True)
def _few_cells(monkeypatch):
    monkeypatch.setattr(table_size, "MAX_CELLS", 20)


@pytest.fixture
def book():
    book = openpyxl.Workbook()
    for number in range(5):
        book.active.append([number, number])
    return book


@pytest.mark.parametrize(("merged", "fits"), [(["A1:B10"], True), (["A1:B10", "D1:D2"], False), (["$A$1:$G$3"], False)])
def test_merged_cells_are_counted(book, tmp_path, merged, fits):
    for cells in merged:
        book.active.merged_cells.add(cells)
    book.save(tmp_path / "book.xlsx")
    if fits:
        check_workbook(tmp_path / "book.xlsx")
        return
    with pytest.raises(CohortError, match=r"book.xlsx: 2\d cells are too many"):
        check_workbook(tmp_path / "book.xlsx")


def test_the_size_of_a_workbook_is_that_of_its_text(book, tmp_path, monkeypatch):
    book.save(tmp_path / "book.xlsx")
    monkeypatch.setattr(table_size, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(CohortError, match="unpacked are too many"):
        check_workbook(tmp_path / "book.xlsx")


def test_a_sheet_reaches_to_its_last_cell(book, tmp_path):
    check_sheet(book.active, path=tmp_path)
    book.active["F5"] = "x"
    with pytest.raises(CohortError, match="30 cells"):
        check_sheet(book.active, path=tmp_path)


def test_parquet_tells_its_size(tmp_path):
    pd.DataFrame({"a": range(20)}).to_parquet(tmp_path / "small.parquet")
    pd.DataFrame({"a": range(11), "b": range(11)}).to_parquet(tmp_path / "large.parquet")
    check_parquet(tmp_path / "small.parquet")
    with pytest.raises(CohortError, match="22 cells"):
        check_parquet(tmp_path / "large.parquet")
