import numpy as np
import pytest

from helpers.cohort.identity import Pseudonyms
from helpers.cohort.sample_table import sample_table

HOSTILE = {"PatientID": "MRN-77", "StudyInstanceUID": "1.2.840.5", "SeriesInstanceUID": "1.2.840.6"}


@pytest.fixture
def samples():
    """Three samples; the second has no study date, and none a kernel."""
    dates = ("20240301", None, "2024-02-28")
    return [
        {"key": ("file", number), **HOSTILE, "StudyDate": date, "slice_index": None, "label": "A", "KVP": 120}
        for number, date in enumerate(dates)
    ]


def test_no_identifier_and_no_date_remains(samples):
    table = sample_table(samples, Pseudonyms(b"key"))
    text = table.to_csv()
    assert not [value for value in (*HOSTILE.values(), "2024", "0301", "0228") if value in text]
    assert table["PatientID"].nunique() == table["StudyInstanceUID"].nunique() == 1


def test_the_order_of_studies_remains(samples):
    table = sample_table(samples, Pseudonyms())
    days = sorted(table["study_day"].dropna())
    assert days == [0, 2]  # 2024 is a leap year
    assert table["study_day"].isna().sum() == 1


def test_unreadable_dates_are_missing(samples):
    table = sample_table([sample | {"StudyDate": "in March"} for sample in samples], Pseudonyms())
    assert table["study_day"].isna().all()


def test_order_and_names_do_not_depend_on_the_order_of_reading(samples):
    one, other = (sample_table(rows, Pseudonyms(b"key")) for rows in (samples, samples[::-1]))
    assert one["sample_id"].tolist() == other["sample_id"].tolist() == sorted(one["sample_id"])


def test_columns_are_there_whatever_the_source_knows(samples):
    table = sample_table(samples, Pseudonyms())
    assert table["ConvolutionKernel"].isna().all()
    assert table["KVP"].dtype == np.float64
    assert table["SliceThickness"].isna().all()
