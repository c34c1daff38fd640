"""Images that occur more than once, and whether their copies agree."""

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples
from helpers.cohort.exclusions import Reason
from helpers.cohort.pixels.copies import copy_groups


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
    detail = f"Stored more than once: {counted(len(groups), 'images')}; under different patients: {across}."
    return Verdict("fail" if across else "warn", checked, len(groups), detail, examples(doubled["sample_id"]))


def check_near_duplicates(context: AuditContext) -> Verdict:
    """Whether images are altered copies of others: resized, compressed, sharpened, turned, mirrored.

    Neighbouring slices of one series are as alike as that, and so may be other images of one patient; they are counted
    and are no fault.
    """
    checked = "No image is an altered copy of another one: resized, compressed, sharpened, turned or mirrored."
    near = context.near_copies
    if near.empty:
        return Verdict("pass", checked, 0, "No two different images are almost the same.")
    across = near["patient_a"] != near["patient_b"]
    augmented = near["kind"] == "augmented"
    groups = copy_groups(context.table, copies=near).nunique()
    neighbours = _of_one_series(near, context.table)
    kinds = {
        "of one series, as neighbouring slices are": ~across & ~augmented & neighbours,
        "within a patient, not of one series": ~across & ~augmented & ~neighbours,
        "turned, mirrored or augmented within a patient": ~across & augmented,
        "across patients": across,
    }
    numbers = {words: int(chosen.sum()) for words, chosen in kinds.items()}
    pairs = "; ".join(f"{counted(number, 'pairs')} {words}" for words, number in numbers.items() if number)
    detail = f"{counted(groups, 'groups')} of almost equal images: {pairs}."
    doubtful = near[across | augmented]
    if doubtful.empty:
        return Verdict("pass", checked, 0, detail)
    detail += " Keep the original of each, and augment during training instead."
    samples = pd.concat([doubtful["sample_a"], doubtful["sample_b"]])
    return Verdict("warn", checked, len(doubtful), detail, examples(samples))


def _of_one_series(near: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Whether both images of a pair come from one series, or from one file where that holds a volume."""
    known = table.set_index("sample_id")
    series = known["SeriesInstanceUID"].fillna(known["source"])
    return near["sample_a"].map(series) == near["sample_b"].map(series)


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
