"""Classes: how many patients each has, and whether every split holds all of them."""

from collections.abc import Mapping

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples

MIN_PATIENTS_PER_CLASS = 20
QUARTILES = {0: "minimum", 0.25: "lower quartile", 0.5: "median", 0.75: "upper quartile", 1: "maximum"}


def check_classes_per_patient(context: AuditContext) -> Verdict:
    """Whether every patient shows one class."""
    table = context.table
    checked = "Every patient shows one class."
    classes = table.groupby("PatientID")["label"].transform("nunique")
    mixed = table[classes > 1]
    if mixed.empty:
        return Verdict("pass", checked, 0, "No patient has images of two classes.")
    patients = mixed["PatientID"].nunique()
    found = f"More than one class in the images of {counted(patients, 'patients')}"
    if context.simulated:
        allowed = "A patient shows several classes in different vertebrae only."
        return Verdict("pass", allowed, patients, f"{found}, as they were simulated.")
    detail = f"{found}, as different vertebrae may show; check that it is so."
    return Verdict("warn", checked, patients, detail, examples(mixed["sample_id"]))


def check_class_balance(context: AuditContext) -> Verdict:
    """Whether every class has enough patients."""
    table = context.table
    class_names = context.params.class_names
    checked = f"Every class has at least {MIN_PATIENTS_PER_CLASS} patients."
    patients = table.groupby("label")["PatientID"].nunique().reindex(list(class_names), fill_value=0)
    counted = ", ".join(f"{class_names[key]} {count}" for key, count in patients.items())
    few = int((patients < MIN_PATIENTS_PER_CLASS).sum())
    if few:
        return Verdict("warn", checked, few, f"Patients: {counted}. Intervals will be wide; claims must be small.")
    return Verdict("pass", checked, 0, f"Patients: {counted}.")


def check_classes_per_split(context: AuditContext) -> Verdict:
    """Whether every split holds every class."""
    placed, class_names = context.placed, context.params.class_names
    checked = "Every split of every fold holds every class."
    shown = placed.groupby(["fold", "split"])["label"].nunique()
    short = shown[shown < len(class_names)]
    if short.empty:
        return Verdict("pass", checked, 0, "Early stopping and testing see all classes in every fold.")
    where = ", ".join(f"{split} of fold {fold}" for fold, split in short.index)
    return Verdict("warn", checked, len(short), f"A class is missing from {where}: scores of that part are partial.")


def class_summary(table: pd.DataFrame, *, class_names: dict[str, str]) -> pd.DataFrame:
    """Samples, share, patients and files of each class, in the order of `class_names`."""
    groups = table.groupby("label")
    summary = groups.agg(samples=("sample_id", "size"), patients=("PatientID", "nunique"), files=("source", "nunique"))
    summary = summary.reindex(list(class_names))
    summary.insert(0, "name", list(class_names.values()))
    summary.insert(2, "share", summary["samples"] / summary["samples"].sum())
    return summary.rename_axis("class").reset_index()


def class_quartiles(table: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """Minimum, quartiles and maximum of each numeric column in each class.

    Parameters
    ----------
    table
        One row per sample: `label`, and the columns to describe.
    class_names
        Class key to name, in order.

    Returns
    -------
    Five rows per class that has samples: class, quantile (both by name), then the numeric columns.
    """
    names = pd.Categorical(table["label"].map(class_names), categories=list(class_names.values()))
    quantiles = table.groupby(names, observed=True).quantile(list(QUARTILES), numeric_only=True)
    return quantiles.rename(QUARTILES, level=1).rename_axis(["class", "quantile"]).reset_index()


def split_counts(placed: pd.DataFrame) -> pd.DataFrame:
    """Samples and patients by fold, split and class: columns fold, split, label, n_samples, n_patients."""
    groups = placed.groupby(["fold", "split", "label"], as_index=False)
    return groups.agg(n_samples=("sample_id", "size"), n_patients=("PatientID", "nunique"))
