"""From stored logits to one probability vector per sample: the only place where logits are read and checked.

Training stores one row per (sample, fold, seed). Here seeds are averaged as probabilities, so that every later number
describes the ensemble that a user of the study would actually run.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers.study.errors import StudyError

IDENTITY_COLUMNS = ("sample_id", "PatientID", "fold", "seed", "split", "y_true")
ROW_KEY = ["sample_id", "fold", "seed"]
RERUN = "run notebook 03 again for this run folder"


class PredictionsError(StudyError, ValueError):
    """The predictions table cannot be evaluated; the message names the column or sample and the remedy."""


def logit_column(class_key: str) -> str:
    """Name of the logit column of a class, as notebook 03 writes it."""
    return f"logit_{class_key}"


def probability_column(class_key: str) -> str:
    """Name of the probability column of a class in the tables of this package."""
    return f"p_{class_key}"


def out_of_fold(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Average every sample's test probabilities over seeds, and over folds where it is tested more than once.

    Parameters
    ----------
    predictions
        One row per (sample, fold, seed) with `sample_id`, `PatientID`, `fold`, `seed`, `split`, `y_true` and one
        column `logit_<class>` per class. Only rows with split "test" are used; all rows are checked.
    classes
        Class keys in reporting order, at least two.

    Returns
    -------
    One row per tested sample, ordered by `sample_id`: `sample_id`, `PatientID`, `y_true`, `y_pred`, `p_<class>`.
    `y_pred` is the most probable class; of equally probable classes the first in `classes`.

    Raises
    ------
    PredictionsError
        For a missing column, an empty cell, an unknown label, a non-finite logit, a duplicate row, a sample whose
        patient or label changes between rows, or when nothing was tested.
    """
    checked = check_predictions(predictions, classes=classes)
    tested = checked[checked["split"] == "test"]
    if tested.empty:
        raise PredictionsError(f"predictions: no row has split 'test', so nothing can be evaluated; {RERUN}")
    return _average_probabilities(tested, classes=classes, keys=["sample_id"])


def fold_predictions(predictions: pd.DataFrame, *, classes: Sequence[str], split: str = "test") -> pd.DataFrame:
    """Average probabilities over seeds only: one row per (fold, sample) of one split.

    Parameters
    ----------
    predictions, classes
        As in `out_of_fold`.
    split
        "train", "validation" or "test".

    Returns
    -------
    `fold`, `sample_id`, `PatientID`, `y_true`, `y_pred`, `p_<class>`, ordered by fold and sample; empty when the
    split holds no row.
    """
    checked = check_predictions(predictions, classes=classes)
    return _average_probabilities(checked[checked["split"] == split], classes=classes, keys=["fold", "sample_id"])


