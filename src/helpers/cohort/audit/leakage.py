"""What the splits share: patients, studies, series and images that lie on both sides."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from helpers.cohort.audit.verdicts import AuditContext, Verdict, counted, examples
from helpers.study.errors import StudyError
from helpers.study.schemas import SPLITS

# What is counted -> the column whose values must not lie in two splits.
SHARED_BY = {
    "patients": "PatientID",
    "header_patients": "header_patient",
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "identical_images": "pixel_sha256",
    "near_identical_images": "copy_group",
}
CHECKED = (
    "No patient (of table or header), study, series, identical or near-identical image lies in two splits of one fold."
)
WAYS_OUT = (
    "set splits.merge_linked_patients to true, remove the copies, correct the PatientIDs, "
    "or say in splits.intended_leakage why it is wanted"
)


class LeakageError(StudyError, ValueError):
    """Splits that share what they must not share; the message says what, and the ways out."""


def check_leakage(context: AuditContext) -> Verdict:
    """Whether anything is shared between the splits of a fold.

    It fails, unless the parameters say in words that leakage is intended: then the words are quoted in a warning.
    """
    shared = leakage_matrix(context.placed)
    counts = shared[list(SHARED_BY)].sum()
    found = int(counts.sum())
    if not found:
        folds = shared["fold"].nunique()
        return Verdict("pass", CHECKED, 0, f"Checked for every pair of splits in {counted(folds, 'folds')}.")
    leaking: set[str] = set()
    for column in context.placed.columns.intersection(list(SHARED_BY.values())):
        spread = context.placed.groupby(["fold", column])["split"].transform("nunique")
        leaking |= set(context.placed.loc[spread > 1, "sample_id"])
    detail = f"Shared, summed over pairs of splits and folds: {_counted(counts)}; scores will be too good."
    intended = context.split_params.intended_leakage
    if intended is not None:
        detail += f" Intended, in the words of the parameters: \u201c{intended}\u201d."
    return Verdict("fail" if intended is None else "warn", CHECKED, found, detail, examples(leaking))


def leakage_matrix(placed: pd.DataFrame) -> pd.DataFrame:
    """What each pair of splits shares in each fold.

    Parameters
    ----------
    placed
        As `AuditContext.placed` has it. Columns that are missing count as nothing shared.

    Returns
    -------
    Columns fold, pair and the names of `SHARED_BY`; near-identical images are counted as groups of images.
    """
    rows = []
    for fold, group in placed.groupby("fold"):
        for first, second in combinations(SPLITS, 2):
            shared = shared_values(group[group["split"] == first], group[group["split"] == second])
            rows.append({"fold": int(fold), "pair": f"{first} and {second}", **shared})
    return pd.DataFrame(rows, columns=["fold", "pair", *SHARED_BY])


def require_no_leakage(audit: Mapping[str, Any]) -> None:
    """Stop here if the audit found leakage that nobody intended, between the splits or into an external cohort.

    Parameters
    ----------
    audit
        As `audit_cohort` gives it for a divided cohort; ``external`` holds the audits of external cohorts by name.

    Raises
    ------
    LeakageError
        If the verdict on leakage, or on the overlap of an external cohort, is a failure.
    """
    verdict = audit["verdicts"]["leakage"]
    if verdict["status"] == "fail":
        raise LeakageError(
            f"the splits leak. {verdict['detail']} leaks.csv in the run folder lists the files, copies.csv all copies. "
            f"Ways out: {WAYS_OUT}"
        )
    for name, external in audit.get("external", {}).items():
        overlap = external["verdicts"]["overlap"]
        if overlap["status"] == "fail":
            raise LeakageError(
                f"external cohort {name} is not external. {overlap['detail']} For example "
                f"{', '.join(overlap['examples'])} of external.parquet. Ways out: remove those samples from it, or say "
                "in splits.intended_leakage why they are wanted"
            )


def shared_values(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int]:
    """How many values of each column of `SHARED_BY` lie in both tables."""
    known = {name: column for name, column in SHARED_BY.items() if column in one and column in other}
    counts = {name: len(set(one[column].dropna()) & set(other[column].dropna())) for name, column in known.items()}
    return dict.fromkeys(SHARED_BY, 0) | counts


def _counted(counts: pd.Series) -> str:
    return ", ".join(counted(int(count), name.replace("_", " ")) for name, count in counts.items() if count)
