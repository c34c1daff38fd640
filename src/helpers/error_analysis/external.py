"""Every sample of the external cohorts with its score, and which of them a figure has room for."""

from collections.abc import Mapping

import pandas as pd

from helpers.evaluation.fracture_score import score_cohort, youden_threshold
from helpers.study.params import EvaluationParams

MAX_SHOWN = 100


def carried_threshold(development: pd.DataFrame, *, normal_class: str) -> float:
    """Score from which on an image is called a fracture, as notebook 04 carries it over to external cohorts.

    Parameters
    ----------
    development
        `predictions.parquet` of the study's own cohort, whose validation rows give the threshold.
    normal_class
        Class key without fracture.

    Returns
    -------
    In [0, 1]; one half where validation lacks fractures or normal images.
    """
    threshold = youden_threshold(development, normal_class=normal_class)
    return 0.5 if threshold is None else threshold.value


def score_samples(
    predictions: pd.DataFrame, *, samples: pd.DataFrame, index: pd.DataFrame, normal_class: str, threshold: float,
    params: EvaluationParams,
) -> pd.DataFrame:  # fmt: skip
    """The score of every external sample beside what is known of it.

    Parameters
    ----------
    predictions
        `external_predictions.parquet`: cohort, sample_id, PatientID, fold, seed, y_true, ``logit_<class>``.
    samples
        `external.parquet`: cohort, sample_id, label, level and where known grade.
    index
        `external_index.parquet`: cohort, sample_id and `row`, the place among the cached images.
    normal_class
        Class key without fracture.
    threshold
        Score from which on a sample is called a fracture.
    params
        Section `evaluation` of the parameters.

    Returns
    -------
    One row per cohort and sample, the highest score of each cohort first: cohort, sample_id, level, label, grade, row,
    is_fracture, score (1 - P(normal), mean of folds and seeds), and is_right, whether the call agrees with the label.
    """
    known = samples.reindex(columns=["cohort", "sample_id", "level", "label", "grade"])
    parts = []
    for name, rows in predictions.groupby("cohort", sort=False):
        own = known[known["cohort"] == name]
        scored = score_cohort(
            rows, normal_class=normal_class, grades=own.set_index("sample_id")["grade"], params=params
        ).table[["sample_id", "grade", "is_fracture", "score"]]
        part = own.drop(columns="grade").merge(scored, on="sample_id", validate="one_to_one")
        parts.append(part.sort_values(["score", "sample_id"], ascending=[False, True]))
    table = pd.concat(parts, ignore_index=True)
    table = table.merge(index[["cohort", "sample_id", "row"]], on=["cohort", "sample_id"], validate="one_to_one")
    return table.assign(is_right=(table["score"] >= threshold) == table["is_fracture"])


def count_calls(scores: pd.DataFrame) -> pd.DataFrame:
    """Samples of each cohort by label and grade, how many of them are called a fracture, and their median score."""
    if scores.empty:
        return pd.DataFrame()
    called = scores.assign(called=scores["is_right"] == scores["is_fracture"])
    groups = called.groupby(["cohort", "label", "grade"], dropna=False, sort=True)
    counted = groups.agg(samples=("called", "size"), called=("called", "sum"), median=("score", "median")).reset_index()
    counted["grade"] = counted["grade"].map("{:g}".format, na_action="ignore")
    return counted.rename(columns={"called": "called fracture", "median": "median score"})


def most_disputed(scores: pd.DataFrame, *, n: int = MAX_SHOWN) -> pd.DataFrame:
    """The `n` samples of one cohort whose score and label disagree most, in the order of `scores`.

    Score and label disagree by the score of a normal sample, and by what the score of a fracture lacks to 1.
    """
    disagreement = (scores["score"] - scores["is_fracture"]).abs()
    chosen = disagreement.sort_values(ascending=False, kind="stable").index[:n]
    return scores[scores.index.isin(chosen)].reset_index(drop=True)


def describe_shown(shown: pd.DataFrame, *, n_samples: int, threshold: float, class_names: Mapping[str, str]) -> str:
    """What a figure of scored samples shows, in words.

    Parameters
    ----------
    shown
        Result of `most_disputed`.
    n_samples
        All samples of the cohort.
    threshold
        That of `score_samples`.
    class_names
        Class key → name, in reporting order.
    """
    which = f"all {n_samples} samples"
    if len(shown) < n_samples:
        which = f"the {len(shown)} of {n_samples} samples whose score and label disagree most"
    called = int((shown["score"] >= threshold).sum())
    labels = set(shown["label"])
    keys = ", ".join(f"{key} {name}" for key, name in class_names.items() if key in labels)
    sentence = f"{which}, the highest score first; {called} of them reach the threshold of {threshold:.3f}"
    return f"{sentence} ({keys})" if keys else sentence
