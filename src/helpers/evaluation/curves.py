"""Points for the ROC and reliability figures, as tables, so that every figure has its numbers beside it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from helpers.evaluation.intervals import wilson_interval
from helpers.evaluation.predictions import probability_column


def roc_points(samples: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """One-vs-rest ROC curve of every class that has both positives and negatives.

    Parameters
    ----------
    samples
        Table of `out_of_fold`.
    classes
        Class keys in reporting order.

    Returns
    -------
    `class`, `false_positive_rate`, `true_positive_rate`, `threshold`, from (0, 0) to (1, 1) within each class.
    """
    curves = []
    for key in classes:
        positive = (samples["y_true"] == key).to_numpy()
        if positive.all() or not positive.any():
            continue
        fpr, tpr, thresholds = roc_curve(positive, samples[probability_column(key)].to_numpy())
        points = {"class": key, "false_positive_rate": fpr, "true_positive_rate": tpr, "threshold": thresholds}
        curves.append(pd.DataFrame(points))
    columns = ["class", "false_positive_rate", "true_positive_rate", "threshold"]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns)


def reliability_bins(
    samples: pd.DataFrame, *, classes: Sequence[str], n_bins: int = 10, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare how sure the model is of its answer with how often it is right, in bins of equal width.

    Parameters
    ----------
    samples, classes
        As in `roc_points`.
    n_bins
        Bins of the probability of the predicted class over [0, 1]; the last one includes 1.
    confidence
        Nominal coverage of the Wilson intervals, which treat the images as independent.

    Returns
    -------
    One row per bin that holds a sample: `bin_low`, `bin_high`, `n_samples`, `mean_confidence`, `accuracy`, `ci_low`,
    `ci_high`.
    """
    top = samples[[probability_column(key) for key in classes]].to_numpy().max(axis=1)
    right = (samples["y_true"] == samples["y_pred"]).to_numpy()
    bins = np.minimum((top * n_bins).astype(int), n_bins - 1)
    rows = []
    for position in np.unique(bins):
        inside = bins == position
        interval = wilson_interval(int(right[inside].sum()), int(inside.sum()), confidence=confidence)
        rows.append(
            {
                "bin_low": position / n_bins,
                "bin_high": (position + 1) / n_bins,
                "n_samples": int(inside.sum()),
                "mean_confidence": float(top[inside].mean()),
                "accuracy": float(right[inside].mean()),
                "ci_low": interval.low,
                "ci_high": interval.high,
            }
        )
    return pd.DataFrame(rows)
