"""One number for each image, 1 - P(normal), and what it is worth on a cohort that no network was trained on.

The threshold is not chosen there: it is carried over from the study's own validation images, so that sensitivity and
specificity are those that a user of the study would meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import Metric, Support, metric_from_replicates
from helpers.evaluation.metrics import AUROC_UNDEFINED, ratio, weighted_auroc
from helpers.evaluation.predictions import logit_column
from helpers.study.params import EvaluationParams

SEVERE_GRADE = 2  # Genant: 25 % of the height lost and more (Genant 1993, 10.1002/jbmr.5650080915)
N_BINS = 10


@dataclass(frozen=True)
class Threshold:
    """Where score becomes answer: a score of at least `value` is called a fracture.

    Attributes
    ----------
    value
        In [0, 1].
    n_samples, n_patients
        Validation images that it was chosen on, and their patients.
    """

    value: float
    n_samples: int
    n_patients: int


@dataclass(frozen=True)
class ScoredCohort:
    """Fracture scores of one cohort.

    Attributes
    ----------
    table
        N rows by sample_id: sample_id, PatientID, `is_fracture`, `score` (mean of all seeds), `score_<seed>`, `grade`
        (severity as a number, NaN where unknown).
    seeds
        Of training, sorted.
    params
        Bootstrap of the study.
    """

    table: pd.DataFrame
    seeds: tuple[int, ...]
    params: EvaluationParams

    def __getitem__(self, rows: pd.Series) -> "ScoredCohort":
        """Some of the samples."""
        return ScoredCohort(self.table[rows].reset_index(drop=True), self.seeds, self.params)

    @cached_property
    def is_fracture(self) -> np.ndarray:
        """(N,) boolean."""
        return self.table["is_fracture"].to_numpy(dtype=bool)

    @cached_property
    def patient(self) -> np.ndarray:
        """(N,) patient codes from 0."""
        return np.unique(self.table["PatientID"].to_numpy(dtype=str), return_inverse=True)[1]

    @cached_property
    def weights(self) -> np.ndarray:
        """(1 + R, N) weight of each sample: first all alike, then by how often its patient is drawn."""
        drawn = patient_weights(
            self.patient.max() + 1,
            n_replicates=self.params.n_bootstrap,
            rng=np.random.default_rng(self.params.seed),
        )
        return np.concatenate([np.ones((1, len(self.table))), drawn[:, self.patient]])

    def metric(self, values: np.ndarray, *, rows: np.ndarray, undefined: str, both_groups: bool = False) -> Metric:
        """Put an estimate and its replicates together.

        Parameters
        ----------
        values
            (1 + R,) value under each row of `weights`.
        rows
            (N,) boolean, the samples that the value stands on.
        undefined
            When it is 0/0, in words.
        both_groups
            Whether fractures and normal samples are needed, so that the smaller group limits what can be known.
        """
        groups = [self.is_fracture, ~self.is_fracture] if both_groups else [rows]
        limiting = min(len(np.unique(self.patient[group & rows])) for group in groups)
        return metric_from_replicates(
            float(values[0]),
            values[1:],
            support=Support(int(rows.sum()), len(np.unique(self.patient[rows])), limiting),
            confidence=self.params.confidence,
            undefined=undefined,
        )

    def mean(self, values: np.ndarray, *, rows: np.ndarray, undefined: str) -> Metric:
        """Mean of (N,) values over some samples."""
        weights = self.weights[:, rows]
        return self.metric(ratio(weights @ values[rows], weights.sum(axis=1)), rows=rows, undefined=undefined)


def score_cohort(
    predictions: pd.DataFrame, *, normal_class: str, grades: pd.Series, params: EvaluationParams
) -> ScoredCohort:
    """Average 1 - P(normal) over the folds of each seed, then over seeds.

    Parameters
    ----------
    predictions
        One row per (sample, fold, seed) with PatientID, y_true and ``logit_<class>``.
    normal_class
        Class key without fracture.
    grades
        Severity by sample_id, as text or number; samples may be missing.
    params
        Bootstrap of the study.
    """
    seeds = tuple(sorted(int(seed) for seed in predictions["seed"].unique()))
    named = predictions.assign(score=fracture_scores(predictions, normal_class=normal_class))
    by_seed = named.pivot_table(index="sample_id", columns="seed", values="score", aggfunc="mean")
    samples = named.drop_duplicates("sample_id").set_index("sample_id").loc[by_seed.index]
    table = pd.DataFrame(
        {
            "PatientID": samples["PatientID"],
            "is_fracture": samples["y_true"] != normal_class,
            "score": by_seed.mean(axis=1),
            "grade": pd.to_numeric(grades.reindex(by_seed.index), errors="coerce").astype(float),
        }
    )
    columns = {f"score_{seed}": by_seed[seed] for seed in seeds}
    return ScoredCohort(table.assign(**columns).reset_index(), seeds, params)


def fracture_scores(predictions: pd.DataFrame, *, normal_class: str) -> np.ndarray:
    """(N,) probability of any fracture: the sum over all classes but `normal_class`."""
    logits = [column for column in predictions.columns if str(column).startswith("logit_")]
    probabilities = softmax(predictions[logits].to_numpy(dtype=np.float64), axis=1)
    is_fracture = np.array([column != logit_column(normal_class) for column in logits])
    return probabilities[:, is_fracture].sum(axis=1)


def youden_threshold(predictions: pd.DataFrame, *, normal_class: str) -> Threshold | None:
    """Score with the largest sensitivity + specificity - 1 on validation images (Youden 1950).

    Parameters
    ----------
    predictions
        `predictions.parquet`; only its rows with split "validation" are used, seeds averaged.
    normal_class
        Class key without fracture.

    Returns
    -------
    The threshold half-way to the next lower score, or None where validation lacks fractures or normal images.
    """
    rows = predictions[predictions["split"] == "validation"]
    rows = rows.assign(
        score=fracture_scores(rows, normal_class=normal_class), is_fracture=rows["y_true"] != normal_class
    )
    mean = rows.groupby(["fold", "sample_id"]).agg({"score": "mean", "is_fracture": "first", "PatientID": "first"})
    mean = mean.sort_values("score")
    fracture = mean["is_fracture"].to_numpy(dtype=bool)
    if fracture.all() or not fracture.any():
        return None
    scores = np.concatenate([[0.0], mean["score"]])
    missed = np.concatenate([[0], np.cumsum(fracture)]) / fracture.sum()
    spared = np.concatenate([[0], np.cumsum(~fracture)]) / (~fracture).sum()
    gain = spared - missed
    gain[:-1][scores[:-1] == scores[1:]] = -1.0  # a threshold cannot part equal scores
    below = int(gain.argmax())
    value = (scores[below] + scores[min(below + 1, len(scores) - 1)]) / 2
    return Threshold(float(value), rows["sample_id"].nunique(), rows["PatientID"].nunique())


def auroc_by_seed(cohort: ScoredCohort) -> dict[str, Metric]:
    """AUROC of each seed's networks, and the mean over seeds under the keys ``seed_<seed>`` and ``mean_of_seeds``."""
    rows = np.ones(len(cohort.table), dtype=bool)
    values = {
        f"seed_{seed}": weighted_auroc(
            cohort.table[f"score_{seed}"].to_numpy(), cohort.is_fracture, weights=cohort.weights
        )
        for seed in cohort.seeds
    }
    values["mean_of_seeds"] = np.mean(list(values.values()), axis=0)
    return {
        name: cohort.metric(found, rows=rows, undefined=AUROC_UNDEFINED, both_groups=True)
        for name, found in values.items()
    }


