"""Where the samples come from: acquired or simulated, and what was left out on the way."""

from helpers.cohort.audit.verdicts import AuditContext, Verdict


def check_origin(context: AuditContext) -> Verdict:
    """Whether the images were acquired from patients."""
    table = context.table
    simulated = context.simulated
    checked = "The images were acquired from patients."
    if simulated:
        detail = "The cohort is simulated: no result on it says anything about patients."
        return Verdict("warn", checked, len(table), detail)
    return Verdict("pass", checked, 0, "The cohort was read from files that the study did not generate.")


def check_exclusions(context: AuditContext) -> Verdict:
    """Whether anything was left out."""
    exclusions = context.cohort.exclusions
    checked = "Every file and every row of the labels table is used."
    if exclusions.empty:
        return Verdict("pass", checked, 0, "Nothing was left out.")
    counts = exclusions["reason"].value_counts().sort_index()
    detail = "Left out: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()) + "."
    return Verdict("warn", checked, len(exclusions), detail)
