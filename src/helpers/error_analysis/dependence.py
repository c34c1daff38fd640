"""What the network answers to how much of a fracture: mean probabilities against measures that are known to be true.

Means over images as they are, not partial dependence: nothing else is held fixed while the measure grows.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.evaluation.predictions import probability_column
from helpers.evaluation.tables import NO_BREAK_DASH
from helpers.study import EvaluationParams

#: Factor → how it follows from the truth, as a share, and the edges of its groups.
FACTORS: Mapping[str, tuple[str, tuple[float, ...]]] = MappingProxyType(
    {
        "height lost": ("height_lost", (-np.inf, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, np.inf)),
        "canal narrowed": ("canal_narrowing", (-np.inf, 0.05, 0.15, 0.20, 0.25, 0.30, 0.40, np.inf)),
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
    class, probability with ci_low and ci_high by patients resampled.
    """
    table = ranked.drop(columns=["PatientID"], errors="ignore").merge(truth, on="sample_id", validate="one_to_one")
    table = table.assign(height_lost=1 - table["height_ratio"])
    rows = []
    for factor, (column, edges) in FACTORS.items():
        for group, part in table.groupby(pd.cut(table[column], edges, right=False), observed=True):
            if part["PatientID"].nunique() < MIN_PATIENTS:
                continue
            known = {"factor": factor, "group": _words(group), "lost": part[column].mean()}
            rows += [known | _mean(part, key=key, params=params) for key in classes]
    columns = ["factor", "group", "lost", "images", "patients", "class", "probability", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns)


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
            interval = f"{mean['ci_low']:.2f}{NO_BREAK_DASH}{mean['ci_high']:.2f}"
            row[f"{mean['class']} {class_names[mean['class']]}"] = f"{mean['probability']:.2f} ({interval})"
        rows.append(row)
    return pd.DataFrame(rows)
