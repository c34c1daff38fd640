"""Numbers with their intervals, and columns by name, as they stand in the tables of notebook 05."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from helpers.cohort.audit import titles
from helpers.evaluation.estimates import Metric
from helpers.evaluation.tables import NO_BREAK_DASH

#: Column of a table → its name for people, with its unit.
COLUMN_TITLES: Mapping[str, str] = MappingProxyType(
    {
        **titles.COLUMN_TITLES,
        "grade": "grade",
        "level": "level",
        "SoftwareVersions": "scanner software",
        "FilterType": "beam filter",
        "ContrastBolusAgent": "contrast medium",
        "BodyPartExamined": "body part",
        "PatientPosition": "position of the patient",
        "PatientOrientation": "orientation of the image",
        "LossyImageCompression": "lossy compression",
        "PhotometricInterpretation": "meaning of grey values",
        "BurnedInAnnotation": "text in the image",
        "ExposureTime": "exposure time (ms)",
        "SpacingBetweenSlices": "spacing between slices (mm)",
        "ReconstructionDiameter": "reconstructed field (mm)",
        "spacing_from": "source of the pixel spacing",
        "study_day": "day of the study",
        "PatientID": "patient",
        "sample_id": "sample",
        "p_true": "probability of the reference",
        "kind": "reference → prediction",
        "error_rate": "error rate",
        "ci_low": "from",
        "ci_high": "to",
        "p_holm": "p, corrected",
        "lost_low": "lost, from",
        "lost_high": "lost, to",
    }
)


def with_titles(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns named for people; a column without such a name keeps its own."""
    return table.rename(columns=COLUMN_TITLES)


def with_interval(metric: Metric, *, decimals: int) -> str:
    """The estimate, with its interval in brackets where it has one; a dash where it is undefined."""
    if math.isnan(metric.estimate):
        return "–"
    estimate = f"{metric.estimate:.{decimals}f}"
    if metric.ci_low is None:
        return estimate
    return f"{estimate} ({metric.ci_low:.{decimals}f}{NO_BREAK_DASH}{metric.ci_high:.{decimals}f})"
