"""The scores from which on an image is called a fracture, found on the study's own validation images.

They are carried over to external cohorts, so that sensitivity and specificity there are those that a user of the study
would meet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.questions import HIGH_SENSITIVITY, HIGH_SPECIFICITY, WANTED, YOUDEN
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


def carried_thresholds(
    predictions: pd.DataFrame, *, normal_class: str, params: EvaluationParams
) -> dict[str, Threshold]:
    """Thresholds by the rules of `helpers.evaluation.questions`, chosen on the validation images of all folds together.

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
    Empty where validation lacks fractures or normal images.
    """
    rows = predictions[predictions["split"] == "validation"]
    if (rows["y_true"] == normal_class).nunique() < 2:
        return {}
    scored = rows.assign(
        score=fracture_scores(rows, normal_class=normal_class), is_fracture=rows["y_true"] != normal_class
    )
    mean = scored.groupby(["fold", "sample_id"]).agg({"score": "mean", "is_fracture": "first", "PatientID": "first"})
    validation = ScoredCohort(mean.reset_index(), (), params)
    return {name: _chosen(validation, rule=name, n_folds=rows["fold"].nunique()) for name in CHOICES}


def _chosen(validation: ScoredCohort, *, rule: str, n_folds: int) -> Threshold:
    metric = validation.metric(
        best_cuts(validation, rule=rule),
        rows=np.ones(len(validation.table), dtype=bool),
        undefined="a replicate lacks fractures or normal images",
        both_groups=True,
        bounds=None,
    )
    return Threshold(metric, at_threshold(validation, metric.estimate), n_folds)


def _largest_youden(missed: np.ndarray, spared: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    # times both group sizes, the index is a whole number: equal indices are then equal to the last bit
    gain = spared * missed[:, -1:] - missed * spared[:, -1:]
    return np.where(allowed, gain, -np.inf).argmax(axis=1)


def _last_sensitive(missed: np.ndarray, spared: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    found = missed[:, -1:] - missed
    enough = allowed & (found >= WANTED * missed[:, -1:])
    return enough.shape[1] - 1 - enough[:, ::-1].argmax(axis=1)


def _first_specific(missed: np.ndarray, spared: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    return (allowed & (spared >= WANTED * spared[:, -1:])).argmax(axis=1)


# (R, N + 1) weights of fractures missed and normal samples spared by a threshold above the first 0 … N of the sorted
# scores, and whether a threshold can lie there → (R,) the number of scores below the one that is chosen.
CHOICES: Mapping[str, Callable[..., np.ndarray]] = MappingProxyType(
    {YOUDEN: _largest_youden, HIGH_SENSITIVITY: _last_sensitive, HIGH_SPECIFICITY: _first_specific}
)


def best_cuts(cohort: ScoredCohort, *, rule: str = YOUDEN) -> np.ndarray:
    """Threshold under each row of the weights, by a rule of `helpers.evaluation.questions`.

    Returns
    -------
    (1 + R,), half-way between two samples that are drawn, 0 below all and above 1 beyond all of them; NaN where a group
    is not drawn.
    """
    order = np.argsort(cohort.table["score"].to_numpy(), kind="stable")
    scores, weights = cohort.table["score"].to_numpy()[order], cohort.weights[:, order]
    missed, spared = (
        np.pad(np.cumsum(np.where(group[order], weights, 0), axis=1), ((0, 0), (1, 0)))
        for group in (cohort.is_fracture, ~cohort.is_fracture)
    )
    allowed = np.ones(len(scores) + 1, dtype=bool)
    allowed[1:-1] = scores[:-1] != scores[1:]  # a threshold cannot part equal scores
    below = CHOICES[rule](missed, spared, np.broadcast_to(allowed, missed.shape))
    cuts = _half_way(scores, drawn=weights > 0, below=below)
    return np.where((missed[:, -1] > 0) & (spared[:, -1] > 0), cuts, np.nan)


def _half_way(scores: np.ndarray, *, drawn: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(R,) thresholds between the drawn scores on both sides of the first `below` ones."""
    places = np.arange(len(scores))
    lower, upper = drawn & (places < below[:, None]), drawn & (places >= below[:, None])
    highest = np.where(lower, scores, -np.inf).max(axis=1)
    lowest = np.where(upper, scores, np.inf).min(axis=1)
    inside = np.where(np.isinf(highest), 0.0, (highest + lowest) / 2)
    return np.where(np.isinf(lowest), np.nextafter(np.maximum(1.0, highest), np.inf), inside)


def at_threshold(cohort: ScoredCohort, threshold: float) -> dict[str, Metric]:
    """Sensitivity and specificity of calling a score of at least the threshold a fracture."""
    called = cohort.table["score"].to_numpy() >= threshold
    fracture = cohort.is_fracture
    return {
        "sensitivity": cohort.mean(called.astype(float), rows=fracture, undefined="there is no fracture"),
        "specificity": cohort.mean((~called).astype(float), rows=~fracture, undefined="there is no normal sample"),
    }
