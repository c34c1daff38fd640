"""Sets of classes that hold the true one as often as promised: split conformal prediction, calibrated by patient.

A class enters the set of an image if its probability is at least the fold's threshold (least ambiguous sets: Sadinle
2019, 10.1080/01621459.2017.1395341). Of all methods these sets are smallest on average, need no random numbers, and one
sentence explains them; the price is that coverage is promised over all classes together, not for each.

Images of one patient are not exchangeable, patients are. So every validation patient counts once, shared among the
images, and the next patient is given the place of a score beyond all others (Lee 2023, arXiv 2306.06342; Dunn 2023,
10.1080/01621459.2022.2060112). The promise then holds for an image picked at random from a new patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.metric_table import EVERY_IMAGE, metric_table, plain_values
from helpers.evaluation.metrics import ratio
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import fold_predictions, probability_column
from helpers.study.params import EvaluationParams

ERROR_RATE = 0.1
# Sums of patients' shares that differ by less are one share with rounding noise.
SAME_SHARE = 1e-9
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "by_patient": "True class in the set, each patient counting once (promised)",
        "by_image": "True class in the set, each image counting once",
        "size": "Classes in a set, on average",
        "single": "Sets of one class",
        "single_right": "Of these, right",
        "empty": "Sets without a class: no answer is likely enough",
    }
)


def membership_column(class_key: str) -> str:
    """Name of the column that says whether a class is in the set."""
    return f"in_{class_key}"


def conformal_threshold(probability_of_truth: np.ndarray, patients: np.ndarray, *, error_rate: float) -> float:
    """Smallest probability with which a class enters the set.

    Parameters
    ----------
    probability_of_truth
        (N,) probability of each calibration image's true class.
    patients
        (N,) patient of each image.
    error_rate
        Share of sets that may miss the true class, in (0, 1).

    Returns
    -------
    The threshold; 0, so that sets hold all classes, where there are too few patients to promise more.
    """
    codes, counts = np.unique(patients, return_inverse=True, return_counts=True)[1:]
    share = 1 / (counts[codes] * (len(counts) + 1))
    order = np.argsort(-probability_of_truth, kind="stable")
    reached = np.cumsum(share[order]) >= 1 - error_rate - SAME_SHARE
    return float(probability_of_truth[order][reached.argmax()]) if reached.any() else 0.0


def fold_thresholds(
    predictions: pd.DataFrame, *, classes: Sequence[str], error_rate: float = ERROR_RATE
) -> dict[int, float]:
    """Threshold of each fold's networks, from the patients of its validation part.

    Parameters
    ----------
    predictions
        `predictions.parquet`, see `out_of_fold`; seeds are averaged, folds kept apart.
    classes
        Class keys in reporting order.
    error_rate
        As in `conformal_threshold`.

    Returns
    -------
    By fold; one without validation images is absent.
    """
    validation = fold_predictions(predictions, classes=classes, split="validation")
    truth = pd.Index(list(classes)).get_indexer(validation["y_true"])
    of_truth = validation[_columns(classes)].to_numpy()[np.arange(len(validation)), truth]
    patients = validation["PatientID"].to_numpy(dtype=str)
    return {
        int(fold): conformal_threshold(of_truth[rows], patients[rows], error_rate=error_rate)
        for fold, rows in validation.groupby("fold").indices.items()
    }


def prediction_sets(
    tested: pd.DataFrame, *, thresholds: Mapping[int, float], meanings: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Sets of the images that each fold's networks are asked about.

    Parameters
    ----------
    tested
        Table of `fold_predictions`: one row per fold and image.
    thresholds
        Result of `fold_thresholds`; a fold that is absent has the threshold 0, so that its sets hold all classes.
    meanings
        By label, the classes of which any one in the set makes it right: the class itself, or every kind of fracture
        where a label says no more than fracture.

    Returns
    -------
    `fold`, `sample_id`, `PatientID`, `y_true`, `threshold`, `in_<class>`, `size`, `covered` (the set is right).
    """
    classes = [name.removeprefix(probability_column("")) for name in tested if name.startswith(probability_column(""))]
    threshold = tested["fold"].map(thresholds).fillna(0.0).to_numpy(dtype=np.float64)
    inside = tested[_columns(classes)].to_numpy() >= threshold[:, None]
    means = {label: np.isin(classes, list(keys)) for label, keys in meanings.items()}
    right = np.array([means[label] for label in tested["y_true"]]).reshape(inside.shape)
    sets = tested[["fold", "sample_id", "PatientID", "y_true"]].assign(threshold=threshold)
    sets[[membership_column(key) for key in classes]] = inside
    return sets.assign(size=inside.sum(axis=1), covered=(inside & right).any(axis=1))