def severe_only(cohort: ScoredCohort) -> ScoredCohort:
    """Normal samples and fractures of `SEVERE_GRADE` or more; lighter ones and those without a grade are left out."""
    return cohort[~cohort.table["is_fracture"] | (cohort.table["grade"] >= SEVERE_GRADE)]


def at_threshold(cohort: ScoredCohort, threshold: Threshold) -> dict[str, Metric]:
    """Sensitivity and specificity of calling a score of at least the threshold a fracture."""
    called = cohort.table["score"].to_numpy() >= threshold.value
    fracture = cohort.is_fracture
    return {
        "sensitivity": cohort.mean(called.astype(float), rows=fracture, undefined="there is no fracture"),
        "specificity": cohort.mean((~called).astype(float), rows=~fracture, undefined="there is no normal sample"),
    }


def calibration(cohort: ScoredCohort) -> dict[str, Metric]:
    """How far scores are probabilities: Brier score, expected calibration error, mean score minus share of fractures.

    The expected calibration error has ten bins of equal width (Naeini 2015, 10.1609/aaai.v29i1.9602); on few samples
    it is above 0 also for a perfectly calibrated score.
    """
    score, fracture = cohort.table["score"].to_numpy(), cohort.is_fracture.astype(float)
    rows = np.ones(len(score), dtype=bool)
    undefined = "there are no samples"
    member = np.eye(N_BINS)[np.minimum((score * N_BINS).astype(int), N_BINS - 1)]
    excess = cohort.weights @ (member * (score - fracture)[:, None])
    error = np.abs(excess).sum(axis=1) / cohort.weights.sum(axis=1)
    return {
        "brier": cohort.mean((score - fracture) ** 2, rows=rows, undefined=undefined),
        "expected_calibration_error": cohort.metric(error, rows=rows, undefined=undefined),
        "mean_score_minus_share": cohort.mean(score - fracture, rows=rows, undefined=undefined),
    }


