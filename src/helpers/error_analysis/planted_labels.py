"""What is the list of doubtful labels worth? Labels are changed on purpose, and the list is asked for them.

In a finished study the networks have learned from the labels as they were, so that `planted_lists` finds more than a
cohort with such labels would let it. label_errors.csv is written by ``benchmarks/label_errors.py``, which trains the
networks of the default study on the changed labels.
"""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pandas as pd

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.error_analysis.label_errors import rank_labels
from helpers.error_analysis.wording import with_interval
from helpers.study import EvaluationParams

#: Share of the labels that is changed, how often in a finished study, and how many rows a reader may get through.
CHANGED, DRAWS, DEPTHS = 0.05, 20, (20, 50, 100)


def change_labels(labels: np.ndarray, *, classes: Sequence[str], seed: int) -> np.ndarray:
    """Labels of which `CHANGED`, drawn at random, have become another class, each of the others alike.

    Parameters
    ----------
    labels
        (N,) class keys.
    classes
        All class keys.
    seed
        Of the draw.
    """
    rng = np.random.default_rng(seed)
    codes = pd.Index(classes).get_indexer(labels)
    chosen = rng.choice(len(codes), round(CHANGED * len(codes)), replace=False)
    codes[chosen] = (codes[chosen] + rng.integers(1, len(classes), len(chosen))) % len(classes)
    return np.asarray(classes, dtype=object)[codes]


def listed_changes(ranked: pd.DataFrame, *, true_labels: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Where changed labels stand on the list.

    Parameters
    ----------
    ranked
        What `rank_labels` ranks, with changed labels.
    true_labels
        Labels as they were, by sample_id.
    classes
        Class keys in order.

    Returns
    -------
    In the order of the list: PatientID, `rank` from 1, is_doubtful, is_changed.
    """
    listed = rank_labels(ranked, classes=classes)
    is_changed = listed["y_true"].to_numpy() != true_labels.loc[listed["sample_id"]].to_numpy()
    return listed[["PatientID", "is_doubtful"]].assign(rank=range(1, len(listed) + 1), is_changed=is_changed)


def planted_lists(ranked: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Change labels of a finished study `DRAWS` times: the rows of `listed_changes` of all draws."""
    true_labels = ranked.set_index("sample_id")["y_true"]
    draws = [
        ranked.assign(y_true=change_labels(ranked["y_true"].to_numpy(), classes=classes, seed=seed))
        for seed in range(DRAWS)
    ]
    return pd.concat([listed_changes(changed, true_labels=true_labels, classes=classes) for changed in draws])


def worth_table(planted: pd.DataFrame, *, params: EvaluationParams) -> pd.DataFrame:
    """How many of the rows that a reader goes through have a changed label, and how many of all changed are there.

    Parameters
    ----------
    planted
        Result of `planted_lists`.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per number of rows gone through, for reading: that number, its share of all rows, which is the recall of
    chance, precision and recall; intervals by patients resampled.
    """
    depths = [depth for depth in DEPTHS if depth < planted["rank"].max()]
    read = {f"the first {depth}": (planted["rank"] <= depth, depth) for depth in depths}
    in_doubt, n_lists = planted["is_doubtful"], (planted["rank"] == 1).sum()
    read["all in doubt"] = (in_doubt, round(in_doubt.sum() / n_lists))
    rows = []
    for name, (is_read, number) in read.items():
        found = is_read & planted["is_changed"]
        shares = {
            title: ratio_of_sums(found, whole, patients=planted["PatientID"], params=params)
            for title, whole in (("precision", is_read), ("recall", planted["is_changed"]))
        }
        words = {title: with_interval(share, decimals=2) for title, share in shares.items()}
        share = f"{number / planted['rank'].max():.2f}"
        rows.append({"rows read": name, "number": number, "share of all rows": share, **words})
    return pd.DataFrame(rows)


def trained_worth() -> pd.DataFrame:
    """The table of `worth_table` for the default study trained on changed labels."""
    return pd.read_csv(files("helpers.error_analysis").joinpath("label_errors.csv"))
