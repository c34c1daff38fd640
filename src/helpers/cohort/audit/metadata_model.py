"""A model that sees no pixel: how well header values alone tell the class, out of fold and by patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from helpers.cohort.audit.patients import INTERVAL_PERCENT, drawn_weights, is_numeric

FOLDS = 5
MIN_PATIENTS_PER_CLASS = 2 * FOLDS
TREES = 60
LEAF_PATIENTS = 5
SEED = 0
MISSING, BELOW_ALL = "(missing)", -1e9


@dataclass(frozen=True)
class AurocEstimate:
    """Macro one-vs-rest AUROC of out-of-fold predictions with its 95 % patient-bootstrap interval."""

    auroc: float
    ci_low: float
    ci_high: float
    n_patients: int

    def __str__(self) -> str:
        interval = f"95 % interval {self.ci_low:.2f} to {self.ci_high:.2f}"
        return f"a cross-validated AUROC of {self.auroc:.2f} ({interval}, {self.n_patients} patients)"


def metadata_auroc(units: pd.DataFrame, *, columns: Sequence[str]) -> Optional[AurocEstimate]:
    """Cross-validate a random forest on header values, all rows of a patient in one fold.

    Parameters
    ----------
    units
        One row per patient and class: PatientID, label and `columns`.
    columns
        What the model may see. A missing value is a value of its own.

    Returns
    -------
    None where a class has fewer than `MIN_PATIENTS_PER_CLASS` patients or there is no column.
    """
    patients = units.groupby("label")["PatientID"].nunique()
    if not len(columns) or len(patients) < 2 or patients.min() < MIN_PATIENTS_PER_CLASS:
        return None
    units = units.sort_values(["PatientID", "label"], ignore_index=True)
    features = units[list(columns)].apply(_filled)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    scores = cross_val_predict(
        _model(features), features, units["label"], groups=units["PatientID"], cv=folds, method="predict_proba"
    )
    aurocs = _macro_auroc(units["label"], scores, weights=drawn_weights(units["PatientID"]))
    low, high = np.nanpercentile(aurocs[1:], INTERVAL_PERCENT)
    return AurocEstimate(float(aurocs[0]), float(low), float(high), int(units["PatientID"].nunique()))


def _filled(values: pd.Series) -> pd.Series:
    """What is missing as a value of its own; a number below all others, which a tree can split off."""
    if is_numeric(values):
        return values.astype(float).fillna(BELOW_ALL)
    return values.astype(object).where(values.notna(), MISSING)


def _model(features: pd.DataFrame) -> Pipeline:
    text = [name for name in features if not is_numeric(features[name])]
    rare_as_one = OneHotEncoder(handle_unknown="ignore", min_frequency=LEAF_PATIENTS, sparse_output=False)
    forest = RandomForestClassifier(
        TREES, min_samples_leaf=LEAF_PATIENTS, class_weight="balanced", random_state=SEED, n_jobs=1
    )
    return make_pipeline(make_column_transformer((rare_as_one, text), remainder="passthrough"), forest)


def _macro_auroc(labels: pd.Series, scores: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    """Mean of the one-vs-rest AUROCs for each row of weights; NaN where a draw lacks a class."""
    keys = sorted(labels.unique())
    found = [weighted_auroc(labels.eq(key), scores[:, place], weights=weights) for place, key in enumerate(keys)]
    return np.mean(found, axis=0)


def weighted_auroc(is_class: pd.Series, scores: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    """AUROC for many weightings at once: one sort serves all resamples.

    Parameters
    ----------
    is_class
        (n,) whether each row is of the class.
    scores
        (n,) higher for the class; equal scores count half.
    weights
        (resamples, n), not negative.

    Returns
    -------
    (resamples,), NaN where the weights leave no row of the class, or no other.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    truth, weights = np.asarray(is_class)[order], weights[:, order].astype(float)
    inside = np.add.reduceat(weights * truth, starts, axis=1)
    outside = np.add.reduceat(weights * ~truth, starts, axis=1)
    below = np.cumsum(outside, axis=1) - outside / 2
    pairs = inside.sum(axis=1) * outside.sum(axis=1)
    return np.divide((inside * below).sum(axis=1), pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
