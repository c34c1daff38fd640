"""Who is trained on and who is tested: folds by patient, or the paper's holdout by image.

Both are drawn from the samples sorted by `sample_id`, so that the order of rows and files never matters.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from helpers.study import SplitParams

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class SplitError(ValueError):
    """A cohort that cannot be divided as asked; the message names the class, the counts and the way out."""


def split_cohort(table: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    """Divide a cohort into train, validation and test, once per fold.

    Parameters
    ----------
    table
        Cohort table with sample_id, PatientID and label.
    params
        Section `splits` of the parameters.

    Returns
    -------
    Long table with one row per (sample_id, fold): columns sample_id, fold (from 0), split.

    Raises
    ------
    SplitError
        If a class has too few patients or images, or would be missing from a training part.
    """
    samples = table[["sample_id", "PatientID", "label"]].sort_values("sample_id", ignore_index=True)
    method = {"patient_kfold": patient_kfold, "image_holdout": image_holdout}[params.split_method]
    folds = [samples.assign(fold=fold, split=split) for fold, split in enumerate(method(samples, params))]
    for fold in folds:
        _check_training(fold)
    return pd.concat(folds, ignore_index=True)[["sample_id", "fold", "split"]]


def patient_kfold(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """Stratified k-fold in which all images of a patient stay together; the split of each sample, fold by fold.

    A share of the training patients, stratified by the classes they show, is set apart as validation in each fold.
    """
    patients = samples.groupby("label")["PatientID"].nunique()
    if patients.min() < params.n_folds:
        raise SplitError(
            f"class {patients.idxmin()} has {patients.min()} patients, too few for {params.n_folds} folds; "
            f"lower splits.n_folds, or add patients ({_counted(patients)})"
        )
    folds = StratifiedGroupKFold(params.n_folds, shuffle=True, random_state=params.split_seed)
    for fold, (rest, test) in enumerate(folds.split(samples, samples["label"], samples["PatientID"])):
        split = np.full(len(samples), TRAIN, dtype=object)
        split[test] = TEST
        rng = np.random.default_rng([params.split_seed, fold])
        chosen = validation_patients(samples.iloc[rest], fraction=params.validation_fraction, rng=rng)
        split[rest] = np.where(samples["PatientID"].iloc[rest].isin(chosen), VALIDATION, TRAIN)
        yield split


def validation_patients(samples: pd.DataFrame, *, fraction: float, rng: np.random.Generator) -> list[str]:
    """Draw a share of the patients, stratified by the set of classes that a patient shows.

    Each stratum gives its share rounded down, the strata with the largest remainders one more until the total fits;
    no stratum gives its last patient, so that training keeps every kind of patient.

    Returns
    -------
    At least one PatientID, about ``fraction`` of all.
    """
    shown = samples.groupby("PatientID")["label"].agg(lambda labels: " ".join(sorted(set(labels))))
    strata = {name: sorted(group.index) for name, group in shown.groupby(shown)}
    quota = {name: fraction * len(patients) for name, patients in strata.items()}
    taken = {name: int(quota[name]) for name in strata}
    missing = max(1, round(fraction * len(shown))) - sum(taken.values())
    open_strata = [name for name in strata if taken[name] + 1 < len(strata[name])]
    for name in sorted(open_strata, key=lambda name: (taken[name] - quota[name], name))[: max(missing, 0)]:
        taken[name] += 1
    if not sum(taken.values()):
        raise SplitError(f"{len(shown)} training patients are too few to set any apart for validation; add patients")
    return [patient for name in sorted(strata) for patient in rng.permutation(strata[name])[: taken[name]]]


def image_holdout(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """One holdout stratified by class that ignores patients, as the paper's numbers suggest.

    588 + 110 images is one of two pairs that fit both published percentages; that it was drawn by image is inferred.
    Images of one patient may lie on both sides: the audit reports that leak, and it must not be read as a success.
    """
    images = samples.groupby("label").size()
    classes = len(images)
    if params.test_images < classes or params.test_images > len(samples) - 2 * classes:
        raise SplitError(
            f"splits.test_images is {params.test_images}; with {len(samples)} images of {classes} classes it must lie "
            f"between {classes} and {len(samples) - 2 * classes}"
        )
    if images.min() < 3:
        raise SplitError(f"class {images.idxmin()} has {images.min()} images, three are needed ({_counted(images)})")
    split = np.full(len(samples), TRAIN, dtype=object)
    rest, test = _stratified(samples, np.arange(len(samples)), size=params.test_images, seed=params.split_seed)
    size = max(classes, round(params.validation_fraction * len(rest)))
    _, validation = _stratified(samples, rest, size=size, seed=params.split_seed)
    split[test], split[validation] = TEST, VALIDATION
    yield split


def _stratified(samples: pd.DataFrame, rows: np.ndarray, *, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = samples["label"].to_numpy()[rows]
    try:
        return tuple(train_test_split(rows, test_size=size, stratify=labels, random_state=seed))
    except ValueError as error:
        counts = _counted(pd.Series(labels).value_counts().sort_index())
        raise SplitError(f"{len(rows)} images cannot be divided with {size} set apart: {error} ({counts})") from error


def _check_training(fold: pd.DataFrame) -> None:
    """Every class must be there to learn from."""
    trained = fold.loc[fold["split"] == TRAIN, "label"].value_counts()
    missing = sorted(set(fold["label"]) - set(trained.index))
    if missing:
        raise SplitError(
            f"fold {fold['fold'].iloc[0]}: no image of class {', '.join(missing)} is left for training "
            f"({_counted(trained)}); lower splits.n_folds or splits.validation_fraction, or take another split_seed"
        )


def _counted(counts: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
