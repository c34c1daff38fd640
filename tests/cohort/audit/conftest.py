"""A faultless cohort as a table, and ways to audit it or to hand it to one check."""

import numpy as np
import pandas as pd
import pytest

from helpers.cohort.audit import audit_cohort
from helpers.cohort.audit.verdicts import AuditContext
from helpers.cohort.reading import Cohort
from helpers.cohort.splits.division import split_cohort
from helpers.study import CohortParams, SplitParams

PARAMS = CohortParams(source="dicom", folder="x", labels="x.csv")
# What images of one good scanner have in common.
IMAGE = {
    "bits": 16,
    "Rows": 512,
    "Columns": 512,
    "row_spacing_mm": 0.5,
    "column_spacing_mm": 0.5,
    "spacing_from": "file",
    "PatientOrientation": "P\\F",
    "identifying_attributes": None,
    "coloured_fraction": 0.0,
    "text_glyphs": 0,
    "pixel_min": -1024.0,
    "pixel_max": 1500.0,
    "pixel_levels": 2000,
    "most_common_share": 0.01,
    "lowest_share": 0.001,
    "highest_share": 0.001,
    "fractional_share": 0.0,
    "padding_value": np.nan,
    "padding_share": 0.0,
    "air_peak_hu": -1000.0,
    "fat_peak_hu": -100.0,
    "soft_peak_hu": 50.0,
    "tissue_share": 0.6,
    "bone_share": 0.1,
    "shifted_tissue_share": 0.01,
}
FLOW = ({"step": "files", "n_files": 1, "n_samples": None, "n_patients": None, "excluded": {}},)


@pytest.fixture
def table():
    """A faultless cohort: 25 patients of each class, one image each."""
    rows = [
        {
            "sample_id": f"S{number:03d}",
            "PatientID": f"P{number}",
            "header_patient": f"P{number}",
            "StudyInstanceUID": f"U{number}",
            "SeriesInstanceUID": f"E{number}",
            "pixel_sha256": f"h{number}",
            "source": f"{number}.dcm",
            "label": "ABC"[number % 3],
            "center_row_px": 5.0,
            "center_col_px": 5.0,
            **IMAGE,
        }
        for number in range(75)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def make_cohort():
    """make_cohort(table, excluded=reasons, **fields of Cohort) -> Cohort."""

    def make(table, *, excluded=(), **fields):
        rows = [("f", reason, "d", "r.") for reason in excluded]
        exclusions = pd.DataFrame(rows, columns=["source", "reason", "detail", "remedy"])
        return Cohort(table, exclusions, FLOW, source=None, **fields)

    return make


@pytest.fixture
def make_context(make_cohort):
    """make_context(table, ...) -> what a check of the audit is given; divided as `SplitParams` say unless told how."""

    def make(table, *, params=PARAMS, splits=None, excluded=(), fields=(), **split_values):
        split_params = SplitParams(**split_values)
        splits = split_cohort(table, split_params) if splits is None else splits
        return AuditContext(make_cohort(table, excluded=excluded, **dict(fields)), params, splits, split_params)

    return make


@pytest.fixture
def audit(make_context):
    """audit(table, ...) -> the whole audit as a dict."""

    def run(table, **options):
        context = make_context(table, **options)
        return audit_cohort(
            context.cohort, context.splits, cohort_params=context.params, split_params=context.split_params
        )

    return run


@pytest.fixture
def statuses(audit):
    """statuses(table, ...) -> status by verdict."""

    def run(table, **options):
        return {name: verdict["status"] for name, verdict in audit(table, **options)["verdicts"].items()}

    return run
