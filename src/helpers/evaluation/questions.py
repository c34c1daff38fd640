"""The questions that decide what is done, each with operating points whose thresholds come from validation alone.

Any fracture against normal, and burst against the rest, since a burst fracture may need surgery. A threshold is chosen
on the validation images of one fold and applied to the test images of the same fold: neither its network nor its
threshold has seen them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import CLASS_METRICS
from helpers.evaluation.predictions import fold_predictions, probability_column
from helpers.evaluation.prevalence import predictive_values
from helpers.evaluation.resampling import Resampling, class_metric

WANTED = 0.95
FRACTURE, BURST = "fracture_vs_normal", "burst_vs_rest"
TITLES = {FRACTURE: "any fracture against normal", BURST: "burst against the rest"}
MOST_PROBABLE, YOUDEN = "most_probable_class", "youden"
HIGH_SENSITIVITY, HIGH_SPECIFICITY = "high_sensitivity", "high_specificity"
POINT_WORDS = {
    MOST_PROBABLE: "most probable class",
    YOUDEN: "threshold: Youden",
    HIGH_SENSITIVITY: f"threshold: sensitivity {100 * WANTED:g} % on validation",
    HIGH_SPECIFICITY: f"threshold: specificity {100 * WANTED:g} % on validation",
}
OF_VALIDATION = "validation images of the same fold"
NO_THRESHOLD = "none: the most probable class is the answer"
ANSWER_METRICS = ("sensitivity", "specificity", "ppv", "npv", "f1")


@dataclass(frozen=True)
class OperatingPoint:
    """One way of turning scores into yes or no, and what it gives on held-out images.

    Attributes
    ----------
    thresholds
        From which score on the answer is yes, by fold; empty where the most probable class answers.
    source
        Where the thresholds come from, in words.
    metrics
        By name: `ANSWER_METRICS`, and PPV and NPV at other prevalences.
    """

    thresholds: Mapping[int, float]
    source: str
    metrics: Mapping[str, Metric]

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        return {
            "thresholds": {str(fold): value for fold, value in self.thresholds.items()},
            "threshold_source": self.source,
            "metrics": {name: metric.to_json_dict() for name, metric in self.metrics.items()},
        }


@dataclass(frozen=True)
class Question:
    """A yes-or-no question: the classes that mean yes, and its operating points by name.

    `missing` says why there are no thresholds, or is None.
    """

    positive: tuple[str, ...]
    points: Mapping[str, OperatingPoint]
    missing: str | None

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        points = {name: point.to_json_dict() for name, point in self.points.items()}
        return {"positive": list(self.positive), "points": points, "missing": self.missing}


def clinical_questions(class_names: Mapping[str, str], *, normal_class: str | None) -> dict[str, tuple[str, ...]]:
    """Classes that mean yes, by question; a question whose classes are not in the study is left out."""
    fractures = tuple(key for key in class_names if key != normal_class)
    bursts = tuple(key for key, name in class_names.items() if "burst" in name.lower())
    asked = {FRACTURE: fractures if normal_class is not None else (), BURST: bursts}
    return {name: positive for name, positive in asked.items() if 0 < len(positive) < len(class_names)}


def answer_question(
    predictions: pd.DataFrame,
    *,
    positive: Sequence[str],
    classes: Sequence[str],
    pooled: Resampling,
    prevalences: Sequence[float],
) -> Question:
    """Sensitivity, specificity and predictive values at every operating point.

    Parameters
    ----------
    predictions
        Table of notebook 03; rows with split "validation" give the thresholds, rows with split "test" the metrics.
    positive, classes
        Classes that mean yes, and all classes.
    pooled
        Bootstrap of all tested samples, whose draws of patients serve every operating point.
    prevalences
        Shares of positives at which PPV and NPV are given.
    """
    validation, tested = (
        _scored(fold_predictions(predictions, classes=classes, split=split), positive=positive)
        for split in ("validation", "test")
    )
    points = {MOST_PROBABLE: _point(tested, tested["answer"], thresholds={}, pooled=pooled, prevalences=prevalences)}
    missing = _missing_groups(validation, folds=tested["fold"].unique())
    for name, rule in () if missing else RULES.items():
        thresholds = {
            int(fold): rule(part["score"].to_numpy(), part["reference"].to_numpy())
            for fold, part in validation.groupby("fold")
        }
        called = tested["score"] >= tested["fold"].map(thresholds)
        points[name] = _point(tested, called, thresholds=thresholds, pooled=pooled, prevalences=prevalences)
    return Question(tuple(positive), MappingProxyType(points), missing)


def _scored(rows: pd.DataFrame, *, positive: Sequence[str]) -> pd.DataFrame:
    """Add the summed probability of the positive classes, the reference and the most probable class's answer."""
    score = rows[[probability_column(key) for key in positive]].sum(axis=1)
    return rows.assign(
        score=score, reference=rows["y_true"].isin(list(positive)), answer=rows["y_pred"].isin(list(positive))
    )


