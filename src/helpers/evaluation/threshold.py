"""The score from which on an image is called a fracture, found on the study's own validation images.

It is carried over to external cohorts, so that sensitivity and specificity there are those that a user of the study
would meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.scores import ScoredCohort, fracture_scores
from helpers.study.params import EvaluationParams


@dataclass(frozen=True)
class Threshold:
    """Where score becomes answer: a score of at least the estimate is called a fracture.

    Attributes
    ----------
    metric
        The threshold in [0, 1]; its interval is that of thresholds chosen anew in every replicate.
    on_validation
        Sensitivity and specificity on the images that it was chosen on, and so too good.
    n_folds
        Folds whose validation images it was chosen on.
    """

    metric: Metric
    on_validation: Mapping[str, Metric]
    n_folds: int

    @property
    def value(self) -> float:
        """In [0, 1]."""
        return self.metric.estimate

    @property
    def caveat(self) -> str:
        """What a number at this threshold on another cohort leaves out."""
        fixed = "the interval takes the threshold as fixed"
        if self.n_folds == 1:
            return fixed
        return f"{fixed}, which was found on scores of single folds' networks, not on means of {self.n_folds} folds"

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        on_validation = {name: metric.to_json_dict() for name, metric in self.on_validation.items()}
        return self.metric.to_json_dict() | {"on_validation": on_validation, "n_folds": self.n_folds}


def youden_threshold(predictions: pd.DataFrame, *, normal_class: str, params: EvaluationParams) -> Threshold | None:
    """Score with the largest sensitivity + specificity - 1 on validation images (Youden 1950).

    Parameters
    ----------
    predictions
        `predictions.parquet`; only its rows with split "validation" are used, seeds averaged.
    normal_class
        Class key without fracture.
    params
        Bootstrap of the study.

    Returns
    -------
    The threshold half-way to the next lower score, or None where validation lacks fractures or normal images.
    """
    rows = predictions[predictions["split"] == "validation"]
    if (rows["y_true"] == normal_class).nunique() < 2:
        return None
    scored = rows.assign(
        score=fracture_scores(rows, normal_class=normal_class), is_fracture=rows["y_true"] != normal_class
    )
    mean = scored.groupby(["fold", "sample_id"]).agg({"score": "mean", "is_fracture": "first", "PatientID": "first"})
    validation = ScoredCohort(mean.reset_index(), (), params)
    undefined = "a replicate lacks fractures or normal images"
    everyone = np.ones(len(mean), dtype=bool)
    metric = validation.metric(best_cuts(validation), rows=everyone, undefined=undefined, both_groups=True, bounds=None)
    return Threshold(metric, at_threshold(validation, metric.estimate), rows["fold"].nunique())


def best_cuts(cohort: ScoredCohort) -> np.ndarray:
    """Threshold with the largest Youden index under each row of the weights, the lowest of equally good ones.

    Returns
    -------
    (1 + R,) in [0, 1], half-way between two samples that are drawn; NaN where a group is not drawn.
    """
    order = np.argsort(cohort.table["score"].to_numpy(), kind="stable")
    scores = np.concatenate([[0.0], cohort.table["score"].to_numpy()[order]])
    weights, fracture = cohort.weights[:, order], cohort.is_fracture[order]
    missed = np.cumsum(np.where(fracture, weights, 0), axis=1)
    spared = np.cumsum(np.where(fracture, 0, weights), axis=1)
    # times both group sizes, the index is a whole number: equal indices are then equal to the last bit
    gain = np.zeros((len(weights), len(scores)))
    gain[:, 1:] = spared * missed[:, -1:] - missed * spared[:, -1:]
    gain[:, 1:-1][:, scores[1:-1] == scores[2:]] = -np.inf  # a threshold cannot part equal scores
    below = gain.argmax(axis=1)
    above = 1 + ((weights > 0) & (np.arange(len(order)) >= below[:, None])).argmax(axis=1)
    cuts = (scores[below] + scores[above]) / 2
    return np.where((missed[:, -1] > 0) & (spared[:, -1] > 0), cuts, np.nan)


def at_threshold(cohort: ScoredCohort, threshold: float) -> dict[str, Metric]:
    """Sensitivity and specificity of calling a score of at least the threshold a fracture."""
    called = cohort.table["score"].to_numpy() >= threshold
    fracture = cohort.is_fracture
    return {
        "sensitivity": cohort.mean(called.astype(float), rows=fracture, undefined="there is no fracture"),
        "specificity": cohort.mean((~called).astype(float), rows=~fracture, undefined="there is no normal sample"),
    }
