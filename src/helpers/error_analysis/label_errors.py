"""Which labels may be wrong? Confident learning (Northcutt, Jiang & Chuang 2021, 10.1613/jair.1.12125).

A sample is taken to be of the class whose probability is above what samples of that class have on average. Where this
is not the class of its label, the label is in doubt. Probabilities must come from networks that never saw the sample.
Labels are ranked by their own probability alone: on the simulated cohort changed labels stand higher so than with those
in doubt first.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.cohort.splits.manifest import split_manifest
from helpers.evaluation.predictions import probability_column

READER_COLUMNS = ("reader_label", "comment")


def confident_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The class that each sample is confidently taken for, (N,) int; -1 where no probability is high enough.

    Parameters
    ----------
    labels
        (N,) class codes.
    probabilities
        (N, K) out-of-sample probabilities.
    """
    n_classes = probabilities.shape[1]
    present = np.bincount(labels, minlength=n_classes) > 0
    thresholds = np.full(n_classes, np.inf)
    thresholds[present] = [probabilities[labels == code, code].mean() for code in np.flatnonzero(present)]
    is_candidate = probabilities >= thresholds
    likely = np.where(is_candidate, probabilities, -1).argmax(axis=1)
    likely[~is_candidate.any(axis=1)] = -1
    return likely


def rank_labels(ranked: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """All tested samples, the least probable label first, and which labels are in doubt.

    Parameters
    ----------
    ranked
        One row per tested sample: sample_id, PatientID, y_true, p_<class> from networks that did not train on it.
    classes
        Class keys in order.

    Returns
    -------
    Rows of `ranked` with `is_doubtful`, `likely` (the class key that the label is doubted for, else empty) and
    `p_label` (probability of the label).
    """
    probabilities = ranked[[probability_column(key) for key in classes]].to_numpy(dtype=float)
    labels = pd.Index(classes).get_indexer(ranked["y_true"])
    likely = confident_classes(labels, probabilities)
    is_doubtful = (likely >= 0) & (likely != labels)
    listed = ranked.assign(
        is_doubtful=is_doubtful,
        likely=np.where(is_doubtful, np.asarray(classes, dtype=object)[likely], ""),
        p_label=probabilities[np.arange(len(labels)), labels],
    )
    return listed.sort_values(["p_label", "sample_id"], ignore_index=True)


def doubt_table(listed: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """How many labels of each class are in doubt, and for what they are taken.

    Parameters
    ----------
    listed
        Result of `rank_labels`.
    class_names
        Class key → name.

    Returns
    -------
    One row per label, for reading: images, in doubt, and images taken for each other class.
    """
    rows = []
    for key, name in class_names.items():
        of_label = listed[listed["y_true"] == key]
        taken = {f"rather {other}": int((of_label["likely"] == other).sum()) for other in class_names}
        in_doubt = int(of_label["is_doubtful"].sum())
        rows.append({"label": f"{key} {name}", "images": len(of_label), "in doubt": in_doubt} | taken)
    return pd.DataFrame(rows)


def review_list(listed: pd.DataFrame, *, cohort: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """A labels table of the whole cohort for a second reading, with empty columns for the reader.

    Parameters
    ----------
    listed
        Result of `rank_labels`.
    cohort
        The cohort table.
    splits
        Long table sample_id, fold, split.

    Returns
    -------
    The columns of `split_manifest`, before them `rank` in `listed` (empty: never tested), `likely` (empty: not in
    doubt), and the empty columns `READER_COLUMNS`. Named in ``cohort.labels``, with ``readers: [reader_label, label]``
    and ``adjudication: first``, what the reader wrote replaces the label, and an empty cell leaves it.
    """
    ranks = listed[["sample_id", "likely"]].assign(rank=range(1, len(listed) + 1)).astype({"rank": "Int64"})
    manifest = split_manifest(cohort, splits)
    ordered = manifest.merge(ranks, on="sample_id", how="left").sort_values(["rank", "sample_id"], ignore_index=True)
    return ordered.assign(**dict.fromkeys(READER_COLUMNS, ""))[["rank", "likely", *READER_COLUMNS, *manifest.columns]]
