import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.audit.patients import age_years, per_patient


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
