"""Patients, studies, series and images: whether each belongs to one of the next."""

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples


def check_identity(context: AuditContext) -> Verdict:
    """Whether every study belongs to one patient."""
    table = context.table
    checked = "Every StudyInstanceUID belongs to one PatientID."
    studies = table.dropna(subset="StudyInstanceUID")
    owners = studies.groupby("StudyInstanceUID")["PatientID"].nunique()
    shared = owners.index[owners > 1]
    if len(shared):
        samples = examples(studies.loc[studies["StudyInstanceUID"].isin(shared), "sample_id"])
        return Verdict("fail", checked, len(shared), "A study under two patients can leak between splits.", samples)
    if studies.empty:
        return Verdict("warn", checked, 0, "The files name no study: PatientID alone keeps patients together.")
    return Verdict("pass", checked, 0, f"{len(owners)} studies of {table['PatientID'].nunique()} patients.")
