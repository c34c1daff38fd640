"""The audit: what was checked in a cohort and its splits, how many findings, and what they mean (notebook 01)."""

from helpers.cohort.audit.assembly import audit_cohort, verdict_table
from helpers.cohort.audit.composition import class_quartiles, class_summary
from helpers.cohort.audit.leak_list import copy_list, leak_list
from helpers.cohort.audit.leakage import LeakageError, require_no_leakage

__all__ = [
    "LeakageError",
    "audit_cohort",
    "class_quartiles",
    "class_summary",
    "copy_list",
    "leak_list",
    "require_no_leakage",
    "verdict_table",
]
