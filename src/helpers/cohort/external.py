"""External cohorts: read and audited like the study's own, never divided, never trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import pandas as pd

from helpers.cohort.audit.assembly import audit_cohort
from helpers.cohort.audit.overlap import check_overlap
from helpers.cohort.reading import Cohort, read_cohort
from helpers.cohort.sources import Report
from helpers.study import ExternalCohort


@dataclass(frozen=True)
class AuditedCohort:
    """One external cohort with its audit, as `audit_cohort` gives it, and the verdict on overlap added."""

    name: str
    cohort: Cohort
    audit: dict[str, Any]


def read_external(
    cohorts: Sequence[ExternalCohort],
    *,
    development: Cohort,
    intended_leakage: Optional[str] = None,
    report: Optional[Report] = None,
) -> tuple[AuditedCohort, ...]:
    """Read and audit every external cohort, and see whether it shares anything with the study's own.

    Parameters
    ----------
    cohorts
        Section `external` of the parameters.
    development
        The cohort that networks are trained on.
    intended_leakage
        As section `splits` has it.
    report
        Called as ``report(done, total)`` within each cohort.

    Raises
    ------
    CohortError
        If one of them cannot be read at all.
    """
    found = []
    for params in cohorts:
        cohort = _with_own_patients(read_cohort(params, report=report), params)
        audit = audit_cohort(cohort, cohort_params=params)
        overlap = check_overlap(cohort, development, intended_leakage=intended_leakage)
        audit["verdicts"] = {"overlap": overlap.to_json_dict()} | audit["verdicts"]
        found.append(AuditedCohort(params.name, cohort, audit))
    return tuple(found)


def _with_own_patients(cohort: Cohort, params: ExternalCohort) -> Cohort:
    """Simulated patients of two cohorts have the same numbers without being the same person."""
    if params.source != "phantom":
        return cohort
    own = {column: f"{params.name}-" + cohort.table[column] for column in ("PatientID", "header_patient")}
    return replace(cohort, table=cohort.table.assign(**own))


def stacked(audited: Sequence[AuditedCohort], *, exclusions: bool = False) -> pd.DataFrame:
    """The cohort tables, or the exclusions, of all cohorts under each other, with the column cohort in front."""
    parts = []
    for item in audited:
        table = (item.cohort.exclusions if exclusions else item.cohort.table).copy()
        table.insert(0, "cohort", item.name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def external_summary(audited: Sequence[AuditedCohort]) -> pd.DataFrame:
    """One row per cohort and class: samples and patients, and how many files or rows were left out of the cohort."""
    rows = []
    for item in audited:
        for label, samples in item.cohort.table.groupby("label"):
            rows.append(
                {
                    "cohort": item.name,
                    "class": label,
                    "samples": len(samples),
                    "patients": samples["PatientID"].nunique(),
                    "left out of the cohort": len(item.cohort.exclusions),
                }
            )
    return pd.DataFrame(rows)
