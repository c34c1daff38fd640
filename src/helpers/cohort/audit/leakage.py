"""What the splits share: patients, studies and images that lie on both sides."""

from itertools import combinations

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, examples
from helpers.study.schemas import SPLITS

SHARED_BY = {"patients": "PatientID", "studies": "StudyInstanceUID", "pixels": "pixel_sha256"}


def check_leakage(context: AuditContext) -> Verdict:
    """Whether anything is shared between the splits of a fold."""
    placed, split_method = context.placed, context.split_params.split_method
    shared = leakage_matrix(placed)
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
    return Verdict("fail", checked, found, detail, examples(list(leaking)))


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
