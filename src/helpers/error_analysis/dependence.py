"""What the network answers to how much of a fracture: mean probabilities against measures that are known to be true.

A class is defined by two measures. Each is followed where the other is held on one side of its border, so that a
change of the answer is owed to the one that is followed; all else varies as it does among the images.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.tables import NO_BREAK_DASH
from helpers.phantom.fracture import COMPRESSION_MAX_NARROWING, FRACTURE_MAX_RATIO
from helpers.study import EvaluationParams

#: Factor → column of the share that is lost, edges of its groups, and the images in which the other one is held.
FACTORS: Mapping[str, tuple[str, tuple[float, ...], str]] = MappingProxyType(
    {
        "height lost": (
            "height_lost",
            (-np.inf, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, np.inf),
            f"canal_narrowing <= {COMPRESSION_MAX_NARROWING}",
        ),
        "canal narrowed": (
            "canal_narrowing",
            (-np.inf, 0.05, 0.15, 0.20, 0.25, 0.30, 0.40, np.inf),
            f"height_ratio <= {FRACTURE_MAX_RATIO}",
        ),
    }
)
MIN_PATIENTS = 3


def mean_probabilities(
    ranked: pd.DataFrame, *, truth: pd.DataFrame, classes: Iterable[str], params: EvaluationParams
) -> pd.DataFrame:
    """Mean probability of each class among held-out images whose height or canal has lost about as much.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`: sample_id and p_<class>.
    truth
        Table of `helpers.cohort.truth.Truth`.
    classes
        Class keys.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per factor of `FACTORS`, group of at least `MIN_PATIENTS` patients, and class: factor, group in words,
    `lost`, the mean share lost in the group (a little below 0 where the body is higher than normal), images, patients,
    class, probability with ci_low and ci_high by patients resampled, NaN where there is no interval.
    """
    table = ranked.drop(columns=["PatientID"], errors="ignore").merge(truth, on="sample_id", validate="one_to_one")
    table = table.assign(height_lost=1 - table["height_ratio"])
    rows = []
    for factor, (column, edges, held) in FACTORS.items():
        shown = table.query(held)
        for group, part in shown.groupby(pd.cut(shown[column], edges, right=False), observed=True):
            if part["PatientID"].nunique() < MIN_PATIENTS:
                continue
            known = {"factor": factor, "group": _words(group), "lost": part[column].mean()}
            rows += [known | _mean(part, key=key, params=params) for key in classes]
    columns = ["factor", "group", "lost", "images", "patients", "class", "probability", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns).astype({"probability": float, "ci_low": float, "ci_high": float})


def _mean(part: pd.DataFrame, *, key: str, params: EvaluationParams) -> dict[str, object]:
    values = part[probability_column(key)]
    mean = ratio_of_sums(values, np.ones(len(part)), patients=part["PatientID"], params=params)
    counts = {"images": mean.n_samples, "patients": mean.n_patients, "class": key}
    return counts | {"probability": mean.estimate, "ci_low": mean.ci_low, "ci_high": mean.ci_high}


def _words(group: pd.Interval) -> str:
    if np.isinf(group.left):
        return f"under {group.right:.0%}"
    return f"{group.left:.0%} and more" if np.isinf(group.right) else f"{group.left:.0%} to {group.right:.0%}"


def probability_table(means: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """The means for reading: one row per group, the probability of each class with its interval."""
    rows = []
    for (factor, group), part in means.groupby(["factor", "group"], sort=False):
        row = {"factor": factor, "group": group, "images": part["images"].iloc[0], "patients": part["patients"].iloc[0]}
        for mean in part.to_dict("records"):
            row[f"{mean['class']} {class_names[mean['class']]}"] = _in_words(mean)
        rows.append(row)
    return pd.DataFrame(rows)


def _in_words(mean: Mapping[str, float]) -> str:
    estimate = f"{mean['probability']:.2f}"
    if np.isnan(mean["ci_low"]):
        return estimate
    return f"{estimate} ({mean['ci_low']:.2f}{NO_BREAK_DASH}{mean['ci_high']:.2f})"
