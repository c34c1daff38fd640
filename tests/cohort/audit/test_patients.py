import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.audit.patients import MAX_DRAWN_ROWS, MAX_DRAWS, MIN_DRAWS, age_years, drawn_weights, per_patient


@pytest.mark.parametrize(
    ("written", "years"),
    [("045Y", 45), ("45", 45), ("45.5", 45.5), (" 045y ", 45), ("018M", 1.5), ("052W", 52 * 7 / 365.25), (61.0, 61)],
)
def test_ages_are_years(written, years):
    assert age_years(written) == pytest.approx(years)


@pytest.mark.parametrize("written", [None, np.nan, "", "old", "45X", "999", "-3", "045YY"])
def test_what_is_no_age_is_missing(written):
    assert np.isnan(age_years(written))


@given(st.integers(0, 999), st.sampled_from("YMWD"))
def test_every_dicom_age_is_a_possible_age_or_missing(number, unit):
    years = age_years(f"{number:03d}{unit}")
    assert np.isnan(years) or 0 <= years <= 120


def test_one_row_per_patient_and_group():
    table = pd.DataFrame(
        {
            "PatientID": ["p", "p", "p", "q", "q"],
            "label": ["A", "A", "A", "B", "C"],
            "KVP": [100.0, 120.0, np.nan, 80.0, 80.0],
            "kernel": ["b", "a", None, None, "c"],
            "PatientAge": ["040Y", "042Y", None, None, "018M"],
        }
    )
    units = per_patient(table, by="label", columns=["KVP", "kernel", "PatientAge"])
    assert units[["PatientID", "label"]].to_numpy().tolist() == [["p", "A"], ["q", "B"], ["q", "C"]]
    assert units["KVP"].tolist() == [110, 80, 80]
    assert units["kernel"].fillna("-").tolist() == ["a", "-", "c"]
    assert units["PatientAge"].fillna(-1).tolist() == [41, -1, 1.5]


def test_whole_groups_are_drawn():
    groups = pd.Series(list("ppqrrr"))
    weights = drawn_weights(groups)
    assert weights.shape == (1 + MAX_DRAWS, 6)
    assert weights[0].tolist() == [1] * 6
    assert (weights[:, [0, 3, 3]] == weights[:, [1, 4, 5]]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert weights[1:].mean() == pytest.approx(1, abs=0.1)


def test_large_cohorts_are_drawn_less_often():
    assert len(drawn_weights(pd.Series(range(MAX_DRAWN_ROWS // 200)))) == 201
    assert len(drawn_weights(pd.Series([0] * (MAX_DRAWN_ROWS // 60)))) == MIN_DRAWS + 1
    assert drawn_weights(pd.Series([], dtype=object)).shape == (1, 0)
