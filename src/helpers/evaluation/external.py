"""External validation: how all networks of the run together read a cohort that none of them was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

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
    """

    name: str
    counts: Mapping[str, int]
    n_patients: int
    by_class: Evaluation | None
    fracture: Evaluation | None

    def to_json_dict(self) -> dict[str, Any]:
        """Content of metrics.json under ``external`` and the cohort's name."""
        return {
            "n_samples": sum(self.counts.values()),
            "n_patients": self.n_patients,
            "samples_by_label": dict(self.counts),
            "by_class": None if self.by_class is None else _chosen(self.by_class),
            "fracture_vs_normal": None if self.fracture is None else _chosen(self.fracture)["per_class"][ANY_FRACTURE],
        }


def evaluate_external(
    predictions: pd.DataFrame,
    *,
    class_names: Mapping[str, str],
    normal_class: str | None,
    params: EvaluationParams,
) -> dict[str, ExternalEvaluation]:
    """Evaluate every external cohort; probabilities are averaged over all folds and seeds of the run.

    Parameters
    ----------
    predictions
        `external_predictions.parquet`: cohort, sample_id, PatientID, fold, seed, y_true, ``logit_<class>``.
    class_names, normal_class
        Of the study.
    params
        Bootstrap of the study.

    Returns
    -------
    By cohort name, in the order of the table.
    """
    return {
        name: _evaluate_one(rows, name=name, class_names=class_names, normal_class=normal_class, params=params)
        for name, rows in predictions.groupby("cohort", sort=False)
    }


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
