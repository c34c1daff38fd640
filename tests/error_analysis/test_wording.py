import pandas as pd

from helpers.error_analysis.wording import with_interval, with_titles
from helpers.evaluation.estimates import Metric


def test_interval_stands_in_brackets():
    metric = Metric(0.5, 0.25, 0.754, "bootstrap", 10, 5)
    text = with_interval(metric, decimals=2)
    assert text.startswith("0.50 (0.25")
    assert text.endswith("0.75)")


def test_without_an_interval_the_estimate_stands_alone():
    assert with_interval(Metric(0.5, None, None, None, 10, 1), decimals=3) == "0.500"


def test_an_undefined_number_is_a_dash():
    assert with_interval(Metric(float("nan"), None, None, None, 0, 0), decimals=2) == "–"


def test_columns_have_names_for_people_where_there_are_any():
    table = with_titles(pd.DataFrame({"KVP": [120.0], "rank": [1]}))
    assert list(table) == ["tube voltage (kV)", "rank"]
    assert table["rank"].item() == 1
