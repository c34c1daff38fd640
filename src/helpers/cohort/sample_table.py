"""The cohort table: one row per sample, without an identifier, in an order that no file name decides."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.cohort.files.dicom import NUMBER_KEYWORDS, TEXT_KEYWORDS
from helpers.cohort.identity import Pseudonyms
from helpers.cohort.labels.entries import BOX_COLUMNS, HEIGHT_COLUMNS
from helpers.cohort.samples import CENTER_COLUMNS, Sample

# Absolute dates point to a person; the order of studies, which a temporal split needs, does not.
DATE_COLUMN, DAY_COLUMN = "StudyDate", "study_day"
HEADER_COLUMN = "header_patient"
TEXT_COLUMNS = (
    HEADER_COLUMN,
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "level",
    *(keyword for keyword in TEXT_KEYWORDS if keyword != DATE_COLUMN),
    "PatientOrientation",
    "identifying_attributes",
    "center_unit",
    "series",
    "site",
    "split",
    "grade",
)
# With fewer patients a header name that two of them share is half of the cohort, and no sign of anonymisation.
MIN_PATIENTS_FOR_CONSTANT = 4
NUMBER_COLUMNS = (*NUMBER_KEYWORDS, "rescale_intercept", *BOX_COLUMNS, *CENTER_COLUMNS, *HEIGHT_COLUMNS)


def sample_table(samples: Sequence[Sample], pseudonyms: Pseudonyms) -> pd.DataFrame:
    """One row per sample without an identifier, sorted by sample_id."""
    table = pd.DataFrame(samples)
    names = [pseudonyms.sample(*key) for key in table.pop("key")]
    table.insert(0, "sample_id", names)
    table["PatientID"] = table["PatientID"].map(pseudonyms.patient)
    table[DAY_COLUMN] = _days(table.pop(DATE_COLUMN) if DATE_COLUMN in table else pd.Series(None, index=table.index))
    for column in TEXT_COLUMNS:
        values = table.get(column, pd.Series(None, index=table.index, dtype=object))
        table[column] = values.astype("str")
    for column in ("StudyInstanceUID", "SeriesInstanceUID"):
        table[column] = table[column].map(pseudonyms.uid, na_action="ignore").astype("str")
    names = _without_constants(table[HEADER_COLUMN], patients=table["PatientID"])
    table[HEADER_COLUMN] = names.map(pseudonyms.patient, na_action="ignore").astype("str")
    for column in NUMBER_COLUMNS:
        table[column] = pd.to_numeric(table.get(column, pd.Series(np.nan, index=table.index))).astype("float64")
    table["slice_index"] = table["slice_index"].astype("Int64")
    table = table.drop(columns=["RescaleSlope", "RescaleIntercept"], errors="ignore")
    return table.sort_values("sample_id", ignore_index=True)


def _without_constants(names: pd.Series, *, patients: pd.Series) -> pd.Series:
    """Header names of patients, missing where more than half of all patients have the same one.

    Anonymisation often writes one name into all headers: it says nothing about who is whom.
    """
    n_patients = patients.nunique()
    if n_patients < MIN_PATIENTS_FOR_CONSTANT:
        return names
    sharing = patients.groupby(names).nunique()
    return names.where(~names.isin(sharing.index[sharing > n_patients / 2]))


def _days(dates: pd.Series) -> pd.Series:
    """Days since the earliest study of the cohort; dates as DICOM (20240131) or ISO (2024-01-31) write them."""
    parsed = pd.to_datetime(dates.astype("str").str.replace("-", ""), format="%Y%m%d", errors="coerce")
    return (parsed - parsed.min()).dt.days.astype("float64")
