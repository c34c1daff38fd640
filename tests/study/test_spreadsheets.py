import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.study.spreadsheets import FORMULA_STARTS, as_written, without_formulas


def test_formulas_are_text_and_numbers_stay():
    table = pd.DataFrame({"file": ["=1+1", "@a", "-b", "c", None], "rank": [1.0, -2.0, 3.0, 4.0, 5.0]})
    written = pd.read_csv(io.StringIO(without_formulas(table).to_csv(index=False)))
    assert written["file"].tolist()[:4] == ["'=1+1", "'@a", "'-b", "c"]
    assert written["file"].isna().iloc[4]
    assert written["rank"].tolist() == [1, -2, 3, 4, 5]


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_every_start_that_a_spreadsheet_runs_is_marked(start):
    table = pd.DataFrame({"file": [f"{start}HYPERLINK(0)"]})
    assert without_formulas(table).loc[0, "file"] == f"'{start}HYPERLINK(0)".replace("\r", " ")


@given(st.text())
def test_no_text_begins_like_a_formula_and_every_one_can_be_had_back(text):
    (cell,) = without_formulas(pd.DataFrame({"text": [text]}))["text"]
    assert not cell.startswith(FORMULA_STARTS)
    if not text.startswith("'") and "\r" not in text:
        assert as_written(cell) == text


def test_a_carriage_return_begins_no_row():
    table = pd.DataFrame({"text": ["B30\r=1+1", "b"]})
    assert without_formulas(table).to_csv(index=False) == "text\nB30 =1+1\nb\n"


def test_twice_is_once():
    table = pd.DataFrame({"text": ["=1", "'=1", "x"]})
    once = without_formulas(table)
    pd.testing.assert_frame_equal(without_formulas(once), once)
