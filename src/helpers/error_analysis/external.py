"""Which samples of an external cohort a figure has room for, and what it shows."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from helpers.study import Run

MAX_SHOWN = 100


def cached_cohorts(names: Iterable[str], *, run: Run) -> dict[str, tuple[np.ndarray, pd.Series]]:
    """Cached images of external cohorts and the PatientID of each, by name of the cohort."""
    names = list(names)
    if not names:
        return {}
    rows = run.read_table("external_index")[["cohort", "sample_id", "row"]]
    patients = run.read_table("external")[["cohort", "sample_id", "PatientID"]]
    placed = rows.merge(patients, on=["cohort", "sample_id"], validate="one_to_one").sort_values("row")
    return {
        name: (run.read_array(f"external_images/{name}.npy"), placed.loc[placed["cohort"] == name, "PatientID"])
        for name in names
    }


def most_disputed(scores: pd.DataFrame, *, n: int = MAX_SHOWN) -> pd.DataFrame:
    """The `n` samples of one cohort whose score and label disagree most, the highest score first.

    Score and label disagree by the score of a normal sample, and by what the score of a fracture lacks to 1.

    Parameters
    ----------
    scores
        `external_scores.parquet`: sample_id, is_fracture and score.
    """
    disagreement = (scores["score"] - scores["is_fracture"]).abs()
    chosen = disagreement.sort_values(ascending=False, kind="stable").index[:n]
    return scores.loc[chosen].sort_values(["score", "sample_id"], ascending=[False, True], ignore_index=True)


def describe_shown(shown: pd.DataFrame, *, n_samples: int, class_names: Mapping[str, str]) -> str:
    """What a figure of scored samples shows, in words.

    Parameters
    ----------
    shown
        Result of `most_disputed`, with `called`.
    n_samples
        All samples of the cohort.
    class_names
        Class key → name, in reporting order.
    """
    which = f"all {n_samples} samples"
    if len(shown) < n_samples:
        which = f"the {len(shown)} of {n_samples} samples whose score and label disagree most"
    labels = set(shown["label"])
    keys = ", ".join(f"{key} {name}" for key, name in class_names.items() if key in labels)
    sentence = f"{which}, the highest score first; {shown['called'].sum()} of them are called a fracture"
    return f"{sentence} ({keys})" if keys else sentence
