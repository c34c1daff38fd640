"""External validation: how all networks of the run together read a cohort that none of them was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from helpers.evaluation.fracture_score import FractureScore, assess_scores, score_cohort, youden_threshold
from helpers.evaluation.predictions import logit_column
from helpers.evaluation.summary import Evaluation, evaluate
from helpers.study.params import ANY_FRACTURE, EvaluationParams


@dataclass(frozen=True)
class ExternalEvaluation:
    """What can be said of one external cohort.

    Attributes
    ----------
    name
        Of the cohort.
    counts, n_patients
        Samples by label as the cohort has it; its patients.
    by_class
        All classes of the study, or None where the cohort knows fractures of unknown kind, or a single class.
    fracture
        Any fracture against normal, by the probability of normal; None without a normal class.
    score
        What 1 - P(normal) is worth as a number; None where `fracture` is.
    """

    name: str
    counts: Mapping[str, int]
    n_patients: int
    by_class: Evaluation | None
    fracture: Evaluation | None
    score: FractureScore | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """Content of metrics.json under ``external`` and the cohort's name."""
        return {
            "n_samples": sum(self.counts.values()),
            "n_patients": self.n_patients,
            "samples_by_label": dict(self.counts),
            "by_class": None if self.by_class is None else _chosen(self.by_class),
            "fracture_vs_normal": None if self.fracture is None else _chosen(self.fracture)["per_class"][ANY_FRACTURE],
            "fracture_score": None if self.score is None else self.score.to_json_dict(),
        }


def evaluate_external(
    predictions: pd.DataFrame,
    *,
    development: pd.DataFrame,
    samples: pd.DataFrame,
    class_names: Mapping[str, str],
    normal_class: str | None,
    params: EvaluationParams,
) -> dict[str, ExternalEvaluation]:
    """Evaluate every external cohort; probabilities are averaged over all folds and seeds of the run.

    Parameters
    ----------
    predictions
        `external_predictions.parquet`: cohort, sample_id, PatientID, fold, seed, y_true, ``logit_<class>``.
    development
        `predictions.parquet` of the study's own cohort, whose validation rows give the threshold.
    samples
        `external.parquet`: cohort, sample_id and where known grade.
    class_names, normal_class
        Of the study.
    params
        Bootstrap of the study.

    Returns
    -------
    By cohort name, in the order of the table.
    """
    threshold = None if normal_class is None else youden_threshold(development, normal_class=normal_class)
    known = samples.reindex(columns=["cohort", "sample_id", "grade"])
    found = {}
    for name, rows in predictions.groupby("cohort", sort=False):
        one = _evaluate_one(rows, name=name, class_names=class_names, normal_class=normal_class, params=params)
        if one.fracture is not None:
            grades = known[known["cohort"] == name].set_index("sample_id")["grade"]
            scored = score_cohort(rows, normal_class=normal_class, grades=grades, params=params)
            one = replace(one, score=assess_scores(scored, threshold))
        found[name] = one
    return found


def external_samples(found: ExternalEvaluation, *, samples: pd.DataFrame) -> pd.DataFrame:
    """Every sample of a cohort with its score, sorted by patient and level.

    Parameters
    ----------
    found
        With a score.
    samples
        `external.parquet`.

    Returns
    -------
    sample_id, patient, level, label, grade, score (mean of seeds), and `called` at the threshold carried over.
    """
    own = samples[samples["cohort"] == found.name][["sample_id", "level", "label"]]
    table = found.score.cohort.table.merge(own, on="sample_id", validate="one_to_one")
    threshold = found.score.threshold
    cut = 0.5 if threshold is None else threshold.value
    table = table.assign(called=np.where(table["score"] >= cut, ANY_FRACTURE, "normal"), patient=table["PatientID"])
    place = table["level"].map(natural_order)
    table = table.assign(place=place).sort_values(["patient", "place", "sample_id"], ignore_index=True)
    return table[["sample_id", "patient", "level", "label", "grade", "score", "called"]]


def natural_order(level: str) -> tuple[int, int]:
    """Sort key of a vertebral level from the head down: T2 before T12 before L1."""
    region, number = str(level)[:1], str(level)[1:]
    return "CTLS".find(region.upper()), int(number) if number.isdigit() else 0


def _evaluate_one(
    rows: pd.DataFrame,
    *,
    name: str,
    class_names: Mapping[str, str],
    normal_class: str | None,
    params: EvaluationParams,
) -> ExternalEvaluation:
    settings = {"n_bootstrap": params.n_bootstrap, "confidence": params.confidence, "seed": params.seed}
    # Every sample is tested by every network: `evaluate` then averages over all of them.
    tested = rows.drop(columns="cohort").assign(split="test")
    labels = set(tested["y_true"])
    by_class = fracture = None
    if labels <= set(class_names) and len(labels) > 1:
        by_class = evaluate(tested, class_names=class_names, normal_class=normal_class, **settings)
    if normal_class is not None and len(labels - {normal_class}) and normal_class in labels:
        binary = fracture_or_normal(tested, classes=list(class_names), normal_class=normal_class)
        names = {ANY_FRACTURE: "fracture", normal_class: class_names[normal_class]}
        fracture = evaluate(binary, class_names=names, normal_class=normal_class, **settings)
    samples = tested.drop_duplicates("sample_id")
    counts = {str(key): int(count) for key, count in samples["y_true"].value_counts().sort_index().items()}
    return ExternalEvaluation(name, counts, int(samples["PatientID"].nunique()), by_class, fracture)


def fracture_or_normal(predictions: pd.DataFrame, *, classes: Sequence[str], normal_class: str) -> pd.DataFrame:
    """Merge all fracture classes into one, exactly: its logit is the log of the sum of their exponentials."""
    fractures = [logit_column(key) for key in classes if key != normal_class]
    merged = logsumexp(predictions[fractures].to_numpy(dtype=np.float64), axis=1)
    others = predictions.drop(columns=[logit_column(key) for key in classes])
    return others.assign(
        y_true=np.where(predictions["y_true"] == normal_class, normal_class, ANY_FRACTURE),
        **{logit_column(ANY_FRACTURE): merged, logit_column(normal_class): predictions[logit_column(normal_class)]},
    )


def _chosen(evaluation: Evaluation) -> dict[str, Any]:
    """The parts of metrics.json that hold for a cohort without folds of its own."""
    document = evaluation.to_json_dict()
    return {key: document[key] for key in ("confusion", "overall", "per_class", "fracture_vs_normal", "baseline")}