@dataclass(frozen=True)
class FractureScore:
    """What the fracture score is worth on one cohort.

    Attributes
    ----------
    cohort
        The scores themselves.
    auroc, severe, operating_point, calibration
        Metrics by name; `severe` is empty without grades, `operating_point` without a threshold.
    threshold
        Carried over from validation, or None.
    n_severe, n_left_out
        Fractures in `severe`, and those left out of it.
    """

    cohort: ScoredCohort
    auroc: Mapping[str, Metric]
    severe: Mapping[str, Metric]
    operating_point: Mapping[str, Metric]
    calibration: Mapping[str, Metric]
    threshold: Threshold | None
    n_severe: int
    n_left_out: int

    def groups(self) -> dict[str, Mapping[str, Metric]]:
        """Metrics by the question that they answer, in words."""
        value = "" if self.threshold is None else f" {self.threshold.value:.3f}"
        return {
            "any fracture, by score": self.auroc,
            f"grade {SEVERE_GRADE} and more against normal": self.severe,
            f"threshold{value} carried over": self.operating_point,
            "calibration of the score": self.calibration,
        }

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        parts = ("auroc", "severe", "operating_point", "calibration")
        document = {part: {name: m.to_json_dict() for name, m in getattr(self, part).items()} for part in parts}
        normal = int((~self.cohort.is_fracture).sum())
        document["severe_counts"] = {"severe": self.n_severe, "normal": normal, "left_out": self.n_left_out}
        document["threshold"] = None if self.threshold is None else vars(self.threshold) | {"chosen_on": "validation"}
        return document


def assess_scores(cohort: ScoredCohort, threshold: Threshold | None) -> FractureScore:
    """Ask everything of the scores of one cohort that holds fractures and normal samples."""
    severe = severe_only(cohort)
    n_severe = int(severe.is_fracture.sum())
    return FractureScore(
        cohort=cohort,
        auroc=auroc_by_seed(cohort),
        severe=auroc_by_seed(severe) if n_severe else {},
        operating_point={} if threshold is None else at_threshold(cohort, threshold),
        calibration=calibration(cohort),
        threshold=threshold,
        n_severe=n_severe,
        n_left_out=int(cohort.is_fracture.sum()) - n_severe,
    )
