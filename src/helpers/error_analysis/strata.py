"""Errors by what is true of the image: how severe, of what kind, how old; known of simulated images only."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.study import EvaluationParams

# Loss of the lowest height against the normal one, in the grades of Genant et al. 1993 (10.1002/jbmr.5650080915). The
# edges are negative ratios: 1 - 0.8 is a little less than 0.2 in floating point.
LOSS_EDGES = (-np.inf, -0.80, -0.75, -0.60, np.inf)
LOSS_NAMES = ("under 20 %", "20 to 25 % (mild)", "25 to 40 % (moderate)", "over 40 % (severe)")
NARROWING_EDGES = (-np.inf, 0.10, 0.25, 0.40, np.inf)
NARROWING_NAMES = ("under 10 %", "10 to 25 %", "25 to 40 %", "over 40 %")
OFFSET_EDGES = (-np.inf, 2.0, 4.0, np.inf)
OFFSET_NAMES = ("under 2 mm", "2 to 4 mm", "over 4 mm")


def errors_by_truth(
    ranked: pd.DataFrame, *, truth: pd.DataFrame, class_names: Mapping[str, str], params: EvaluationParams
) -> pd.DataFrame:
    """Error rate in groups of images that are alike.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    truth
        Table of `helpers.cohort.truth.Truth`.
    class_names
        Class key → name, in reporting order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per factor and group that holds an image: factor, group, images, patients, errors, error_rate and its
    interval by patients resampled (ci_low, ci_high; NaN for a single patient). Severity, subtype, age and canal are
    those of fractures alone, the other factors those of all images.
    """
    table = ranked[["sample_id", "is_error"]].merge(truth, on="sample_id", validate="one_to_one")
    rows = []
    for factor, groups in _factors(table, class_names=class_names).items():
        for group, part in table.groupby(groups, observed=True, sort=True):
            wrong = part["is_error"]
            rate = ratio_of_sums(wrong, np.ones(len(part)), patients=part["PatientID"], params=params)
            counts = (rate.n_samples, rate.n_patients, int(wrong.sum()))
            rows.append((factor, str(group), *counts, rate.estimate, rate.ci_low, rate.ci_high))
    columns = ["factor", "group", "images", "patients", "errors", "error_rate", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=columns).astype({"ci_low": float, "ci_high": float})


def _factors(table: pd.DataFrame, *, class_names: Mapping[str, str]) -> dict[str, pd.Series]:
    """The group of every image by factor; missing where the factor does not apply."""
    fractured = table["subtype"] != "none"
    names = [f"{key} {name}" for key, name in class_names.items()]
    classes = pd.Categorical(table["label"].map(dict(zip(class_names, names, strict=True))), names)
    return {
        "reference class": pd.Series(classes, index=table.index),
        "height lost": _banded(-table["height_ratio"], edges=LOSS_EDGES, names=LOSS_NAMES).where(fractured),
        "subtype": table["subtype"].where(fractured),
        "age of the fracture": table["acuteness"].where(fractured),
        "canal narrowed": _banded(table["canal_narrowing"], edges=NARROWING_EDGES, names=NARROWING_NAMES).where(
            fractured
        ),
        "fractured neighbours": table["neighbours_fractured"],
        "plane beside the middle": _banded(table["offset_mm"].abs(), edges=OFFSET_EDGES, names=OFFSET_NAMES),
    }


def _banded(values: pd.Series, *, edges: tuple[float, ...], names: tuple[str, ...]) -> pd.Series:
    return pd.cut(values, edges, labels=names, right=False)
