"""How large a table is, found out before it is unpacked: a file of a few kilobytes can stand for a full memory.

A sheet that holds one cell in its last corner has 17,000 million cells for whoever walks through it; a merged range is
spread over its cells, and Parquet repeats one value as often as a number says.
"""

import re
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
from openpyxl.utils import range_boundaries
from openpyxl.worksheet.worksheet import Worksheet

from helpers.cohort.exclusions import CohortError
from helpers.study.paths import short_path

MAX_CELLS = 10_000_000
# openpyxl takes some twenty times as much memory as the text of a sheet is long.
MAX_UNPACKED_BYTES = 2**27
MERGED_RANGE = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Za-z$]+\d[\d$]*:[A-Za-z$]+\d[\d$]*)"')
SHEETS = "xl/worksheets/"


def check_workbook(path: Path) -> None:
    """Raise `CohortError` for an Excel workbook that would unpack to an absurd size."""
    with zipfile.ZipFile(path) as book:
        unpacked = sum(info.file_size for info in book.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise CohortError(
                f"{short_path(path)}: {unpacked / 2**20:.0f} MiB unpacked are too many for a workbook; save it as .csv"
            )
        sheets = [book.read(name) for name in book.namelist() if name.startswith(SHEETS)]
    _check_count(sum(_merged_cells(sheet) for sheet in sheets), path=path)


def _merged_cells(sheet: bytes) -> int:
    """Cells that the merged ranges of a sheet cover, as its XML says."""
    bounds = (range_boundaries(found.decode("ascii")) for found in MERGED_RANGE.findall(sheet))
    return sum((right - left + 1) * (bottom - top + 1) for left, top, right, bottom in bounds)


def check_sheet(sheet: Worksheet, *, path: Path) -> None:
    """Raise `CohortError` for a sheet with cells so far out that nobody can have filled the space between."""
    _check_count(sheet.max_row * sheet.max_column, path=path)


def check_parquet(path: Path) -> None:
    """Raise `CohortError` for a Parquet file whose own metadata tell of too many cells."""
    told = pq.read_metadata(path)
    _check_count(told.num_rows * told.num_columns, path=path)


def _check_count(cells: int, *, path: Path) -> None:
    if cells > MAX_CELLS:
        raise CohortError(
            f"{short_path(path)}: {cells:,} cells are too many for a labels table; remove what lies far below or to "
            "the right of it"
        )
