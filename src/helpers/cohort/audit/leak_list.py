"""Which samples leak or are copies, by file: what someone needs who has to mend it."""

import pandas as pd

from helpers.cohort.audit.leakage import SHARED_BY
from helpers.cohort.audit.verdicts import AuditContext
from helpers.cohort.reading import Cohort
from helpers.study import CohortParams
from helpers.study.spreadsheets import without_formulas

LEAK_COLUMNS = ("fold", "shared", "group", "split", "sample_id", "PatientID", "source")


def leak_list(cohort: Cohort, splits: pd.DataFrame, *, params: CohortParams) -> pd.DataFrame:
    """Every sample that shares something with a sample of another split of the same fold.

    Parameters
    ----------
    cohort, splits
        As `read_cohort` and `split_cohort` give them.
    params
        Section `cohort` of the parameters.

    Returns
    -------
    Columns fold; shared (what, as the leakage matrix names it); group (samples of one number share it); split;
    sample_id; PatientID (pseudonym); source (file). Sorted, so that those who share lie together.
    """
    placed = AuditContext(cohort, params, splits).placed
    parts = []
    for what, column in SHARED_BY.items():
        if column in placed:
            spread = placed.groupby(["fold", column])["split"].transform("nunique") > 1
            leaking = placed[spread.fillna(False)]
            parts.append(leaking.assign(shared=what, group=pd.factorize(leaking[column])[0] + 1))
    listed = pd.concat(parts)[list(LEAK_COLUMNS)]
    return without_formulas(listed.sort_values(list(LEAK_COLUMNS), ignore_index=True))


def copy_list(cohort: Cohort) -> pd.DataFrame:
    """Every pair of copies with patients, labels and files of both: what the verdicts on copies count."""
    known = cohort.table[["sample_id", "PatientID", "label", "source"]]
    pairs = cohort.copies
    for side in ("a", "b"):
        named = known.rename(columns={column: f"{column}_{side}" for column in known if column != "sample_id"})
        pairs = pairs.merge(named.rename(columns={"sample_id": f"sample_{side}"}), on=f"sample_{side}", how="left")
    return without_formulas(pairs)
