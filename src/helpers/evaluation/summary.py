"""All numbers of notebook 04 in one frozen result, for metrics.json, for tables and for figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import COUNT_METRICS
from helpers.evaluation.predictions import fold_predictions, out_of_fold, training_predictions
from helpers.evaluation.questions import Question, answer_question, clinical_questions
from helpers.evaluation.resampling import (
    Resampling,
    class_metrics,
    count_metric,
    overall_metrics,
    row_fractions,
    weighted_kappa_metric,
)
from helpers.evaluation.tables import evaluation_tables, metrics_document
from helpers.study.errors import StudyError

# Each part of the evaluation draws from its own stream, so that adding one never changes the numbers of another.
POOLED_STREAM, TRAINING_STREAM, FOLD_STREAM = 0, 1, 2


# With fewer patients, many intervals are short of their promise (coverage.csv), and all are wide.
FEW_PATIENTS = 50


class EvaluationError(StudyError, ValueError):
    """A parameter of the evaluation is impossible, or its result is inconsistent; the message names the remedy."""


@dataclass(frozen=True)
class BootstrapSettings:
    """How all intervals were found: replicates, nominal coverage and seed."""

    n_replicates: int
    confidence: float
    seed: int

    def resample(self, frame: pd.DataFrame, *, classes: Sequence[str], stream: Sequence[int]) -> Resampling:
        """Draw the bootstrap of one table of averaged predictions from its own random stream."""
        return Resampling.draw(
            ClusteredSample.from_frame(frame, classes=classes),
            n_replicates=self.n_replicates,
            confidence=self.confidence,
            rng=np.random.default_rng([self.seed, *stream]),
        )


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts and, for each of them, its share of the reference class.

    Attributes
    ----------
    counts
        (K, K) integers, rows reference, columns predicted.
    row_fractions
        K rows of K metrics.
    """

    counts: np.ndarray
    row_fractions: tuple[tuple[Metric, ...], ...]

    @classmethod
    def of(cls, resampling: Resampling) -> "ConfusionMatrix":
        """Counts and shares with their intervals."""
        return cls(resampling.sample.confusion.astype(np.int64), row_fractions(resampling))


