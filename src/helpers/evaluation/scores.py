"""One number for each image, the probability of any fracture 1 - P(normal), with the bootstrap of its patients."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import SHARE, Bounds, ClusteredInterval, Metric, Support, metric_from_replicates
from helpers.evaluation.intervals import clustered_wilson_interval
from helpers.evaluation.metrics import ratio
from helpers.evaluation.predictions import logit_column
from helpers.study.params import EvaluationParams


@dataclass(frozen=True)
class ScoredCohort:
    """Fracture scores of one cohort.

    Attributes
    ----------
    table
        N rows: sample_id, PatientID, `is_fracture`, `score` (mean of all seeds); of an external cohort also
        `score_<seed>` and `grade` (severity as a number, NaN where unknown).
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

    def metric(
        self,
        values: np.ndarray,
        *,
        rows: np.ndarray,
        undefined: str,
        both_groups: bool = False,
        bounds: Bounds | None = SHARE,
        interval_of: ClusteredInterval = clustered_wilson_interval,
    ) -> Metric:
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
        bounds, interval_of
            As in `metric_from_replicates`.
        """
        groups = [self.is_fracture, ~self.is_fracture] if both_groups else [rows]
        limiting = min(len(np.unique(self.patient[group & rows])) for group in groups)
        return metric_from_replicates(
            float(values[0]),
            values[1:],
            support=Support(*self.count(rows), limiting),
            confidence=self.params.confidence,
            undefined=undefined,
            bounds=bounds,
            interval_of=interval_of,
        )

    def without_interval(self, value: float, *, note: str) -> Metric:
        """A number of all samples for which the bootstrap gives no honest interval."""
        n_samples, n_patients = self.count(np.ones(len(self.table), dtype=bool))
        return Metric(float(value), None, None, None, n_samples, n_patients, note=note)

    def count(self, rows: np.ndarray) -> tuple[int, int]:
        """Distinct samples and patients among some rows."""
        return self.table["sample_id"][rows].nunique(), self.table["PatientID"][rows].nunique()

    def mean(self, values: np.ndarray, *, rows: np.ndarray, undefined: str, bounds: Bounds | None = SHARE) -> Metric:
        """Mean of (N,) values over some samples."""
        weights = self.weights[:, rows]
        means = ratio(weights @ values[rows], weights.sum(axis=1))
        return self.metric(means, rows=rows, undefined=undefined, bounds=bounds)


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
    return np.minimum(probabilities[:, is_fracture].sum(axis=1), 1.0)  # the sum may round above 1
