"""Decision curves: whether acting on the answers does more good than treating everybody, or nobody.

Whoever acts from a probability t on says that one missed patient is as bad as (1 - t) / t treated for nothing. Net
benefit counts true positives and takes false ones off at that rate (Vickers & Elkin 2006, 10.1177/0272989X06295361).
It holds for the share of fractures in this cohort.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import PERCENTILE
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import probability_column
from helpers.study.params import EvaluationParams

THRESHOLDS = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2))


def decision_questions(words: Mapping[str, str], *, normal_class: str | None) -> dict[str, list[str]]:
    """Classes that call for action, by question in words: each kind of fracture, then any of them.

    Parameters
    ----------
    words
        Class key to its words, in reporting order.
    normal_class
        Key of the class without a fracture, or None.
    """
    fractures = [key for key in words if key != normal_class]
    asked = {words[key]: [key] for key in fractures}
    if normal_class is not None and len(fractures) > 1:
        asked["any fracture"] = fractures
    return asked


def decision_curve(
    samples: pd.DataFrame,
    *,
    positive: Sequence[str],
    params: EvaluationParams,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pd.DataFrame:
    """Net benefit of acting on the probability of some classes together.

    Parameters
    ----------
    samples
        Table of `out_of_fold`.
    positive
        Class keys that call for action: all fractures, or burst alone.
    params
        Replicates, confidence and seed.
    thresholds
        Probabilities in (0, 1) from which one acts.

    Returns
    -------
    One row per threshold, in true positives per image: `threshold`, `net_benefit` with `ci_low` and `ci_high`,
    `treat_all`, `treat_none`, `gain` (over the better of both) with `gain_low` and `gain_high`, `ci_method`,
    `n_samples`, `n_patients`. In each replicate all are computed on the same patients.
    """
    boot = PatientBootstrap.of(samples, params=params)
    cuts = np.asarray(thresholds, dtype=np.float64)
    score = samples[[probability_column(key) for key in positive]].to_numpy().sum(axis=1)
    ill = samples["y_true"].isin(list(positive)).to_numpy()[:, None]
    called = score[:, None] >= cuts
    harm = cuts / (1 - cuts)
    per_image = called * np.where(ill, 1.0, -harm)
    everybody = np.where(ill, 1.0, -harm)
    n_images = boot.totals(np.ones(len(samples)))[:, None]
    benefit, treat_all = (boot.totals(values) / n_images for values in (per_image, everybody))
    gain = benefit - np.maximum(treat_all, 0)
    tail = (1 - params.confidence) / 2
    limits = [np.quantile(values[1:], [tail, 1 - tail], axis=0) for values in (benefit, gain)]
    columns = {"threshold": cuts, "net_benefit": benefit[0], "ci_low": limits[0][0], "ci_high": limits[0][1]}
    columns |= {"treat_all": treat_all[0], "treat_none": 0.0}
    columns |= {"gain": gain[0], "gain_low": limits[1][0], "gain_high": limits[1][1], "ci_method": PERCENTILE}
    return pd.DataFrame(columns | {"n_samples": len(samples), "n_patients": samples["PatientID"].nunique()})


def benefits_side_by_side(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Net benefit of acting on the answers and on everybody, one row for each threshold.

    Parameters
    ----------
    curves
        Tables of `decision_curve` with the same thresholds, by question in words.
    """
    table = pd.DataFrame({"threshold": next(iter(curves.values()))["threshold"]})
    for question, curve in curves.items():
        table[question] = curve["net_benefit"]
        table[f"{question}: act on everybody"] = curve["treat_all"]
    return table
