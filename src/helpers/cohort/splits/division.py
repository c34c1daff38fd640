"""Who is trained on and who is tested: by patient, by site, by date, as somebody else divided, or by image.

All are drawn from the samples sorted by `sample_id`, so that the order of rows and files never matters. What is kept
together is the patient, or with `merge_linked_patients` all patients who share a study or copies of an image.
"""

import difflib
from collections.abc import Iterable
from typing import Optional

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from helpers.cohort.labels.split_words import TEST, TRAIN, VALIDATION, named_split
from helpers.cohort.splits.linked_patients import linked_patients
from helpers.study import SplitParams
from helpers.study.errors import StudyError

UNIT = "unit"  # column of whom a split keeps together: the PatientID, or the first of those who are linked
# Columns of a cohort table that name a scanner where nobody says the site.
SCANNER_COLUMNS = ("Manufacturer", "ManufacturerModelName")
TEST_STREAM = 1  # draws test patients with other random numbers than validation patients


class SplitError(StudyError, ValueError):
    """A cohort that cannot be divided as asked; the message names the class, the counts and the way out."""


def split_cohort(table: pd.DataFrame, params: SplitParams, *, copies: Optional[pd.DataFrame] = None) -> pd.DataFrame:
    """Divide a cohort into train, validation and test, once per fold.

    Parameters
    ----------
    table
        Cohort table with sample_id, PatientID and label; `temporal` needs study_day, `predefined` needs split,
        `leave_one_site_out` the column that splits.site_column names.
    params
        Section `splits` of the parameters.
    copies
        Pairs of (near-)identical images, columns sample_a and sample_b; used with splits.merge_linked_patients.

    Returns
    -------
    Long table with one row per (sample_id, fold): columns sample_id, fold (from 0), split.

    Raises
    ------
    SplitError
        If a class has too few patients or images, would be missing from a training part, or a column that the method
        needs is missing or empty.
    """
    samples = table.sort_values("sample_id", ignore_index=True)
    samples[UNIT] = linked_patients(samples, copies=copies) if params.merge_linked_patients else samples["PatientID"]
    method = METHODS[params.split_method]
    folds = [samples.assign(fold=fold, split=split) for fold, split in enumerate(method(samples, params))]
    for fold in folds:
        _check_training(fold, method=params.split_method)
    return pd.concat(folds, ignore_index=True)[["sample_id", "fold", "split"]]


