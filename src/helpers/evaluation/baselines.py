"""What answers without looking at the image would reach: classifiers on columns of a table, in the study's own folds.

Each is learned from the training part of a fold and asked about its test part, as the network is. Their answers have
the form of notebook 03, so that everything that is computed of the network can be computed of them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from helpers.cohort.audit.confounds import DEMOGRAPHIC_COLUMNS, acquisition_columns
from helpers.evaluation.predictions import logit_column, out_of_fold

HEIGHT_COLUMNS = ("anterior_ratio", "middle_ratio", "posterior_ratio")
# A class that a fold never saw, or a leaf without it, gets this probability: its logarithm is finite.
LEAST_PROBABILITY = 1e-6
TREES, LEAF_SAMPLES = 100, 5
MOST_FREQUENT = "the most frequent class"
METADATA = "acquisition, age and sex"
HEIGHTS = "vertebral heights"
START = "the weights as they were, with a linear classifier"
# Samples of two cohorts may have the same name, and none is to be taken for another.
OWN = "own "


def standard_baselines(
    cohort: pd.DataFrame,
    *,
    splits: pd.DataFrame,
    classes: Sequence[str],
    start_features: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Answer from class frequencies, acquisition and demographics, height ratios, and features before training.

    Parameters
    ----------
    cohort
        `cohort.parquet`: sample_id, PatientID, label, and any of the columns used.
    splits
        sample_id, fold and split, as in `splits.parquet` or, with a row for each seed, `predictions.parquet`.
    classes
        Class keys in reporting order.
    start_features
        What the network saw before it was trained: numbers, with sample_id as the index.

    Returns
    -------
    Tables of `out_of_fold` by name in words; a baseline whose columns are missing or empty is left out. Images whose
    heights are not all known are not answered by that baseline.
    """
    features = {MOST_FREQUENT: cohort[[]], METADATA: cohort[metadata_columns(cohort)]}
    models = {MOST_FREQUENT: DummyClassifier(strategy="prior"), METADATA: metadata_model(features[METADATA])}
    if set(HEIGHT_COLUMNS) <= set(cohort) and cohort[list(HEIGHT_COLUMNS)].notna().all(axis=1).any():
        features[HEIGHTS] = cohort[list(HEIGHT_COLUMNS)].dropna()
        models[HEIGHTS] = linear_model()
    if start_features is not None:
        features[START] = start_features.reindex(cohort["sample_id"]).set_axis(cohort.index).dropna()
        models[START] = linear_model()
    if features[METADATA].empty:
        del features[METADATA]
    answers = {
        name: baseline_predictions(columns, model=models[name], cohort=cohort, splits=splits, classes=classes)
        for name, columns in features.items()
    }
    return {name: out_of_fold(found, classes=classes) for name, found in answers.items() if len(found)}


def external_baselines(
    external: pd.DataFrame,
    *,
    cohort: pd.DataFrame,
    splits: pd.DataFrame,
    classes: Sequence[str],
    start_features: tuple[pd.DataFrame, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """The same baselines, learned in the study's own cohort, asked about one that they saw nothing of.

    Parameters
    ----------
    external
        Rows of `external.parquet` of one cohort, all with labels of the study.
    cohort, splits, classes
        As in `standard_baselines`: the training part of every fold teaches one model, and their probabilities are
        averaged, as those of the networks are.
    start_features
        As in `standard_baselines`, of the study's own cohort and of the external one.

    Returns
    -------
    As `standard_baselines`, of the external samples.
    """
    learned = splits.loc[splits["split"] == "train", ["sample_id", "fold", "split"]].drop_duplicates()
    asked = external[["sample_id"]].merge(learned[["fold"]].drop_duplicates(), how="cross").assign(split="test")
    own, others = start_features
    return standard_baselines(
        pd.concat([_as_own(cohort), external], ignore_index=True),
        splits=pd.concat([_as_own(learned), asked], ignore_index=True),
        classes=classes,
        start_features=pd.concat([own.set_axis(OWN + own.index.astype(str)), others]),
    )


def _as_own(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(sample_id=OWN + table["sample_id"].astype(str))


def metadata_columns(cohort: pd.DataFrame) -> list[str]:
    """Acquisition and demographic columns that are there and vary."""
    people = [name for name in DEMOGRAPHIC_COLUMNS if name in cohort and cohort[name].nunique(dropna=False) > 1]
    return [*acquisition_columns(cohort), *people]


def metadata_model(features: pd.DataFrame) -> Pipeline:
    """A random forest; words become indicators, and a missing value is a value of its own."""
    words = [name for name in features if not pd.api.types.is_numeric_dtype(features[name])]
    indicators = OneHotEncoder(handle_unknown="ignore", min_frequency=LEAF_SAMPLES, sparse_output=False)
    forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF_SAMPLES, class_weight="balanced", random_state=0)
    return make_pipeline(make_column_transformer((indicators, words), remainder="passthrough"), forest)


def linear_model() -> Pipeline:
    """Logistic regression on standardised columns, all classes counting alike; also for frozen features."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))


def baseline_predictions(
    features: pd.DataFrame, *, model: BaseEstimator, cohort: pd.DataFrame, splits: pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """Learn from the training part of each fold and answer its test part.

    Parameters
    ----------
    features
        Columns that the model sees; its index names rows of `cohort`, of which some may be absent.
    model
        A scikit-learn classifier; it is cloned for each fold.
    cohort, splits, classes
        As in `standard_baselines`.

    Returns
    -------
    Predictions in the form of notebook 03 with log probabilities as logits, seed 0, split "test".
    """
    known = cohort.loc[features.index, ["sample_id", "PatientID", "label"]]
    parts = []
    for fold, division in splits.groupby("fold"):
        part_of = (
            division.drop_duplicates("sample_id").set_index("sample_id")["split"].reindex(known["sample_id"]).to_numpy()
        )
        learned, tested = part_of == "train", part_of == "test"
        if not (learned.any() and tested.any()):
            continue
        # one class alone teaches no model more than its name
        chosen = clone(model) if known["label"][learned].nunique() > 1 else DummyClassifier(strategy="prior")
        chosen.fit(features[learned], known["label"][learned])
        found = pd.DataFrame(chosen.predict_proba(features[tested]), columns=chosen.classes_, index=known.index[tested])
        logits = np.log(found.reindex(columns=list(classes), fill_value=0.0).clip(lower=LEAST_PROBABILITY))
        described = known[tested].rename(columns={"label": "y_true"}).assign(fold=fold, seed=0, split="test")
        parts.append(described.join(logits.rename(columns=logit_column)))
    return pd.concat(parts, ignore_index=True) if parts else known.iloc[:0]
