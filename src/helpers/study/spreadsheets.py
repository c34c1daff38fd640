"""Tables that people open in a spreadsheet program, which runs a cell that begins with `=` as a formula (CWE-1236)."""

import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MARK = "'"


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet program would take for a formula.

    A carriage return becomes a space: Python writes it without quotes, and it would begin a row of its own.
    """
    is_text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(_defused, na_action="ignore") for name in is_text})


def as_written(cell: str) -> str:
    """A cell of a table that `without_formulas` has passed, as it was before."""
    return cell[len(MARK) :] if cell.startswith(MARK) and cell[len(MARK) :].startswith(FORMULA_STARTS) else cell


def _defused(value: object) -> object:
    if not isinstance(value, str):
        return value
    mark = MARK if value.startswith(FORMULA_STARTS) else ""
    return f"{mark}{value}".replace("\r", " ")
