"""The audit: what was checked in a cohort and its splits, how many findings, and what they mean.

A verdict is `pass`, `warn` (look at it) or `fail` (a number drawn from these splits would mislead). Verdicts name
samples by `sample_id` and header attributes by name; they never hold a value that could identify a person.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import pandas as pd

from helpers.cohort.exclusions import Reason
from helpers.cohort.reading import Cohort
from helpers.cohort.series import SAGITTAL_ORIENTATION
from helpers.study import CohortParams, SplitParams
from helpers.study.schemas import SPLITS

MAX_EXAMPLES = 5
MIN_PATIENTS_PER_CLASS = 20
SHARED_BY = {"patients": "PatientID", "studies": "StudyInstanceUID", "pixels": "pixel_sha256"}


@dataclass(frozen=True)
class Verdict:
    """One finding of the audit.

    Attributes
    ----------
    status
        `pass`, `warn` or `fail`.
    checked
        The sentence that was tested.
    found
        How many cases speak against it.
    detail
        What that means here.
    examples
        Up to five `sample_id`, sorted.
    """

    status: Literal["pass", "warn", "fail"]
    checked: str
    found: int
    detail: str
    examples: tuple[str, ...] = ()


def audit_cohort(
    cohort: Cohort, splits: pd.DataFrame, *, cohort_params: CohortParams, split_params: SplitParams
) -> dict[str, Any]:
    """Audit a cohort and its splits.

    Returns
    -------
    JSON-ready dict: ``verdicts`` by name, ``flow`` (list of steps), ``counts`` (samples and patients by fold, split and
    class), ``leakage`` (what each pair of splits shares, fold by fold), ``simulated``, ``split_method``.
    """
    table = cohort.table
    simulated = cohort_params.source == "phantom"
    placed = splits.merge(table, on="sample_id", validate="many_to_one")
    shared = leakage_matrix(placed)
    verdicts = {
        "simulated": _simulated(table, simulated=simulated),
        "exclusions": _exclusions(cohort.exclusions),
        "identity": _identity(table),
        "leakage": _leakage(shared, placed=placed, split_method=split_params.split_method),
        "duplicates": _duplicates(table),
        "label_conflicts": _label_conflicts(table, exclusions=cohort.exclusions),
        "classes_per_patient": _classes_per_patient(table, simulated=simulated),
        "class_balance": _class_balance(table, class_names=cohort_params.class_names),
        "classes_per_split": _classes_per_split(placed, class_names=cohort_params.class_names),
        "privacy": _privacy(table, simulated=simulated),
        "pixel_size": _pixel_size(table),
        "orientation": _orientation(table),
        "graphics": _graphics(table),
    }
    return {
        "verdicts": {
            name: asdict(verdict) | {"examples": list(verdict.examples)} for name, verdict in verdicts.items()
        },
        "flow": [dict(step) for step in cohort.flow],
        "counts": split_counts(placed).to_dict("records"),
        "leakage": shared.to_dict("records"),
        "simulated": simulated,
        "split_method": split_params.split_method,
    }


def class_summary(table: pd.DataFrame, *, class_names: dict[str, str]) -> pd.DataFrame:
    """Samples, share, patients and files of each class, in the order of `class_names`."""
    groups = table.groupby("label")
    summary = groups.agg(samples=("sample_id", "size"), patients=("PatientID", "nunique"), files=("source", "nunique"))
    summary = summary.reindex(list(class_names))
    summary.insert(0, "name", list(class_names.values()))
    summary.insert(2, "share", summary["samples"] / summary["samples"].sum())
    return summary.rename_axis("class").reset_index()


def split_counts(placed: pd.DataFrame) -> pd.DataFrame:
    """Samples and patients by fold, split and class: columns fold, split, label, n_samples, n_patients."""
    groups = placed.groupby(["fold", "split", "label"], as_index=False)
    return groups.agg(n_samples=("sample_id", "size"), n_patients=("PatientID", "nunique"))


def leakage_matrix(placed: pd.DataFrame) -> pd.DataFrame:
    """What each pair of splits shares in each fold: columns fold, pair, patients, studies, pixels."""
    rows = []
    for fold, group in placed.groupby("fold"):
        for first, second in combinations(SPLITS, 2):
            one, other = group[group["split"] == first], group[group["split"] == second]
            shared = {
                name: len(set(one[column].dropna()) & set(other[column].dropna())) for name, column in SHARED_BY.items()
            }
            rows.append({"fold": int(fold), "pair": f"{first} and {second}", **shared})
    return pd.DataFrame(rows)


def verdict_table(audit: dict[str, Any]) -> pd.DataFrame:
    """The verdicts as rows, failures first: columns verdict, status, checked, found, detail."""
    rows = [{"verdict": name.replace("_", " "), **verdict} for name, verdict in audit["verdicts"].items()]
    table = pd.DataFrame(rows)[["verdict", "status", "checked", "found", "detail"]]
    order = table["status"].map({"fail": 0, "warn": 1, "pass": 2})
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _examples(samples: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(samples)[:MAX_EXAMPLES])


def _simulated(table: pd.DataFrame, *, simulated: bool) -> Verdict:
    checked = "The images were acquired from patients."
    if simulated:
        detail = "The cohort is simulated: no result on it says anything about patients."
        return Verdict("warn", checked, len(table), detail)
    return Verdict("pass", checked, 0, "The cohort was read from files that the study did not generate.")


def _exclusions(exclusions: pd.DataFrame) -> Verdict:
    checked = "Every file and every row of the labels table is used."
    if exclusions.empty:
        return Verdict("pass", checked, 0, "Nothing was left out.")
    counts = exclusions["reason"].value_counts().sort_index()
    detail = "Left out: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()) + "."
    return Verdict("warn", checked, len(exclusions), detail)


def _identity(table: pd.DataFrame) -> Verdict:
    checked = "Every StudyInstanceUID belongs to one PatientID."
    studies = table.dropna(subset="StudyInstanceUID")
    owners = studies.groupby("StudyInstanceUID")["PatientID"].nunique()
    shared = owners.index[owners > 1]
    if len(shared):
        examples = _examples(studies.loc[studies["StudyInstanceUID"].isin(shared), "sample_id"])
        return Verdict("fail", checked, len(shared), "A study under two patients can leak between splits.", examples)
    if studies.empty:
        return Verdict("warn", checked, 0, "The files name no study: PatientID alone keeps patients together.")
    return Verdict("pass", checked, 0, f"{len(owners)} studies of {table['PatientID'].nunique()} patients.")


def _leakage(shared: pd.DataFrame, *, placed: pd.DataFrame, split_method: str) -> Verdict:
    checked = "No patient, study or identical image lies in two splits of one fold."
    found = int(shared[list(SHARED_BY)].to_numpy().sum())
    if not found:
        folds = shared["fold"].nunique()
        return Verdict("pass", checked, 0, f"Checked for every pair of splits in {folds} fold(s).")
    leaking: set[str] = set()
    for column in SHARED_BY.values():
        spread = placed.groupby(["fold", column])["split"].transform("nunique")
        leaking |= set(placed.loc[spread > 1, "sample_id"])
    patients = int(shared["patients"].sum())
    detail = (
        f"{patients} patients, {shared['studies'].sum()} studies, {shared['pixels'].sum()} identical images shared."
    )
    if split_method == "image_holdout":
        detail += " Intended: the paper's protocol divides images, not patients; its accuracy is too optimistic."
    return Verdict("fail", checked, found, detail, _examples(list(leaking)))


def _duplicates(table: pd.DataFrame) -> Verdict:
    checked = "No two files hold the same pixels."
    files = table.groupby("pixel_sha256")["source"].transform("nunique")
    doubled = table[files > 1]
    if doubled.empty:
        return Verdict("pass", checked, 0, "All decoded images differ.")
    groups = doubled.groupby("pixel_sha256")["PatientID"].nunique()
    across = int((groups > 1).sum())
    detail = f"{len(groups)} images are stored more than once, {across} of them under different patients."
    return Verdict("fail" if across else "warn", checked, len(groups), detail, _examples(doubled["sample_id"]))


def _label_conflicts(table: pd.DataFrame, *, exclusions: pd.DataFrame) -> Verdict:
    checked = "No image carries two labels."
    place = ["pixel_sha256", "center_row_px", "center_col_px"]
    labels = table.groupby(place)["label"].transform("nunique")
    conflicting = table[labels > 1]
    dropped = int((exclusions["reason"] == Reason.LABEL_CONFLICT).sum())
    if len(conflicting):
        detail = "Equal pixels in different files are labelled differently, and both are used: decide which is right."
        return Verdict("fail", checked, len(conflicting), detail, _examples(conflicting["sample_id"]))
    if dropped:
        return Verdict("warn", checked, dropped, "The rows in conflict were left out.")
    return Verdict("pass", checked, 0, "Every image has one label.")


def _classes_per_patient(table: pd.DataFrame, *, simulated: bool) -> Verdict:
    checked = "Every patient shows one class."
    classes = table.groupby("PatientID")["label"].transform("nunique")
    mixed = table[classes > 1]
    if mixed.empty:
        return Verdict("pass", checked, 0, "No patient has images of two classes.")
    patients = mixed["PatientID"].nunique()
    detail = f"{patients} patients have images of more than one class, as different vertebrae may; check that it is so."
    return Verdict("pass" if simulated else "warn", checked, patients, detail, _examples(mixed["sample_id"]))


def _class_balance(table: pd.DataFrame, *, class_names: dict[str, str]) -> Verdict:
    checked = f"Every class has at least {MIN_PATIENTS_PER_CLASS} patients."
    patients = table.groupby("label")["PatientID"].nunique().reindex(list(class_names), fill_value=0)
    counted = ", ".join(f"{class_names[key]} {count}" for key, count in patients.items())
    few = int((patients < MIN_PATIENTS_PER_CLASS).sum())
    if few:
        return Verdict("warn", checked, few, f"Patients: {counted}. Intervals will be wide; claims must be small.")
    return Verdict("pass", checked, 0, f"Patients: {counted}.")


def _classes_per_split(placed: pd.DataFrame, *, class_names: dict[str, str]) -> Verdict:
    checked = "Every split of every fold holds every class."
    shown = placed.groupby(["fold", "split"])["label"].nunique()
    short = shown[shown < len(class_names)]
    if short.empty:
        return Verdict("pass", checked, 0, "Early stopping and testing see all classes in every fold.")
    where = ", ".join(f"{split} of fold {fold}" for fold, split in short.index)
    return Verdict("warn", checked, len(short), f"A class is missing from {where}: scores of that part are partial.")


def _privacy(table: pd.DataFrame, *, simulated: bool) -> Verdict:
    checked = "No header holds a direct identifier (name, birth date, institution, record number)."
    held = table.dropna(subset="identifying_attributes")
    if held.empty:
        return Verdict("pass", checked, 0, "None of the attributes looked for holds a value.")
    names = sorted({name for names in held["identifying_attributes"] for name in names.split()})
    if simulated:
        return Verdict("pass", checked, 0, f"Attributes with a value: {', '.join(names)}; they name no person.")
    detail = f"Attributes with a value: {', '.join(names)}. De-identify the files before they leave your institution."
    return Verdict("warn", checked, len(held), detail, _examples(held["sample_id"]))


def _pixel_size(table: pd.DataFrame) -> Verdict:
    checked = "The pixel size of every image is known from its file or the labels table."
    assumed = table[table["spacing_from"] == "parameter"]
    if assumed.empty:
        return Verdict("pass", checked, 0, "No pixel size was assumed.")
    detail = "cohort.mm_per_px was assumed: lengths and scale of these images may be wrong."
    return Verdict("warn", checked, len(assumed), detail, _examples(assumed["sample_id"]))


def _orientation(table: pd.DataFrame) -> Verdict:
    checked = "Every image is sagittal with superior on top and anterior left."
    known = table.dropna(subset="PatientOrientation")
    other = known[known["PatientOrientation"] != SAGITTAL_ORIENTATION]
    if len(other):
        found = ", ".join(sorted(set(other["PatientOrientation"])))
        detail = f"Rows and columns run to {found}: the network sees these images in another plane or turned."
        return Verdict("warn", checked, len(other), detail, _examples(other["sample_id"]))
    if len(known) < len(table):
        return Verdict("warn", checked, 0, "The files do not tell their orientation: look at the contact sheet.")
    return Verdict("pass", checked, 0, "Read from ImageOrientationPatient.")


def _graphics(table: pd.DataFrame) -> Verdict:
    checked = "No image carries coloured letters, scales or marks of a viewer."
    drawn = table[table["coloured_fraction"] > 0]
    if drawn.empty:
        return Verdict("pass", checked, 0, "All pixels are grey; grey marks would not be noticed.")
    detail = f"Up to {drawn['coloured_fraction'].max():.2%} of the pixels are coloured and used as grey."
    return Verdict("warn", checked, len(drawn), detail, _examples(drawn["sample_id"]))
