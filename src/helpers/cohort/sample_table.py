"""The cohort table: one row per sample, without an identifier, in an order that no file name decides."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers.cohort.files.dicom import NUMBER_KEYWORDS, TEXT_KEYWORDS
from helpers.cohort.identity import Pseudonyms
from helpers.cohort.labels.entries import BOX_COLUMNS
from helpers.cohort.samples import CENTER_COLUMNS, Sample

# Absolute dates point to a person; the order of studies, which a temporal split needs, does not.
DATE_COLUMN, DAY_COLUMN = "StudyDate", "study_day"
TEXT_COLUMNS = (
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
NUMBER_COLUMNS = (*NUMBER_KEYWORDS, "rescale_intercept", *BOX_COLUMNS, *CENTER_COLUMNS)


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
    for column in NUMBER_COLUMNS:
        table[column] = pd.to_numeric(table.get(column, pd.Series(np.nan, index=table.index))).astype("float64")
    table["slice_index"] = table["slice_index"].astype("Int64")
    table = table.drop(columns=["RescaleSlope", "RescaleIntercept"], errors="ignore")
    return table.sort_values("sample_id", ignore_index=True)


def _days(dates: pd.Series) -> pd.Series:
    """Days since the earliest study of the cohort; dates as DICOM (20240131) or ISO (2024-01-31) write them."""
    parsed = pd.to_datetime(dates.astype("str").str.replace("-", ""), format="%Y%m%d", errors="coerce")
    return (parsed - parsed.min()).dt.days.astype("float64")