@dataclass(frozen=True)
class Evaluation:
    """Every number of the evaluation.

    Attributes
    ----------
    class_names, normal_class
        Class keys in reporting order with their names; the key of the class without a fracture, or None.
    bootstrap
        Settings behind all intervals.
    samples
        The held-out table of `out_of_fold`, on which all but the per-fold and training numbers stand.
    n_seeds
        Seeds averaged into each probability.
    confusion
        (K, K) integer counts, rows reference, columns predicted.
    row_fractions
        K rows of K metrics: each cell as a share of its reference class.
    overall, per_class, fracture_vs_normal, per_fold, training, baseline
        Metrics by name (under class key or fold where there are several groups). `fracture_vs_normal` is empty without
        a normal class, `training` is empty when no training predictions were stored.
    majority_class
        The most frequent reference class, which `baseline` always answers.
    fold_confusion
        Confusion matrix of each fold's own test samples.
    questions
        Clinical questions with their operating points, by name, see `helpers.evaluation.questions`.
    """

    class_names: Mapping[str, str]
    normal_class: str | None
    bootstrap: BootstrapSettings
    samples: pd.DataFrame
    n_seeds: int
    confusion: np.ndarray
    row_fractions: tuple[tuple[Metric, ...], ...]
    overall: Mapping[str, Metric]
    per_class: Mapping[str, Mapping[str, Metric]]
    fracture_vs_normal: Mapping[str, Metric]
    per_fold: Mapping[int, Mapping[str, Metric]]
    training: Mapping[str, Metric]
    baseline: Mapping[str, Metric]
    majority_class: str
    fold_confusion: Mapping[int, ConfusionMatrix]
    questions: Mapping[str, Question]

    @property
    def words(self) -> dict[str, str]:
        """Class key to its words, such as "A compression"."""
        return {key: key if key == name else f"{key} {name}" for key, name in self.class_names.items()}

    @property
    def labels(self) -> list[str]:
        """Class labels for axes, in reporting order."""
        return list(self.words.values())

    @property
    def n_patients(self) -> int:
        """Distinct patients with a held-out prediction."""
        return int(self.samples["PatientID"].nunique())

    def to_json_dict(self) -> dict:
        """The structure of metrics.json, see `helpers.evaluation.tables.metrics_document`."""
        return metrics_document(self)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tidy tables by file name, see `helpers.evaluation.tables.evaluation_tables`."""
        return evaluation_tables(self)


def evaluate(
    predictions: pd.DataFrame,
    *,
    class_names: Mapping[str, str],
    normal_class: str | None,
    n_bootstrap: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    prevalences: Sequence[float] = (0.02, 0.1, 0.3),
    severity_order: Sequence[str] = (),
) -> Evaluation:
    """Compute every metric of the study with its patient-clustered interval.

    Parameters
    ----------
    predictions
        Table of notebook 03, one row per (sample, fold, seed), see `out_of_fold`.
    class_names
        Class key → name, in reporting order.
    normal_class
        Key of the class without a fracture, or None.
    n_bootstrap
        Replicates, at least 1; 1000 or more for a 95 % interval.
    confidence
        Nominal coverage in (0, 1).
    seed
        Seed of the bootstrap, not negative; separate from splits and training.
    prevalences
        Shares of positives in (0, 1) at which PPV and NPV of the clinical questions are given.
    severity_order
        Class keys from least to most severe, for kappa with quadratic weights; empty where there is no order.

    Raises
    ------
    EvaluationError
        For an impossible parameter.
    PredictionsError
        For a table that cannot be evaluated.
    """
    settings = BootstrapSettings(n_replicates=n_bootstrap, confidence=confidence, seed=seed)
    _check_parameters(settings, class_names=class_names, normal_class=normal_class)
    _check_choices(class_names, prevalences=prevalences, severity_order=severity_order)
    classes = list(class_names)
    samples = out_of_fold(predictions, classes=classes)
    pooled = settings.resample(samples, classes=classes, stream=[POOLED_STREAM])
    majority = int(pooled.sample.confusion.sum(axis=1).argmax())
    normal = None if normal_class is None else classes.index(normal_class)
    by_fold = _by_fold(predictions, classes=classes, settings=settings)
    return Evaluation(
        class_names=MappingProxyType(dict(class_names)),
        normal_class=normal_class,
        bootstrap=settings,
        samples=samples,
        n_seeds=int(predictions.loc[predictions["split"] == "test", "seed"].nunique()),
        confusion=pooled.sample.confusion.astype(np.int64),
        row_fractions=row_fractions(pooled),
        overall=_overall(pooled, classes=classes, severity_order=severity_order),
        per_class={key: class_metrics(pooled, code) for code, key in enumerate(classes)},
        fracture_vs_normal={} if normal is None else class_metrics(pooled.against(normal), 0),
        per_fold={fold: overall_metrics(resampling) for fold, resampling in by_fold.items()},
        training=_training(predictions, classes=classes, settings=settings),
        baseline=_constant_answer(pooled, code=majority),
        majority_class=classes[majority],
        fold_confusion={fold: ConfusionMatrix.of(resampling) for fold, resampling in by_fold.items()},
        questions=_questions(
            predictions, class_names=class_names, normal_class=normal_class, pooled=pooled, prevalences=prevalences
        ),
    )


def _overall(pooled: Resampling, *, classes: Sequence[str], severity_order: Sequence[str]) -> dict[str, Metric]:
    """Metrics of all classes together, weighted kappa only where the classes have an order."""
    overall = overall_metrics(pooled)
    if severity_order:
        overall["weighted_kappa"] = weighted_kappa_metric(pooled, ranks=[severity_order.index(key) for key in classes])
    return overall


def _check_parameters(settings: BootstrapSettings, *, class_names: Mapping[str, str], normal_class: str | None) -> None:
    if settings.n_replicates < 1:
        raise EvaluationError(f"evaluation.n_bootstrap is {settings.n_replicates}; give at least 1, usually 2000")
    if not 0 < settings.confidence < 1:
        raise EvaluationError(f"evaluation.confidence is {settings.confidence}; give a share such as 0.95")
    if settings.seed < 0:
        raise EvaluationError(f"evaluation.seed is {settings.seed}; give 0 or a positive integer")
    if normal_class is not None and normal_class not in class_names:
        raise EvaluationError(
            f"cohort.normal_class is '{normal_class}', which is not a key of cohort.class_names {list(class_names)}; "
            "name one of these, or null where no class is without a fracture"
        )


def _check_choices(
    class_names: Mapping[str, str], *, prevalences: Sequence[float], severity_order: Sequence[str]
) -> None:
    outside = [value for value in prevalences if not 0 < value < 1]
    if outside:
        raise EvaluationError(f"evaluation.prevalences holds {outside}; give shares between 0 and 1, such as 0.02")
    if severity_order and sorted(severity_order) != sorted(class_names):
        raise EvaluationError(
            f"evaluation.severity_order is {list(severity_order)}; name each key of cohort.class_names "
            f"{list(class_names)} once, from least to most severe, or leave it empty"
        )


def _by_fold(
    predictions: pd.DataFrame, *, classes: Sequence[str], settings: BootstrapSettings
) -> dict[int, Resampling]:
    """Bootstrap of each fold's own model (seeds averaged) on the samples it was tested on."""
    by_fold = fold_predictions(predictions, classes=classes).groupby("fold")
    return {
        int(fold): settings.resample(frame, classes=classes, stream=[FOLD_STREAM, position])
        for position, (fold, frame) in enumerate(by_fold)
    }


