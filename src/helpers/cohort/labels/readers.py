"""Several readers' labels of one image: what each says, and the declared rule that makes one label of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

import pandas as pd

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.entries import class_key
from helpers.study import CohortParams

GROUP = "group"


def adjudicate(readings: Sequence[Optional[str]], *, rule: Literal["majority", "unanimous", "first"]) -> str:
    """One class key from those of several readers.

    Parameters
    ----------
    readings
        Class key of each reader in the order of `cohort.readers`, None where a reader gave no label. An empty cell is
        no vote: the rule is applied to the readers who gave one.
    rule
        `majority`: the label of more than half of them. `unanimous`: the label of all. `first`: that of the first.

    Raises
    ------
    NotUsable
        `MISSING_LABEL` if nobody gave a label, `READERS_DISAGREE` if the rule leaves none.
    """
    votes = [reading for reading in readings if reading is not None]
    if not votes:
        raise NotUsable(Reason.MISSING_LABEL, "no reader gave a label")
    if rule == "first":
        return votes[0]
    (label, count), *_ = Counter(votes).most_common()
    if count == len(votes) or (rule == "majority" and count > len(votes) / 2):
        return label
    found = ", ".join(f"{key} {number}" for key, number in sorted(Counter(votes).items()))
    raise NotUsable(Reason.READERS_DISAGREE, f"no {rule} label among {len(votes)} readers: {found}")


def read_keys(row: Mapping[str, Any], *, params: CohortParams) -> list[Optional[str]]:
    """Class key of each reader for a row, None for an empty cell; `NotUsable` names the reader of an unknown label."""
    keys: list[Optional[str]] = []
    for number, column in enumerate(params.readers, start=1):
        try:
            keys.append(None if row[column] is None else class_key(row[column], params))
        except NotUsable as finding:
            raise NotUsable(finding.reason, f"reader {number}: {finding.detail}") from finding
    return keys


def reading_table(rows: Sequence[Mapping[str, Any]], *, params: CohortParams) -> pd.DataFrame:
    """What every reader says of every image, for the agreement among them.

    Parameters
    ----------
    rows
        Rows of `labels.read_labels`, whether they can be used otherwise or not.
    params
        Section `cohort`; `readers` names the columns.

    Returns
    -------
    One row per row that names a file and that the readers' labels are known of: ``group``, a number that rows of one
    patient (or file, where no patient is named) share, then ``reader_1``, ``reader_2`` ... with class keys or None.
    Readers are numbered because a column may be called by a name. Empty without readers.
    """
    names = [f"reader_{number}" for number in range(1, len(params.readers) + 1)]
    found: list[list[Optional[str]]] = []
    groups: list[str] = []
    for row in rows if names else ():
        try:
            keys = read_keys(row, params=params)
        except NotUsable:
            continue
        if row["file"] is not None:
            found.append(keys)
            groups.append(row["PatientID"] or f"file {row['file']}")
    table = pd.DataFrame(found, columns=names, dtype=object)
    if names:
        table.insert(0, GROUP, pd.factorize(pd.Series(groups, dtype=object))[0])
    return table
