"""Patients, studies, series and images: how many there are, and whether each belongs to one of the next."""

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples
from helpers.cohort.sources.image_folder import BY_NAME, PATIENT_FROM

HEADER = "header_patient"
OWNED = {"StudyInstanceUID": "studies", "SeriesInstanceUID": "series", HEADER: "header PatientIDs"}
COUNTED = {
    "patients": "PatientID",
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "images": "pixel_sha256",
    "samples": "sample_id",
}


def check_identity(context: AuditContext) -> Verdict:
    """Whether every study, every series and every PatientID of a header belongs to one patient."""
    table = context.table
    checked = "Every StudyInstanceUID, SeriesInstanceUID and PatientID of a header belongs to one PatientID."
    numbers = ", ".join(counted(row.number, row.what) for row in identity_table(context).itertuples()) + "."
    shared = {column: _of_several_patients(table, column) for column in OWNED if column in table}
    counts = {OWNED[column]: table.loc[rows, column].nunique() for column, rows in shared.items() if rows.any()}
    found = sum(counts.values())
    if found:
        samples = pd.concat([table.loc[rows, "sample_id"] for rows in shared.values()])
        listed = ", ".join(counted(number, what) for what, number in counts.items())
        detail = f"{numbers} Under more than one patient, so that splits may share them: {listed}."
        return Verdict("fail", checked, found, detail, examples(samples))
    renamed = _of_several_headers(table)
    notes = []
    if renamed.any():
        patients = counted(table.loc[renamed, "PatientID"].nunique(), "patients")
        notes.append(f"More than one PatientID in the headers of {patients}: is each of them one person?")
    if table["StudyInstanceUID"].isna().all():
        notes.append("No file names its study: PatientID alone keeps patients together.")
    detail = " ".join([numbers, *notes])
    return Verdict("warn" if notes else "pass", checked, 0, detail, examples(table.loc[renamed, "sample_id"]))


def check_one_name_per_patient(context: AuditContext) -> Verdict:
    """Whether images of two patients are copies of each other: then they may be one person under two names."""
    checked = "No two patients share an image, which would make them one person under two names."
    pairs = patients_with_copies(context)
    if pairs.empty:
        return Verdict("pass", checked, 0, "No image of one patient is a copy of another patient's.")
    known = context.table.set_index("sample_id")
    samples = known.index[known["PatientID"].isin(pd.concat([pairs["patient_a"], pairs["patient_b"]]))]
    detail = (
        f"Identical or near-identical images in {counted(len(pairs), 'pairs')} of patients. If they are one person, "
        "give them one PatientID; splits.merge_linked_patients keeps them on one side meanwhile."
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
        f"Told apart by file names only: {counted(guessed['PatientID'].nunique(), 'patients')}. If one person has "
        "several names there, training and test share patients: give a labels table, or one folder for each patient."
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
    """Mask of the samples whose study, series or header name has images of more than one patient."""
    return table.groupby(column)["PatientID"].transform("nunique") > 1


def _of_several_headers(table: pd.DataFrame) -> pd.Series:
    """Mask of the samples of patients whose headers give more than one PatientID."""
    if HEADER not in table:
        return pd.Series(False, index=table.index)
    return table.groupby("PatientID")[HEADER].transform("nunique") > 1