def conformal_sets(
    predictions: pd.DataFrame, *, classes: Sequence[str], error_rate: float = ERROR_RATE
) -> pd.DataFrame:
    """Sets for the test images of each fold, calibrated on its validation patients.

    Parameters
    ----------
    predictions, classes, error_rate
        As in `fold_thresholds`.

    Returns
    -------
    As `prediction_sets` gives them.
    """
    return prediction_sets(
        fold_predictions(predictions, classes=classes),
        thresholds=fold_thresholds(predictions, classes=classes, error_rate=error_rate),
        meanings={key: (key,) for key in classes},
    )


def _columns(classes: Sequence[str]) -> list[str]:
    return [probability_column(key) for key in classes]


@dataclass(frozen=True)
class SetCoverage:
    """What the sets of some images promise, and what they keep.

    Attributes
    ----------
    overall
        Metrics by name, see `TITLES`.
    by_label
        Share of sets that are right, by label in words.
    """

    overall: Mapping[str, Metric]
    by_label: Mapping[str, Metric]

    @classmethod
    def of(cls, sets: pd.DataFrame, *, words: Mapping[str, str], params: EvaluationParams) -> "SetCoverage":
        """Count the table of `prediction_sets`; `words` are those of the labels to be told apart."""
        by_label = class_coverage(sets, classes=list(words), params=params)
        return cls(set_metrics(sets, params=params), {words[key]: metric for key, metric in by_label.items()})

    @property
    def kept(self) -> dict[str, Metric]:
        """Share of sets that are right over all patients, as promised, then by label."""
        return {"all, by patient": self.overall["by_patient"]} | dict(self.by_label)

    def kept_table(self) -> pd.DataFrame:
        """One row for each entry of `kept`."""
        groups = {name: {"kept": metric} for name, metric in self.kept.items()}
        return metric_table(groups, titles={"kept": "True class in the set"})

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        found = plain_values({EVERY_IMAGE: self.overall, "by_class": self.by_label})
        return {"promised": 1 - ERROR_RATE} | found


def set_metrics(sets: pd.DataFrame, *, params: EvaluationParams) -> dict[str, Metric]:
    """How often the sets hold the true class, and how large they are.

    Parameters
    ----------
    sets
        Table of `conformal_sets`.
    params
        Replicates, confidence and seed.

    Returns
    -------
    Metrics by name, see `TITLES`.
    """
    boot = PatientBootstrap.of(sets, params=params)
    covered, size = sets["covered"].to_numpy(), sets["size"].to_numpy()
    shares = boot.per_patient(covered) / boot.per_patient(np.ones(len(sets)))
    by_patient = ratio(boot.weights @ shares, boot.weights.sum(axis=1))
    single = size == 1
    return {
        "by_patient": boot.metric(by_patient, bounds=Bounds()),
        "by_image": boot.share(covered),
        "size": boot.mean(size.astype(np.float64)),
        "single": boot.share(single),
        "single_right": boot.share(covered, rows=single, undefined="no set has one class"),
        "empty": boot.share(size == 0),
    }


def class_coverage(sets: pd.DataFrame, *, classes: Sequence[str], params: EvaluationParams) -> dict[str, Metric]:
    """Share of each class's images whose set holds the class; nothing is promised for a single class."""
    boot = PatientBootstrap.of(sets, params=params)
    covered, truth = sets["covered"].to_numpy(), sets["y_true"].to_numpy(dtype=str)
    return {key: boot.share(covered, rows=truth == key, undefined="no image has this class") for key in classes}
