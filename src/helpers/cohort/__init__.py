"""Any cohort, read and audited: files and labels in, samples, exclusions, splits and verdicts out (notebook 01)."""

from helpers.cohort.audit import audit_cohort
from helpers.cohort.audit.titles import association_table, model_table
from helpers.cohort.exclusions import CohortError, Reason
from helpers.cohort.gallery import browse
from helpers.cohort.reading import Cohort, load_pixels, read_cohort
from helpers.cohort.sources import Source, open_source
from helpers.cohort.splits.division import SplitError, split_cohort

__all__ = [
    "Cohort",
    "CohortError",
    "Reason",
    "Source",
    "SplitError",
    "association_table",
    "audit_cohort",
    "browse",
    "load_pixels",
    "model_table",
    "open_source",
    "read_cohort",
    "split_cohort",
]
