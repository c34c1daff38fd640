"""Which samples two runs share, whose answer changed, and how far apart the metrics are on the images of both.

A difference draws whole patients with replacement and takes both runs' answers of a patient along, from the stream of
random numbers of `helpers.evaluation.comparison`: what both compute is the same number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import (
    AUROC_UNDEFINED,
    CLASS_METRICS,
    COUNT_METRICS,
    PROBABILITY_METRICS,
    weighted_average_precision,
    weighted_kappa,
)
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.resampling import Resampling
from helpers.runs.numbers import Place
from helpers.study.params import EvaluationParams

IDENTITY = ["PatientID", "label", "pixel_sha256"]
ONLY_FIRST, ONLY_SECOND, NEITHER = "first", "second", "neither"


@dataclass(frozen=True)
class Overlap:
    """Samples of two cohorts by `sample_id`.

    Attributes
    ----------
    shared
        In both, with the same patient, label and pixels.
    changed
        In both, but with another patient, label or pixels.
    only_first, only_second
        In one cohort only.
    """

    shared: tuple[str, ...]
    changed: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def is_same_cohort(self) -> bool:
        """Whether both runs were made of the same images with the same labels."""
        return not (self.changed or self.only_first or self.only_second)


def overlap(first: pd.DataFrame, second: pd.DataFrame) -> Overlap:
    """Hold two `cohort.parquet` against each other."""
    ours, theirs = (table.set_index("sample_id")[IDENTITY].astype(str) for table in (first, second))
    both = ours.index.intersection(theirs.index).sort_values()
    same = (ours.loc[both] == theirs.loc[both]).all(axis=1)
    return Overlap(
        shared=tuple(both[same]),
        changed=tuple(both[~same]),
        only_first=tuple(ours.index.difference(theirs.index)),
        only_second=tuple(theirs.index.difference(ours.index)),
    )


def on_shared_samples(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the samples that both tables of `out_of_fold` hold, in one order."""
    samples = sorted(set(first["sample_id"]) & set(second["sample_id"]))
    ours, theirs = (table.set_index("sample_id").loc[samples].reset_index() for table in (first, second))
    return ours, theirs


def changed_answers(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Samples that the two runs answer differently.

    Parameters
    ----------
    first, second
        Tables of `on_shared_samples`.

    Returns
    -------
    Columns `sample_id`, `PatientID`, `y_true`, `first`, `second` (the answers) and `right`: which run is right,
    "first", "second" or "neither". Sorted by `right`, then by sample.
    """
    table = first[["sample_id", "PatientID", "y_true"]].assign(first=first["y_pred"], second=second["y_pred"])
    table = table[table["first"] != table["second"]]
    is_first, is_second = (table["y_true"] == table[name] for name in ("first", "second"))
    table["right"] = np.select([is_first, is_second], [ONLY_FIRST, ONLY_SECOND], default=NEITHER)
    return table.sort_values(["right", "sample_id"], ignore_index=True)


def paired_differences(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    classes: Sequence[str],
    normal_class: str | None,
    params: EvaluationParams,
) -> dict[Place, Metric]:
    """First minus second for the metrics of all classes, of each class, and of fracture against normal.

    Parameters
    ----------
    first, second
        Tables of `on_shared_samples`, not empty.
    classes, normal_class
        Class keys in reporting order; the one without a fracture, or None.
    params
        Replicates, confidence and seed of the bootstrap, and the order of severity.

    Returns
    -------
    Differences with percentile intervals, by the place of the metric in metrics.json.
    """
    boot = PatientBootstrap.of(first, params=params)
    ours, theirs = (
        _Replicates(
            Resampling(ClusteredSample.from_frame(table, classes=classes), boot.weights[1:], params.confidence),
            classes=tuple(classes),
            normal_class=normal_class,
            severity_order=tuple(params.severity_order),
        ).by_place
        for table in (first, second)
    )
    return {
        place: boot.metric(values - theirs[place][0], undefined=undefined)
        for place, (values, undefined) in ours.items()
    }


@dataclass(frozen=True)
class _Replicates:
    """Every metric of one run, on all samples and by replicate, with the words for when it is 0/0."""

    resampling: Resampling
    classes: tuple[str, ...]
    normal_class: str | None
    severity_order: tuple[str, ...]

    @property
    def by_place(self) -> dict[Place, tuple[np.ndarray, str]]:
        """(1 + R,) values by place in metrics.json."""
        return dict(self._all())

    def _all(self) -> Iterator[tuple[Place, tuple[np.ndarray, str]]]:
        for name, found in self._overall():
            yield ("overall", name), found
        for code, key in enumerate(self.classes):
            for name, found in _of_class(self.resampling, code):
                yield ("per_class", key, name), found
        if self.normal_class is not None:
            merged = self.resampling.against(self.classes.index(self.normal_class))
            for name, found in _of_class(merged, 0):
                yield ("fracture_vs_normal", name), found

    def _overall(self) -> Iterator[tuple[str, tuple[np.ndarray, str]]]:
        sample = self.resampling.sample
        for name, metric in COUNT_METRICS.items():
            yield name, (metric.formula(_confusion(self.resampling)), metric.undefined)
        if self.severity_order:
            ranks = [self.severity_order.index(key) for key in self.classes]
            undefined = COUNT_METRICS["cohen_kappa"].undefined
            yield "weighted_kappa", (weighted_kappa(_confusion(self.resampling), ranks=np.asarray(ranks)), undefined)
        yield "macro_auroc", (np.mean(self.resampling.auroc, axis=0), AUROC_UNDEFINED)
        for name, metric in PROBABILITY_METRICS.items():
            costs = metric.per_sample(sample.scores, sample.reference)
            yield name, (self.resampling.mean(costs), "there are no samples")


def _of_class(resampling: Resampling, code: int) -> Iterator[tuple[str, tuple[np.ndarray, str]]]:
    for name, metric in CLASS_METRICS.items():
        yield name, (metric.formula(_confusion(resampling))[:, code], metric.undefined)
    yield "auroc", (resampling.auroc[code], AUROC_UNDEFINED)
    yield "auprc", (resampling.ranking(code, measure=weighted_average_precision), AUROC_UNDEFINED)


def _confusion(resampling: Resampling) -> np.ndarray:
    """(1 + R, K, K) confusion matrices: first of all samples, then by replicate."""
    return np.concatenate([resampling.sample.confusion[None], resampling.confusion])
