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


def named(headers):
    """One sample for each patient, with these names in the headers."""
    return [
        {"key": (row,), "PatientID": f"p{row}", "header_patient": name, "slice_index": None}
        for row, name in enumerate(headers)
    ]


def test_names_in_headers_become_pseudonyms_as_patients_do(samples):
    key = Pseudonyms(b"key")
    table = sample_table([{**sample, "header_patient": "MRN-77"} for sample in samples], key)
    assert table["header_patient"].tolist() == table["PatientID"].tolist() == [key.patient("MRN-77")] * 3
    assert sample_table(samples, key)["header_patient"].isna().all()


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ("xxxde", ["d", "e"]),
        ("xxde", ["d", "e", "x", "x"]),
        ("xxx", ["x", "x", "x"]),
    ],
    ids=["more than half", "half", "three patients"],
)
def test_a_name_that_most_headers_share_is_none(headers, kept):
    assert sorted(sample_table(named(headers), Pseudonyms())["header_patient"].dropna()) == kept


def test_a_patient_of_many_images_shares_no_name():
    one_patient = [sample | {"PatientID": "p0", "header_patient": "x"} for sample in named("abcde")]
    others = [sample | {"key": ("other", sample["key"])} for sample in named("_fgh")[1:]]
    table = sample_table([*one_patient, *others], Pseudonyms())
    assert (table["header_patient"] == "x").sum() == 5


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
