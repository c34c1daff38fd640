"""Could callipers do it? The classes told from the lowest height and the canal alone, for simulated cohorts.

The simulator sets the classes apart by these very measures, so true values separate them all. A reader's hand is not
that sure: Gaussian reading errors are added to every length before anything is computed from it. Like the network,
callipers learn from the training part of each fold with the classes weighted alike.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.error_analysis.wording import with_interval
from helpers.evaluation.baselines import baseline_predictions, linear_model
from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.metrics import COUNT_METRICS
from helpers.evaluation.predictions import out_of_fold
from helpers.evaluation.resampling import Resampling, count_metric, row_fractions
from helpers.study import EvaluationParams

HEIGHTS = ("anterior", "middle", "posterior")
READING_ERRORS_MM = (0.5, 1.0, 2.0)
#: How often all images are read with each error, so that no number hangs on one draw.
READINGS = 10
#: The normal height and the normal canal are taken as the mean of the level above and the level below.
_NORMAL_ERROR = 1 / np.sqrt(2)


def calliper_readings(truth: pd.DataFrame, *, error_mm: float, rng: np.random.Generator) -> pd.DataFrame:
    """The lowest height ratio and the canal's narrowing, read with an error.

    Parameters
    ----------
    truth
        Table of `helpers.cohort.truth.Truth`.
    error_mm
        Standard deviation of one reading, mm.
    rng
        Where the errors are drawn from.

    Returns
    -------
    One row per sample: `lowest`, the lowest of anterior, middle and posterior height over the normal one, and
    `narrowing`, the share of the normal canal that is lost.
    """
    lengths = {name: (truth[f"{name}_height_mm"], truth[f"{name}_ratio"]) for name in HEIGHTS}
    lengths["canal"] = (truth["canal_mm"] * (1 - truth["canal_narrowing"]), 1 - truth["canal_narrowing"])
    read = {}
    for name, (length, share) in lengths.items():
        errors, normal_errors = rng.normal(0, error_mm, (2, len(truth)))
        normal = length / share + _NORMAL_ERROR * normal_errors
        read[name] = (length + errors) / normal
    lowest = np.min([read[name] for name in HEIGHTS], axis=0)
    return pd.DataFrame({"lowest": lowest, "narrowing": 1 - read["canal"]}, index=truth.index)


def calliper_predictions(readings: pd.DataFrame, *, truth: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Logistic regression on readings, in the study's own folds.

    Parameters
    ----------
    readings
        Result of `calliper_readings`, in the order of `truth`.
    truth
        Table of `helpers.cohort.truth.Truth`.
    splits
        sample_id, fold, split; the part "train" is learned from, the part "test" predicted.

    Returns
    -------
    Predictions of the test parts in the form of notebook 03, with log probabilities as logits.
    """
    classes = sorted(truth["label"].unique())
    return baseline_predictions(readings, model=linear_model(), cohort=truth, splits=splits, classes=classes)


def compare_callipers(
    network: pd.DataFrame, *, truth: pd.DataFrame, splits: pd.DataFrame, class_names: Mapping[str, str],
    params: EvaluationParams,
) -> pd.DataFrame:  # fmt: skip
    """Accuracy and sensitivities of callipers with several reading errors, and of the network.

    Parameters
    ----------
    network
        The network's predictions, as of notebook 03.
    truth
        Table of `helpers.cohort.truth.Truth`.
    splits
        Division into folds that the network was trained in.
    class_names
        Class key → name, in reporting order.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per reader, for reading; callipers are the mean over `READINGS`, intervals by patients resampled.
    """
    classes, rng, rows = list(class_names), np.random.default_rng(params.seed), []
    for error_mm in READING_ERRORS_MM:
        tested = []
        for _ in range(READINGS):
            readings = calliper_readings(truth, error_mm=error_mm, rng=rng)
            predictions = calliper_predictions(readings, truth=truth, splits=splits)
            tested.append(out_of_fold(predictions, classes=classes))
        scores = _scores(pd.concat(tested), class_names=class_names, params=params)
        rows.append({"reader": f"callipers, reading error {error_mm:g} mm", **scores})
    scores = _scores(out_of_fold(network, classes=classes), class_names=class_names, params=params)
    return pd.DataFrame([*rows, {"reader": "network", **scores}])


def _scores(tested: pd.DataFrame, *, class_names: Mapping[str, str], params: EvaluationParams) -> dict[str, str]:
    sample = ClusteredSample.from_frame(tested, classes=list(class_names))
    resampling = Resampling.draw(
        sample,
        n_replicates=params.n_bootstrap,
        confidence=params.confidence,
        rng=np.random.default_rng(params.seed),
    )
    accuracy = count_metric(resampling, COUNT_METRICS["accuracy"])
    diagonal = [row[code] for code, row in enumerate(row_fractions(resampling))]
    sensitivities = {
        f"right of {key} {name}": with_interval(share, decimals=3)
        for (key, name), share in zip(class_names.items(), diagonal, strict=True)
    }
    return {"right of all": with_interval(accuracy, decimals=3), **sensitivities}
