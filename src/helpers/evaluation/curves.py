"""Points of the ROC figure as a table, so that the figure has its numbers beside it."""

from collections.abc import Sequence

import pandas as pd
from sklearn.metrics import roc_curve

from helpers.evaluation.predictions import probability_column

FALSE_POSITIVE_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


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


def sensitivities(points: pd.DataFrame, *, rates: Sequence[float] = FALSE_POSITIVE_RATES) -> pd.DataFrame:
    """Largest sensitivity that each class reaches without more false positives than some rate.

    Parameters
    ----------
    points
        Table of `roc_points`.
    rates
        False positive rates in [0, 1].

    Returns
    -------
    `false_positive_rate`, and one column for each class.
    """
    columns = {
        key: [curve.loc[curve["false_positive_rate"] <= rate, "true_positive_rate"].max() for rate in rates]
        for key, curve in points.groupby("class", sort=False)
    }
    return pd.DataFrame({"false_positive_rate": list(rates)} | columns)
