"""Which labels may be wrong? Confident learning (Northcutt, Jiang & Chuang 2021, 10.1613/jair.1.12125).

A sample is taken to be of the class whose probability is above what samples of that class have on average. Where this
is not the class of its label, the label is in doubt. Probabilities must come from networks that never saw the sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.cohort.splits.manifest import split_manifest
from helpers.evaluation.predictions import probability_column

READER_COLUMNS = ("reader_label", "comment")


@dataclass(frozen=True)
class ConfidentJoint:
    """What labels and probabilities together say of K classes.

    Attributes
    ----------
    counts
        (K, K) int, row: label, column: the class that a sample is confidently taken for.
    likely
        (N,) int, that class for each sample; -1 where no probability is high enough.
    """

    counts: np.ndarray
    likely: np.ndarray

    def calibrated(self, label_counts: np.ndarray) -> np.ndarray:
        """Joint shares of label and true class: (K, K), adding up to 1, each row to the share of its label.

        Parameters
        ----------
        label_counts
            (K,) samples of each label.
        """
        rows = self.counts.sum(axis=1, keepdims=True)
        shares = np.divide(self.counts, rows, out=np.eye(len(self.counts)), where=rows > 0)
        joint = shares * np.reshape(label_counts, (-1, 1))
        return joint / joint.sum()


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> ConfidentJoint:
    """Count samples by their label and the class that they are confidently taken for.

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
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (labels[likely >= 0], likely[likely >= 0]), 1)
    return ConfidentJoint(counts, likely)


def doubtful_labels(ranked: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Samples whose label is in doubt, the most doubtful first.

    Parameters
    ----------
    ranked
        One row per tested sample: sample_id, PatientID, y_true, p_<class> from networks that did not train on it.
    classes
        Class keys in order.

    Returns
    -------
    Rows of `ranked` with `likely` (class key) and `margin`, by how much its probability exceeds that of the label.
    """
    probabilities = ranked[[probability_column(key) for key in classes]].to_numpy(dtype=float)
    labels = pd.Index(classes).get_indexer(ranked["y_true"])
    likely = confident_joint(labels, probabilities).likely
    doubtful = np.flatnonzero((likely >= 0) & (likely != labels))
    margin = probabilities[doubtful, likely[doubtful]] - probabilities[doubtful, labels[doubtful]]
    found = ranked.iloc[doubtful].assign(likely=np.asarray(classes, dtype=object)[likely[doubtful]], margin=margin)
    return found.sort_values(["margin", "sample_id"], ascending=[False, True], ignore_index=True)


def doubt_table(ranked: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """How many labels of each class are in doubt, and for what they are taken.

    Returns
    -------
    One row per label, for reading: images, in doubt, and images taken for each other class.
    """
    doubtful = doubtful_labels(ranked, classes=list(class_names))
    rows = []
    for key, name in class_names.items():
        of_label = doubtful[doubtful["y_true"] == key]
        taken = {f"rather {other}": int((of_label["likely"] == other).sum()) for other in class_names}
        row = {"label": f"{key} {name}", "images": int((ranked["y_true"] == key).sum()), "in doubt": len(of_label)}
        rows.append(row | taken)
    return pd.DataFrame(rows)


def review_list(doubtful: pd.DataFrame, *, cohort: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """A labels table of the whole cohort for a second reading: doubtful labels first, empty columns for the reader.

    Parameters
    ----------
    doubtful
        Result of `doubtful_labels`.
    cohort
        The cohort table.
    splits
        Long table sample_id, fold, split.

    Returns
    -------
    The columns of `split_manifest`, before them `rank` (1: the most doubtful; empty: not in doubt), `likely`, and the
    empty columns `READER_COLUMNS`. Named in ``cohort.labels``, with ``readers: [reader_label, label]`` and
    ``adjudication: first``, what the reader wrote replaces the label, and an empty cell leaves it.
    """
    ranks = doubtful[["sample_id", "likely"]].assign(rank=range(1, len(doubtful) + 1)).astype({"rank": "Int64"})
    manifest = split_manifest(cohort, splits)
    listed = manifest.merge(ranks, on="sample_id", how="left").sort_values(["rank", "sample_id"], ignore_index=True)
    return listed.assign(**dict.fromkeys(READER_COLUMNS, ""))[["rank", "likely", *READER_COLUMNS, *manifest.columns]]
