"""Images that occur more than once, and whether their copies agree."""

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples
from helpers.cohort.exclusions import Reason


def check_duplicates(context: AuditContext) -> Verdict:
    """Whether two files hold the same pixels."""
    table = context.table
    checked = "No two files hold the same pixels."
    files = table.groupby("pixel_sha256")["source"].transform("nunique")
    doubled = table[files > 1]
    if doubled.empty:
        return Verdict("pass", checked, 0, "All decoded images differ.")
    groups = doubled.groupby("pixel_sha256")["PatientID"].nunique()
    across = int((groups > 1).sum())
    detail = f"{len(groups)} images are stored more than once, {across} of them under different patients."
    return Verdict("fail" if across else "warn", checked, len(groups), detail, examples(doubled["sample_id"]))


def check_label_conflicts(context: AuditContext) -> Verdict:
    """Whether an image carries two labels."""
    table = context.table
    exclusions = context.cohort.exclusions
    checked = "No image carries two labels."
    place = ["pixel_sha256", "center_row_px", "center_col_px"]
    labels = table.groupby(place)["label"].transform("nunique")
    conflicting = table[labels > 1]
    dropped = int((exclusions["reason"] == Reason.LABEL_CONFLICT).sum())
    if len(conflicting):
        detail = "Equal pixels in different files are labelled differently, and both are used: decide which is right."
        return Verdict("fail", checked, len(conflicting), detail, examples(conflicting["sample_id"]))
    if dropped:
        return Verdict("warn", checked, dropped, "The rows in conflict were left out.")
    return Verdict("pass", checked, 0, "Every image has one label.")