def _questions(
    predictions: pd.DataFrame,
    *,
    class_names: Mapping[str, str],
    normal_class: str | None,
    pooled: Resampling,
    prevalences: Sequence[float],
) -> dict[str, Question]:
    return {
        name: answer_question(
            predictions,
            positive=positive,
            classes=list(class_names),
            pooled=pooled,
            prevalences=prevalences,
        )
        for name, positive in clinical_questions(class_names, normal_class=normal_class).items()
    }


def _training(predictions: pd.DataFrame, *, classes: Sequence[str], settings: BootstrapSettings) -> dict[str, Metric]:
    """Accuracy of the folds' models on their own training samples, averaged over folds."""
    frame = training_predictions(predictions, classes=classes)
    if frame.empty:
        return {}
    resampling = settings.resample(frame, classes=classes, stream=[TRAINING_STREAM])
    return {"accuracy": count_metric(resampling, COUNT_METRICS["accuracy"])}


def _constant_answer(pooled: Resampling, *, code: int) -> dict[str, Metric]:
    """What always answering one class would score, on the same replicates."""
    sample = replace(pooled.sample, predicted=np.full_like(pooled.sample.predicted, code))
    constant = Resampling(sample=sample, weights=pooled.weights, confidence=pooled.confidence)
    return {name: count_metric(constant, COUNT_METRICS[name]) for name in ("accuracy", "balanced_accuracy")}


def headline(metrics: Mapping) -> str:
    """Say the main result in a sentence, and a second one where patients are few, from metrics.json alone.

    Parameters
    ----------
    metrics
        Dict as given by `Evaluation.to_json_dict`, or read back from metrics.json.
    """
    overall, level = metrics["overall"], 100 * metrics["bootstrap"]["confidence"]
    images, patients = overall["accuracy"]["n_samples"], overall["accuracy"]["n_patients"]
    majority = metrics["baseline"]["accuracy"]["estimate"]
    people = "1 patient" if patients == 1 else f"{patients} patients"
    pictures = "1 image" if images == 1 else f"{images} images"
    caution = " So few patients allow no more than a first impression." if patients < FEW_PATIENTS else ""
    return (
        f"Held-out accuracy is {percent_with_interval(overall['accuracy'], level=level)} on {pictures} of "
        f"{people}; balanced accuracy is {percent_with_interval(overall['balanced_accuracy'])}; always "
        f"answering the most frequent class would reach {100 * majority:.1f} %.{caution}"
    )


def percent_with_interval(metric: Mapping, *, level: float | None = None) -> str:
    """Write a metric of metrics.json as "91.0 % (88.2–93.5 %)"; `level` adds the nominal coverage in percent."""
    if metric["estimate"] is None:
        return f"not defined ({metric['note']})"
    estimate = f"{100 * metric['estimate']:.1f} %"
    if metric["ci_low"] is None:
        return f"{estimate} ({metric['note']})"
    prefix = "" if level is None else f"{level:g} % interval "
    return f"{estimate} ({prefix}{100 * metric['ci_low']:.1f}–{100 * metric['ci_high']:.1f} %)"
