"""Patients, studies, series and images: how many there are, and whether each belongs to one of the next."""

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples
from helpers.cohort.sources.image_folder import BY_NAME, PATIENT_FROM

OWNED = {"StudyInstanceUID": "study", "SeriesInstanceUID": "series"}
COUNTED = {
    "patients": "PatientID",
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "images": "pixel_sha256",
    "samples": "sample_id",
}


def check_identity(context: AuditContext) -> Verdict:
    """Whether every study and every series belongs to one patient."""
    table = context.table
    checked = "Every StudyInstanceUID and every SeriesInstanceUID belongs to one PatientID."
    counted = ", ".join(f"{row.number} {row.what}" for row in identity_table(context).itertuples()) + "."
    shared = {column: _of_several_patients(table, column) for column in OWNED if column in table}
    found = sum(table.loc[rows, column].nunique() for column, rows in shared.items())
    if found:
        samples = pd.concat([table.loc[rows, "sample_id"] for rows in shared.values()])
        detail = f"{counted} {found} studies or series under more than one patient can leak between splits."
        return Verdict("fail", checked, found, detail, examples(samples))
    if table["StudyInstanceUID"].isna().all():
        detail = f"{counted} No file names its study: PatientID alone keeps patients together."
        return Verdict("warn", checked, 0, detail)
    return Verdict("pass", checked, 0, counted)


def check_one_name_per_patient(context: AuditContext) -> Verdict:
    """Whether images of two patients are copies of each other: then they may be one person under two names."""
    checked = "No two patients share an image, which would make them one person under two names."
    pairs = patients_with_copies(context)
    if pairs.empty:
        return Verdict("pass", checked, 0, "No image of one patient is a copy of another patient's.")
    known = context.table.set_index("sample_id")
    samples = known.index[known["PatientID"].isin(pd.concat([pairs["patient_a"], pairs["patient_b"]]))]
    detail = (
        f"{len(pairs)} pairs of patients share identical or near-identical images. If they are one person, give them "
        "one PatientID; splits.merge_linked_patients keeps them on one side meanwhile."
    )
    return Verdict("warn", checked, len(pairs), detail, examples(samples))


def check_patients_known(context: AuditContext) -> Verdict:
    """Whether it was said which patient each image is of, or guessed from file names (see `patient_guess`)."""
    checked = "It is known of which patient each image is; none is guessed from a file name."
    table = context.table
    if PATIENT_FROM not in table:
        return Verdict("pass", checked, 0, "Patients are named by the files or their labels.")
    guessed = table[table[PATIENT_FROM] == BY_NAME]
    if guessed.empty:
        return Verdict("pass", checked, 0, "Patients are named by their folders.")
    detail = (
        f"{guessed['PatientID'].nunique()} patients were told apart by file names only. If one person has several "
        "names there, training and test share patients: give a labels table, or one folder for each patient."
    )
    return Verdict("warn", checked, len(guessed), detail, examples(guessed["sample_id"]))


def patients_with_copies(context: AuditContext) -> pd.DataFrame:
    """Pairs of patients who share an image: columns patient_a, patient_b, each pair once."""
    table = context.table
    same = table[["pixel_sha256", "PatientID"]].drop_duplicates()
    first = same.groupby("pixel_sha256")["PatientID"].transform("min")
    identical = pd.DataFrame({"patient_a": first, "patient_b": same["PatientID"]})
    pairs = pd.concat([identical, context.near_copies[["patient_a", "patient_b"]]])
    pairs = pairs[pairs["patient_a"] != pairs["patient_b"]]
    ordered = pairs.agg(["min", "max"], axis=1).set_axis(["patient_a", "patient_b"], axis=1)
    return ordered.drop_duplicates(ignore_index=True)


def identity_table(context: AuditContext) -> pd.DataFrame:
    """How many patients, studies, series, images and samples there are: columns what, number."""
    known = {what: column for what, column in COUNTED.items() if column in context.table}
    return pd.DataFrame(
        {"what": list(known), "number": [int(context.table[column].nunique()) for column in known.values()]}
    )


def _of_several_patients(table: pd.DataFrame, column: str) -> pd.Series:
    """Mask of the samples whose study or series has images of more than one patient."""
    return table.groupby(column)["PatientID"].transform("nunique") > 1
