"""Patients who must not be divided: those that share a study or a header name, or whose images are copies.

Two PatientIDs with one study, with one PatientID in the headers of their files, or with one and the same image, may
well be one person. Who wants to be safe keeps all that hangs together on one side of every split.
"""

from typing import Optional

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

LINKING_COLUMNS = ("PatientID", "header_patient", "StudyInstanceUID", "SeriesInstanceUID")


def linked_patients(table: pd.DataFrame, *, copies: Optional[pd.DataFrame] = None) -> pd.Series:
    """Group the samples that hang together by patient (of table or header), study, series or copy.

    Parameters
    ----------
    table
        Cohort table with sample_id, PatientID and, where known, the other `LINKING_COLUMNS`.
    copies
        Pairs of samples as `find_copies` gives them: columns sample_a, sample_b. A pair with a sample that is not in
        the table, such as one of another cohort, links nothing.

    Returns
    -------
    For each row, in the order of `table`, the first PatientID (by name) of its group; the index is the table's own.
    """
    rows = pd.Series(np.arange(len(table)))
    links = [_copied_rows(table, copies)] if copies is not None else []
    for column in LINKING_COLUMNS:
        if column in table:
            values = table[column].reset_index(drop=True)
            first = rows.groupby(values).transform("first").dropna()
            links.append(np.column_stack([first.index, first]).astype(np.intp))
    start, end = np.concatenate(links).T
    graph = coo_array((np.ones(len(start), bool), (start, end)), shape=(len(table), len(table)))
    _, group = connected_components(graph, directed=False)
    return table["PatientID"].groupby(group).transform("min")


def _copied_rows(table: pd.DataFrame, copies: pd.DataFrame) -> np.ndarray:
    """(N, 2) positions of the samples of each pair."""
    names = pd.Index(table["sample_id"])
    pairs = np.column_stack([names.get_indexer(copies["sample_a"]), names.get_indexer(copies["sample_b"])])
    return pairs[(pairs >= 0).all(axis=1)]
