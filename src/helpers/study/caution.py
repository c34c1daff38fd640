"""What must be said wherever a result of simulated images is shown."""

from helpers.study.params import CohortParams


def caution(cohort: CohortParams) -> str:
    """What a simulated cohort shows and what it does not, in sentences; empty for any other cohort."""
    if cohort.source != "phantom":
        return ""
    return (
        "Every image of this cohort was made by a computer program; no patient was scanned. The numbers say how well "
        "the method tells simulated shapes apart, and nothing about patients. How networks trained on simulated images "
        "alone tell compression from normal on real vertebrae stands in the table of README.md; burst fractures have "
        "never been checked on real CT."
    )