def training_predictions(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Predictions on the samples each fold's model was trained on: one row per (fold, sample).

    Folds are kept apart on purpose. Averaging models of several folds would grade an ensemble of which every member
    saw the sample, while a reported training accuracy is that of one model on its own training set.
    """
    return fold_predictions(predictions, classes=classes, split="train")


def check_predictions(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Return the predictions sorted by sample, fold and seed, or raise the first problem found.

    Raises
    ------
    PredictionsError
        See `out_of_fold`.
    """
    if len(classes) < 2:
        raise PredictionsError(
            f"cohort.class_names: {list(classes)} has fewer than two classes; name every class of the cohort"
        )
    _check_columns(predictions, classes)
    _check_rows_unique(predictions)
    _check_labels(predictions, classes)
    _check_constant(predictions, "y_true")
    _check_constant(predictions, "PatientID")
    _check_logits(predictions, classes)
    # A fixed row order makes the averages identical to the last bit however the table was written.
    return predictions.sort_values(ROW_KEY, kind="stable", ignore_index=True)


def _check_columns(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    expected = [*IDENTITY_COLUMNS, *(logit_column(key) for key in classes)]
    missing = [column for column in expected if column not in predictions.columns]
    if missing:
        raise PredictionsError(
            f"predictions: missing column(s) {missing}; a table from notebook 03 has one logit column for each key "
            f"of cohort.class_names {list(classes)}; {RERUN}"
        )
    logits = [column for column in predictions.columns if str(column).startswith("logit_")]
    surplus = [column for column in logits if column not in expected]
    if surplus:
        raise PredictionsError(
            f"predictions: column(s) {surplus} belong to no class of cohort.class_names {list(classes)}, and leaving "
            f"them out would change every probability; add the class or {RERUN}"
        )
    for column in IDENTITY_COLUMNS:
        if predictions[column].isna().any():
            row = predictions.index[predictions[column].isna()][0]
            raise PredictionsError(f"predictions: column '{column}' is empty in row {row}; {RERUN}")


def _check_rows_unique(predictions: pd.DataFrame) -> None:
    repeated = predictions.duplicated(ROW_KEY, keep=False)
    if not repeated.any():
        return
    first = predictions.loc[repeated].iloc[0]
    same = predictions[(predictions[ROW_KEY] == first[ROW_KEY]).all(axis=1)]
    raise PredictionsError(
        f"predictions: sample_id '{first['sample_id']}' has {len(same)} rows for fold {first['fold']}, seed "
        f"{first['seed']} (splits {sorted(same['split'].unique())}); one row per sample, fold and seed is allowed: "
        f"remove the duplicates from the labels table or {RERUN}"
    )


def _check_labels(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    unknown = ~predictions["y_true"].isin(list(classes))
    if unknown.any():
        first = predictions.loc[unknown].iloc[0]
        raise PredictionsError(
            f"predictions: column 'y_true' holds '{first['y_true']}' for sample_id '{first['sample_id']}', which is "
            f"not a key of cohort.class_names {list(classes)}; add the class there or correct the label"
        )


def _check_constant(predictions: pd.DataFrame, column: str) -> None:
    variants = predictions.groupby("sample_id", observed=True)[column].nunique()
    if (variants > 1).any():
        sample = variants.index[variants > 1][0]
        values = sorted(predictions.loc[predictions["sample_id"] == sample, column].unique())
        raise PredictionsError(
            f"predictions: sample_id '{sample}' has several values of '{column}' {values}; a sample has one: "
            f"make sample_id unique in the labels table and run from notebook 01"
        )


def _check_logits(predictions: pd.DataFrame, classes: Sequence[str]) -> None:
    for column in map(logit_column, classes):
        finite = np.isfinite(predictions[column].to_numpy(dtype=np.float64, na_value=np.nan))
        if not finite.all():
            first = predictions.loc[~finite].iloc[0]
            raise PredictionsError(
                f"predictions: column '{column}' is {first[column]} for sample_id '{first['sample_id']}' (fold "
                f"{first['fold']}, seed {first['seed']}; {int((~finite).sum())} such rows): training diverged; "
                f"lower training.learning_rate and run notebook 03 again"
            )


def _average_probabilities(rows: pd.DataFrame, *, classes: Sequence[str], keys: list[str]) -> pd.DataFrame:
    """Softmax each row (N, K) in float64, then average the rows that share `keys`."""
    columns = [probability_column(key) for key in classes]
    logits = rows[[logit_column(key) for key in classes]].to_numpy(dtype=np.float64)
    probabilities = pd.DataFrame(softmax(logits, axis=1), columns=columns, index=rows.index)
    described = pd.concat([rows[[*keys, "PatientID", "y_true"]].astype({"y_true": str}), probabilities], axis=1)
    first = dict.fromkeys(("PatientID", "y_true"), "first")
    averaged = described.groupby(keys, observed=True).agg(first | dict.fromkeys(columns, "mean")).reset_index()
    winners = averaged[columns].to_numpy().reshape(-1, len(columns)).argmax(axis=1)
    averaged.insert(averaged.columns.get_loc("y_true") + 1, "y_pred", np.asarray(list(classes), dtype=object)[winners])
    return averaged.astype({"y_pred": str})
