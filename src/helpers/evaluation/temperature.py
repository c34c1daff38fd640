"""Temperature scaling: one number for each fold and seed divides all logits (Guo 2017, arXiv 1706.04599).

It is fitted on the validation part of the fold and applied to its test part, so that no tested patient has had a say in
it. A network above 1 was too sure, one below 1 not sure enough; the order of its classes stays as it is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from helpers.evaluation.predictions import check_predictions, logit_column, out_of_fold

# Where every validation image is right the best temperature is 0, which no probability survives.
SMALLEST, LARGEST = 0.05, 20.0


def fit_temperature(logits: np.ndarray, codes: np.ndarray) -> float:
    """Temperature with the smallest log loss, within `SMALLEST` … `LARGEST`.

    Parameters
    ----------
    logits
        (N, K) finite.
    codes
        (N,) reference class 0 … K-1.
    """
    rows = np.arange(len(codes))

    def log_loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, codes].mean()

    found = minimize_scalar(log_loss, bounds=(np.log(SMALLEST), np.log(LARGEST)), method="bounded")
    return float(np.exp(found.x))


def fit_temperatures(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Fit a temperature for each fold and seed on its validation images.

    Parameters
    ----------
    predictions
        `predictions.parquet`, see `out_of_fold`.
    classes
        Class keys in reporting order.

    Returns
    -------
    `fold`, `seed`, `temperature`, `n_samples`, `n_patients`; a fold without validation images keeps its logits: 1.
    """
    checked = check_predictions(predictions, classes=classes)
    columns, keys = [logit_column(key) for key in classes], pd.Index(list(classes))
    rows = []
    for (fold, seed), found in checked.groupby(["fold", "seed"]):
        validation = found[found["split"] == "validation"]
        logits = validation[columns].to_numpy(dtype=np.float64)
        codes = keys.get_indexer(validation["y_true"])
        temperature = fit_temperature(logits, codes) if len(validation) else 1.0
        rows.append((fold, seed, temperature, len(validation), validation["PatientID"].nunique()))
    return pd.DataFrame(rows, columns=["fold", "seed", "temperature", "n_samples", "n_patients"])


def scale_logits(predictions: pd.DataFrame, *, temperatures: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The same predictions with every logit divided by the temperature of its fold and seed.

    Parameters
    ----------
    predictions, classes
        As in `fit_temperatures`.
    temperatures
        Its result.
    """
    by_network = temperatures.set_index(["fold", "seed"])["temperature"]
    divisor = by_network.loc[pd.MultiIndex.from_frame(predictions[["fold", "seed"]])].to_numpy()[:, None]
    columns = [logit_column(key) for key in classes]
    scaled = predictions.copy()
    scaled[columns] = predictions[columns].to_numpy(dtype=np.float64) / divisor
    return scaled


def scaled_samples(predictions: pd.DataFrame, *, temperatures: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The held-out table of `out_of_fold` after scaling; parameters as in `scale_logits`."""
    return out_of_fold(scale_logits(predictions, temperatures=temperatures, classes=classes), classes=classes)
