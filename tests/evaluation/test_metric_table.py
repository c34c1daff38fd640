import pandas as pd
import pytest

from helpers.evaluation.estimates import Metric
from helpers.evaluation.metric_table import in_words, metric_table, plain_rows, plain_values, side_by_side, stacked
from helpers.evaluation.tables import METRIC_DTYPES, readable

SHARE = Metric(0.5, 0.25, 0.75, "some method", 8, 4)
UNKNOWN = Metric(float("nan"), None, None, None, 0, 0, note="undefined: nothing is there")
BARE = Metric(0.125, None, None, None, 8, 4, note="no interval")
GROUPS = {"all": {"share": SHARE, "other": UNKNOWN}, "A": {"share": BARE}}
TITLES = {"share": "Some share", "other": "Something else"}


@pytest.fixture
def table():
    return metric_table(GROUPS, titles=TITLES)


def test_one_row_for_each_group_and_metric(table):
    assert table[["of", "metric", "title"]].to_numpy().tolist() == [
        ["all", "share", "Some share"],
        ["all", "other", "Something else"],
        ["A", "share", "Some share"],
    ]
    assert list(table.columns[3:]) == list(METRIC_DTYPES)
    assert table.loc[0, ["estimate", "ci_low", "ci_high"]].tolist() == [0.5, 0.25, 0.75]


def test_table_can_be_made_readable(table):
    assert readable(table)["metric"].tolist() == ["Some share", "Something else", "Some share"]


def test_groups_stand_side_by_side_also_where_one_column_lacks_a_metric():
    found = side_by_side({"before": GROUPS, "after": {"A": {"share": SHARE}}}, titles=TITLES.get, decimals=2)
    assert list(found.columns) == ["of", "metric", "before", "after"]
    assert found[["of", "metric"]].to_numpy().tolist()[1:] == [["all", "Something else"], ["A", "Some share"]]
    assert found["before"].tolist()[1:] == ["not defined", "0.12"]
    assert found["before"][0].startswith("0.50 (0.25")
    assert found["after"].isna().tolist() == [True, True, False]
    assert found["after"][2] == found["before"][0]


def test_tables_are_stacked_with_their_key_in_front():
    found = stacked({"one": pd.DataFrame({"x": [1, 2]}), "two": pd.DataFrame({"x": [3]})}, name="key")
    assert found.to_numpy().tolist() == [["one", 1], ["one", 2], ["two", 3]]


def test_plain_values_are_those_of_the_metrics():
    found = plain_values(GROUPS)
    assert found["A"]["share"] == BARE.to_json_dict()
    assert found["all"]["other"]["estimate"] is None


def test_plain_rows_hold_nothing_that_json_does_not_know():
    table = pd.DataFrame({"name": ["a", None], "low": [0.5, float("nan")], "n": pd.array([1, None], dtype="Int64")})
    assert plain_rows(table) == [{"name": "a", "low": 0.5, "n": 1}, {"name": None, "low": None, "n": None}]


def test_columns_get_words_and_empty_ones_go():
    table = pd.DataFrame({"rival": ["heights"], "p_holm": [0.5], "note": [None]})
    assert in_words(table).columns.tolist() == ["against", "p after Holm"]


def test_a_small_p_is_a_bound_and_never_nothing():
    table = pd.DataFrame({"p_value": [0.0004, 0.2071, float("nan")], "p_holm": [0.001, 1.0, float("nan")]})
    words = in_words(table)
    assert words["p"].dropna().tolist() == ["<\u00a00.001", "0.207"]
    assert words["p after Holm"].dropna().tolist() == ["0.001", "1.000"]
