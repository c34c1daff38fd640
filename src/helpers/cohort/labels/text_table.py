"""Tables as people keep them (CSV, Excel, Parquet), read as text: what a cell shows, not what a program guesses.

`007` keeps its zeros, `NA` stays a word, and 3.0 of a column that a spreadsheet holds as numbers is 3. What cannot be
read without guessing is refused with the place in the table.
"""

import codecs
import csv
import datetime
import difflib
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, TextIO

import openpyxl
import pandas as pd
from openpyxl.worksheet.worksheet import Worksheet

from helpers.cohort.exclusions import CohortError
from helpers.cohort.labels.table_size import check_parquet, check_sheet, check_workbook
from helpers.study.paths import short_path
from helpers.study.spreadsheets import as_written

FIRST_DATA_LINE = 2
TEXT_SUFFIXES = ("", ".csv", ".tsv", ".txt")
DELIMITERS = ",;\t"
DELIMITER_HINT = "sep="  # Excel's own first line, for example `sep=;`
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"  # marks that spreadsheets and web pages leave in cells

Row = list[Optional[str]]
Cells = tuple[Row, list[int], list[Row]]  # header, the line that each row begins in, and the rows


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a table as text.

    Parameters
    ----------
    path
        CSV file (comma, semicolon or tab; UTF-8, or UTF-16 with its mark), Excel workbook (its first sheet; a merged
        cell counts for all cells that it covers) or Parquet file.

    Returns
    -------
    DataFrame of stripped text, None for empty cells, without columns that have no name. Rows without any text are
    dropped; the index is the line of the file less `FIRST_DATA_LINE`.

    Raises
    ------
    CohortError
        If the file is missing, is no such table, has no row, two columns of one name, cells beyond its header, or
        formulas without a result.
    """
    header, lines, rows = _read(path)
    named = _named_columns(header, path=path)
    _check_cells(rows, lines=lines, header=header, path=path)
    cells = [[row[place] if place < len(row) else None for place in named.values()] for row in rows]
    index = [line - FIRST_DATA_LINE for line in lines]
    table = pd.DataFrame(cells, index=index, columns=list(named), dtype=object).dropna(how="all")
    if table.empty:
        raise CohortError(f"{short_path(path)}: has a header but no row below it; save the table with its rows")
    return table.astype(object).where(table.notna(), None)


def _read(path: Path) -> Cells:
    if not path.is_file():
        raise CohortError(f"{short_path(path)}: no such labels table; correct cohort.labels")
    try:
        return _reader(path)(path)
    except CohortError:
        raise
    except UnicodeDecodeError as error:
        raise CohortError(f"{short_path(path)}: not UTF-8; save it as `CSV UTF-8` or as Excel workbook") from error
    except Exception as error:  # the libraries raise many kinds; each means that this file is no table
        raise CohortError(f"{short_path(path)}: not readable as a table: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """The most similar name in words for a message, by letters in common or as a part of it, whatever the case."""
    lowered = {str(item).lower(): str(item) for item in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f" (nearest: {lowered[close[0]]!r})" if close else ""


def _reader(path: Path) -> Callable[[Path], Cells]:
    """The reader for the kind of file, by its suffix."""
    suffix = path.suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return _read_csv
    readers = {".xlsx": _read_excel, ".xlsm": _read_excel, ".parquet": _read_parquet, ".pq": _read_parquet}
    if suffix not in readers:
        raise CohortError(f"{short_path(path)}: {suffix} tables are not read; save it as .xlsx, .csv or .parquet")
    return readers[suffix]


def _named_columns(header: Row, *, path: Path) -> dict[str, int]:
    """Place of each named column."""
    if not any(header):
        raise CohortError(f"{short_path(path)}: not readable as a table: its first line names no column")
    named: dict[str, int] = {}
    for place, name in enumerate(header):
        if name in named:
            raise CohortError(f"{short_path(path)}: two columns are called {name!r}; rename one")
        if name is not None:
            named[name] = place
    return named


def _check_cells(rows: Sequence[Row], *, lines: Sequence[int], header: Row, path: Path) -> None:
    """Whether every cell has a column; cells below a header without a name are notes, and nothing is said of them."""
    if sum(map(bool, header)) == 1 and any(sum(map(bool, row)) > 1 for row in rows):
        raise CohortError(
            f"{short_path(path)}: its first line names one column, and rows have more cells; put the names of the "
            "columns into the first line, without a title above"
        )
    for line, row in zip(lines, rows, strict=True):
        if any(row[len(header) :]):
            raise CohortError(
                f"{short_path(path)}: row {line} has more cells than the header has columns ({len(header)}); put "
                "quotes around text that holds the delimiter, and write decimal points, not commas"
            )


def writes_decimal_commas(path: Path) -> bool:
    """Whether a readable table is CSV with semicolons: spreadsheets write it where a number looks like 12,5."""
    if path.suffix.lower() not in TEXT_SUFFIXES:
        return False
    with _opened(path) as stream:
        return _delimiter(stream)[0] == ";"


def _opened(path: Path) -> TextIO:
    with path.open("rb") as stream:
        marked = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return path.open(encoding="utf-16" if marked else "utf-8-sig", newline="")


def _delimiter(stream: TextIO) -> tuple[str, int]:
    """The delimiter, and the number of lines above the header; leaves the stream at the header."""
    first = stream.readline()
    hinted = first.strip().lower()
    if hinted.startswith(DELIMITER_HINT) and len(hinted) == len(DELIMITER_HINT) + 1:
        return hinted[-1], 1
    stream.seek(0)
    # Spreadsheets in many countries write semicolons.
    return max(DELIMITERS, key=first.count), 0


def _read_csv(path: Path) -> Cells:
    with _opened(path) as stream:
        delimiter, offset = _delimiter(stream)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        header = next(reader, [])
        starts, rows, start = [], [], reader.line_num + 1
        for row in reader:
            starts.append(start + offset)
            rows.append([_text(cell) for cell in row])
            start = reader.line_num + 1
    return [_text(name) for name in header], starts, rows


def _read_excel(path: Path) -> Cells:
    with warnings.catch_warnings():
        # openpyxl tells of what it leaves out of a workbook, such as conditional colours; cell values are not among it
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        return _cells_of_first_sheet(path)


def _cells_of_first_sheet(path: Path) -> Cells:
    check_workbook(path)
    sheet = openpyxl.load_workbook(path, data_only=True).worksheets[0]
    check_sheet(sheet, path=path)
    for merged in list(sheet.merged_cells.ranges):
        value = sheet.cell(merged.min_row, merged.min_col).value
        sheet.unmerge_cells(merged.coord)
        for row, column in merged.cells:
            sheet.cell(row, column).value = value
    _check_formulas(sheet, path=path)
    header, *rows = ([_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
    return header, list(range(FIRST_DATA_LINE, FIRST_DATA_LINE + len(rows))), rows


def _check_formulas(results: Worksheet, *, path: Path) -> None:
    """A workbook that no spreadsheet program has calculated holds formulas without results: they look empty."""
    formulas = openpyxl.load_workbook(path, read_only=True).worksheets[0]
    formulas.reset_dimensions()  # what the file says of its size need not be true
    for row in formulas.iter_rows():
        for cell in row:
            if cell.data_type == "f" and results[cell.coordinate].value is None:
                raise CohortError(
                    f"{short_path(path)}: cell {cell.coordinate} is a formula without a result; open the workbook in "
                    "a spreadsheet program and save it, or write values"
                )


def _read_parquet(path: Path) -> Cells:
    check_parquet(path)
    table = pd.read_parquet(path)
    table = table.reset_index([name for name in table.index.names if name is not None])
    rows = [[_text(cell) for cell in row] for row in table.astype(object).to_numpy()]
    header = [_text(name) for name in table.columns]
    return header, list(range(FIRST_DATA_LINE, FIRST_DATA_LINE + len(rows))), rows


def _text(cell: Any) -> Optional[str]:
    """What a cell shows: whole numbers without a point, days without midnight, nothing for blanks."""
    if cell is None or (pd.api.types.is_scalar(cell) and pd.isna(cell)):
        return None
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        cell = cell.date()
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return as_written(str(cell).strip().strip(INVISIBLE).strip()) or None