def patient_kfold(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """Stratified k-fold in which all images of a patient stay together; the split of each sample, fold by fold.

    A share of the training patients, stratified by the classes they show, is set apart as validation in each fold.
    Repeats draw the folds anew and number them on.
    """
    patients = samples.groupby("label")[UNIT].nunique()
    if patients.min() < params.n_folds:
        raise SplitError(
            f"class {patients.idxmin()} has {patients.min()} {_whom(params)}, too few for {params.n_folds} folds; "
            f"lower splits.n_folds, or add patients ({_counted(patients)})"
        )
    for repeat in range(params.n_repeats):
        folds = StratifiedGroupKFold(params.n_folds, shuffle=True, random_state=_repeat_seed(params, repeat))
        for fold, (_, test) in enumerate(folds.split(samples, samples["label"], samples[UNIT])):
            tested = np.isin(np.arange(len(samples)), test)
            yield _with_validation(samples, tested, params=params, fold=repeat * params.n_folds + fold)


def _repeat_seed(params: SplitParams, repeat: int) -> int:
    """The first draw takes the seed itself, the others seeds far from those of a neighbouring split_seed."""
    if repeat == 0:
        return params.split_seed
    return int(np.random.SeedSequence([params.split_seed, repeat]).generate_state(1)[0])


def patient_holdout(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """One holdout by patient, stratified by the classes that a patient shows."""
    rng = np.random.default_rng([params.split_seed, 0, TEST_STREAM])
    chosen = draw_patients(samples, fraction=params.test_fraction, rng=rng)
    tested = samples[UNIT].isin(chosen).to_numpy()
    missing = sorted(set(samples["label"]) - set(samples.loc[tested, "label"]))
    if missing:
        patients = samples.groupby("label")[UNIT].nunique()
        raise SplitError(
            f"no patient of class {', '.join(missing)} is drawn for the test with splits.test_fraction "
            f"{params.test_fraction:g} ({_counted(patients)} {_whom(params)}); raise it, or add patients"
        )
    yield _with_validation(samples, tested, params=params, fold=0)


def leave_one_site_out(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """One fold per value of a column, such as the site or the scanner: that one is the test, in alphabetical order."""
    column = params.site_column
    other = f"name another column in splits.site_column{_scanners(samples)}"
    sites = _complete(samples, column, remedy=f"add it to the labels table, or {other}")
    if sites.nunique() < 2:
        raise SplitError(f"column {column!r} holds one value only; {other}")
    spread = int((sites.groupby(samples[UNIT]).nunique() > 1).sum())
    if spread:
        raise SplitError(
            f"{spread} {_whom(params)} have images of several values of {column!r}, so that leaving one out leaks; "
            "correct the column, leave these images out, or take split_method patient_kfold"
        )
    for fold, site in enumerate(sorted(sites.unique())):
        yield _with_validation(samples, (sites == site).to_numpy(), params=params, fold=fold)


def _scanners(samples: pd.DataFrame) -> str:
    """Columns that every sample fills and that differ between samples, in words."""
    known = [column for column in SCANNER_COLUMNS if column in samples and samples[column].notna().all()]
    varying = [column for column in known if samples[column].nunique() > 1]
    return f", such as {' or '.join(varying)}" if varying else ""


def temporal(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """The latest patients are the test, as if the method were used from some day on.

    A patient counts by the last study: nothing that is trained on is as late as the first day of the test, while the
    test may hold earlier images of its patients. All patients of one day stay on one side, so that the share of
    test patients is as near to `test_fraction` as the days allow. Validation is drawn from the earlier patients.
    """
    days = _complete(samples, "study_day", remedy="give StudyDate in the labels table or in the DICOM headers")
    last = days.groupby(samples[UNIT]).max()
    counts = last.value_counts().sort_index(ascending=False).cumsum()  # patients from that day on, by day
    possible = counts[counts < len(last)]
    if possible.empty:
        raise SplitError("all patients were last seen on one day, so that none is later; take another split_method")
    first_day = (possible - params.test_fraction * len(last)).abs().idxmin()
    late = last.index[last >= first_day]
    yield _with_validation(samples, samples[UNIT].isin(late).to_numpy(), params=params, fold=0)


def predefined(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """The parts as the column `split` names them; validation is drawn from train, by patient, where there is none."""
    remedy = "add it to the labels table, or map one with cohort.columns: {split: split_fold_0}"
    given = _complete(samples, "split", remedy=remedy)
    parts = given.map({word: named_split(word) for word in given.unique()})
    unknown = sorted(given[parts.isna()].unique())
    if unknown:
        raise SplitError(
            f"column 'split' holds {', '.join(map(repr, unknown[:5]))}; write train, validation or test (val, dev, ...)"
        )
    for part in (TRAIN, TEST):
        if not (parts == part).any():
            raise SplitError(f"column 'split' has no row with {part}; add one, or take another split_method")
    divided = int((parts.groupby(samples[UNIT]).nunique() > 1).sum())
    if params.merge_linked_patients and divided:
        raise SplitError(
            f"column 'split' divides {divided} {_whom(params)}; move the files of the linked patients to one side, "
            "or take split_method patient_kfold"
        )
    if (parts == VALIDATION).any():
        yield parts.to_numpy(dtype=object)
    else:
        yield _with_validation(samples, (parts == TEST).to_numpy(), params=params, fold=0)


def _with_validation(samples: pd.DataFrame, tested: np.ndarray, *, params: SplitParams, fold: int) -> np.ndarray:
    """The split of each sample: test where `tested`, and of the others some patients for validation."""
    rng = np.random.default_rng([params.split_seed, fold])
    chosen = draw_patients(samples[~tested], fraction=params.validation_fraction, rng=rng)
    split = np.where(samples[UNIT].isin(chosen), VALIDATION, TRAIN).astype(object)
    split[tested] = TEST
    return split


def draw_patients(samples: pd.DataFrame, *, fraction: float, rng: np.random.Generator) -> list[str]:
    """Draw a share of the patients, stratified by the set of classes that a patient shows.

    Each stratum gives its share rounded down, the strata with the largest remainders one more until the total fits;
    no stratum gives its last patient, so that training keeps every kind of patient.

    Parameters
    ----------
    samples
        Columns unit (whom to keep together) and label.
    fraction
        Share of the patients, between 0 and 1.
    rng
        Decides who of a stratum is drawn.

    Returns
    -------
    At least one value of `unit`, about ``fraction`` of all.
    """
    shown = samples.groupby(UNIT)["label"].agg(lambda labels: " ".join(sorted(set(labels))))
    strata = {name: sorted(group.index) for name, group in shown.groupby(shown)}
    quota = {name: fraction * len(patients) for name, patients in strata.items()}
    taken = {name: int(quota[name]) for name in strata}
    missing = max(1, round(fraction * len(shown))) - sum(taken.values())
    open_strata = [name for name in strata if taken[name] + 1 < len(strata[name])]
    for name in sorted(open_strata, key=lambda name: (taken[name] - quota[name], name))[: max(missing, 0)]:
        taken[name] += 1
    if not sum(taken.values()):
        raise SplitError(f"{len(shown)} training patients are too few to set any apart; add patients")
    return [patient for name in sorted(strata) for patient in rng.permutation(strata[name])[: taken[name]]]


def image_holdout(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """One holdout stratified by class that ignores patients, as the paper's numbers suggest.

    588 + 110 images is one of two pairs that fit both published percentages; that it was drawn by image is inferred.
    Images of one patient may lie on both sides: the audit reports that leak, and it must not be read as a success.
    """
    _check_divided_by_image(params, instead="patient_holdout")
    images = samples.groupby("label").size()
    classes = len(images)
    if images.min() < 3:
        raise SplitError(f"class {images.idxmin()} has {images.min()} images, three are needed ({_counted(images)})")
    if params.test_images < classes or params.test_images > len(samples) - 2 * classes:
        raise SplitError(
            f"splits.test_images is {params.test_images}; with {len(samples)} images of {classes} classes it must lie "
            f"between {classes} and {len(samples) - 2 * classes}"
        )
    rest, test = _stratified(samples, np.arange(len(samples)), size=params.test_images, seed=params.split_seed)
    yield _with_validation_images(samples, rest=rest, test=test, params=params)


def image_kfold(samples: pd.DataFrame, params: SplitParams) -> Iterable[np.ndarray]:
    """Stratified k-fold that ignores patients: beside `patient_kfold` it shows how much a division by image flatters.

    Images of one patient may lie on both sides: the audit reports that leak, and it must not be read as a success.
    """
    _check_divided_by_image(params, instead="patient_kfold")
    images = samples.groupby("label").size()
    if images.min() < 2 * params.n_folds:
        raise SplitError(
            f"class {images.idxmin()} has {images.min()} images, too few for {params.n_folds} folds; lower "
            f"splits.n_folds, or add images ({_counted(images)})"
        )
    for repeat in range(params.n_repeats):
        folds = StratifiedKFold(params.n_folds, shuffle=True, random_state=_repeat_seed(params, repeat))
        for rest, test in folds.split(samples, samples["label"]):
            yield _with_validation_images(samples, rest=rest, test=test, params=params)


def _check_divided_by_image(params: SplitParams, *, instead: str) -> None:
    if params.merge_linked_patients:
        raise SplitError(
            f"{params.split_method} divides by image and cannot keep patients together; set "
            f"splits.merge_linked_patients: false, or take split_method {instead}"
        )


def _with_validation_images(
    samples: pd.DataFrame, *, rest: np.ndarray, test: np.ndarray, params: SplitParams
) -> np.ndarray:
    """The split of each sample: `test`, and of the `rest` some images of each class for validation."""
    size = max(samples["label"].nunique(), round(params.validation_fraction * len(rest)))
    _, validation = _stratified(samples, rest, size=size, seed=params.split_seed)
    split = np.full(len(samples), TRAIN, dtype=object)
    split[test], split[validation] = TEST, VALIDATION
    return split


METHODS = {
    "patient_kfold": patient_kfold,
    "patient_holdout": patient_holdout,
    "leave_one_site_out": leave_one_site_out,
    "temporal": temporal,
    "predefined": predefined,
    "image_holdout": image_holdout,
    "image_kfold": image_kfold,
}
WAYS_OUT = {
    "patient_kfold": "lower splits.n_folds or splits.validation_fraction, or take another split_seed",
    "patient_holdout": "lower splits.test_fraction or splits.validation_fraction, or take another split_seed",
    "leave_one_site_out": "no other site shows it; join sites in another column, or take split_method patient_kfold",
    "temporal": "lower splits.test_fraction or splits.validation_fraction, or take split_method patient_holdout",
    "predefined": "correct the column 'split', or take another split_method",
    "image_holdout": "lower splits.test_images or splits.validation_fraction, or take another split_seed",
    "image_kfold": "lower splits.n_folds or splits.validation_fraction, or take another split_seed",
}


def _stratified(samples: pd.DataFrame, rows: np.ndarray, *, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = samples["label"].to_numpy()[rows]
    try:
        return tuple(train_test_split(rows, test_size=size, stratify=labels, random_state=seed))
    except ValueError as error:
        counts = _counted(pd.Series(labels).value_counts().sort_index())
        raise SplitError(f"{len(rows)} images cannot be divided with {size} set apart: {error} ({counts})") from error


def _complete(samples: pd.DataFrame, column: str, *, remedy: str) -> pd.Series:
    """A column that every sample must fill."""
    if column not in samples or samples[column].isna().all():
        close = [] if column in samples else difflib.get_close_matches(column, list(samples.columns), n=1)
        hint = f" (nearest column: {close[0]!r})" if close else ""
        raise SplitError(f"no sample has a value in {column!r}{hint}; {remedy}")
    missing = int(samples[column].isna().sum())
    if missing:
        raise SplitError(f"column {column!r} is empty for {missing} of {len(samples)} samples; {remedy}")
    return samples[column]


def _check_training(fold: pd.DataFrame, *, method: str) -> None:
    """Every class must be there to learn from."""
    trained = fold.loc[fold["split"] == TRAIN, "label"].value_counts()
    missing = sorted(set(fold["label"]) - set(trained.index))
    if missing:
        raise SplitError(
            f"fold {fold['fold'].iloc[0]}: no image of class {', '.join(missing)} is left for training "
            f"({_counted(trained)}); {WAYS_OUT[method]}"
        )


def _whom(params: SplitParams) -> str:
    return "groups of linked patients" if params.merge_linked_patients else "patients"


def _counted(counts: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