def _missing_groups(validation: pd.DataFrame, *, folds: Sequence[int]) -> str | None:
    groups = validation.groupby("fold")["reference"].nunique().reindex(folds, fill_value=0)
    lacking = [str(fold) for fold in groups.index[groups < 2]]
    if not lacking:
        return None
    return f"no thresholds: validation of fold {', '.join(lacking)} lacks images that mean yes or that mean no"


def _point(
    tested: pd.DataFrame,
    called: pd.Series,
    *,
    thresholds: Mapping[int, float],
    pooled: Resampling,
    prevalences: Sequence[float],
) -> OperatingPoint:
    score = tested["score"].to_numpy()
    sample = ClusteredSample(
        reference=tested["reference"].to_numpy(dtype=np.intp),
        predicted=called.to_numpy(dtype=np.intp),
        scores=np.column_stack([-score, score]),
        patient=np.unique(tested["PatientID"].to_numpy(dtype=str), return_inverse=True)[1],
        sample=np.unique(tested["sample_id"].to_numpy(dtype=str), return_inverse=True)[1],
    )
    resampling = replace(pooled, sample=sample)
    metrics = {name: class_metric(resampling, CLASS_METRICS[name], code=1) for name in ANSWER_METRICS}
    elsewhere = predictive_values(
        metrics["sensitivity"],
        metrics["specificity"],
        prevalences=prevalences,
        support=resampling.support(np.ones(len(tested), dtype=bool)),
    )
    return OperatingPoint(thresholds, OF_VALIDATION if thresholds else NO_THRESHOLD, metrics | elsewhere)


def youden_cut(scores: np.ndarray, positive: np.ndarray) -> float:
    """Threshold with the largest sensitivity + specificity - 1 (Youden 1950), the lowest of equally good ones.

    Parameters
    ----------
    scores
        (N,), larger means more positive.
    positive
        (N,) boolean, of both kinds.
    """
    cuts, sensitivity, specificity = _cuts(scores, positive)
    return float(cuts[(sensitivity + specificity).round(12).argmax()])


def sensitive_cut(scores: np.ndarray, positive: np.ndarray) -> float:
    """Highest threshold at which at least `WANTED` of the positives are found; parameters as in `youden_cut`."""
    cuts, sensitivity, _ = _cuts(scores, positive)
    return float(cuts[sensitivity >= WANTED].max())


def specific_cut(scores: np.ndarray, positive: np.ndarray) -> float:
    """Lowest threshold at which at least `WANTED` of the negatives are left alone; parameters as in `youden_cut`."""
    cuts, _, specificity = _cuts(scores, positive)
    return float(cuts[specificity >= WANTED].min())


def _cuts(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every threshold that parts the scores differently, from "all yes" to "all no", with what it gives."""
    distinct = np.unique(scores)
    cuts = np.concatenate([[0.0], (distinct[:-1] + distinct[1:]) / 2, [np.nextafter(max(1.0, distinct[-1]), np.inf)]])
    called = scores >= cuts[:, None]
    return cuts, called[:, positive].mean(axis=1), (~called[:, ~positive]).mean(axis=1)


RULES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = MappingProxyType(
    {YOUDEN: youden_cut, HIGH_SENSITIVITY: sensitive_cut, HIGH_SPECIFICITY: specific_cut}
)
