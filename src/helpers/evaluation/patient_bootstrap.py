"""Sums over images while whole patients are drawn with replacement, for questions that need no confusion matrix.

A bootstrap replicate is a vector of counts over patients. Whatever is a ratio of sums over images, such as a net
benefit or the coverage of prediction sets, then follows for all replicates from one matrix product. Sources as in
`helpers.evaluation.bootstrap`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import Bounds, Metric, Support, metric_from_replicates
from helpers.evaluation.metrics import ratio
from helpers.study.params import EvaluationParams

# A stream of its own: what is drawn here changes no number of the other parts of the evaluation.
STREAM = 3


@dataclass(frozen=True)
class PatientBootstrap:
    """The patients of N rows and how often each is drawn.

    Attributes
    ----------
    patient, sample
        (N,) codes from 0; several rows may show one sample under several folds' networks.
    params
        Replicates, confidence and seed.
    """

    patient: np.ndarray
    sample: np.ndarray
    params: EvaluationParams

    @classmethod
    def of(cls, rows: pd.DataFrame, *, params: EvaluationParams) -> "PatientBootstrap":
        """Encode the columns `PatientID` and `sample_id`."""
        patient, sample = (
            np.unique(rows[name].to_numpy(dtype=str), return_inverse=True)[1] for name in ("PatientID", "sample_id")
        )
        return cls(patient, sample, params)

    @cached_property
    def n_patients(self) -> int:
        """Distinct patients P."""
        return int(self.patient.max()) + 1

    @cached_property
    def weights(self) -> np.ndarray:
        """(1 + R, P): first every patient once, then how often each is drawn."""
        rng = np.random.default_rng([self.params.seed, STREAM])
        drawn = patient_weights(self.n_patients, n_replicates=self.params.n_bootstrap, rng=rng)
        return np.concatenate([np.ones((1, self.n_patients)), drawn])

    @cached_property
    def _patients_of_rows(self) -> csr_array:
        n_rows = len(self.patient)
        return csr_array((np.ones(n_rows), (self.patient, np.arange(n_rows))), shape=(self.n_patients, n_rows))

    def per_patient(self, values: np.ndarray) -> np.ndarray:
        """Sum (N,) or (N, M) values within each patient: (P,) or (P, M)."""
        return self._patients_of_rows @ np.asarray(values, dtype=np.float64)

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sum (N,) or (N, M) values over all rows, under each row of `weights`: (1 + R,) or (1 + R, M)."""
        return self.weights @ self.per_patient(values)

    def metric(
        self, values: np.ndarray, *, rows: np.ndarray | None = None, undefined: str = "no row is drawn",
        bounds: Bounds | None = None,
    ) -> Metric:  # fmt: skip
        """Put an estimate and its replicates together.

        Parameters
        ----------
        values
            (1 + R,) value under each row of `weights`.
        rows
            (N,) boolean, the rows that the value stands on; all by default.
        undefined
            When the value is 0/0, in words.
        bounds
            Range of a share, None for a number that is no share of patients.
        """
        rows = np.ones(len(self.patient), dtype=bool) if rows is None else rows
        n_samples, n_patients = (len(np.unique(codes[rows])) for codes in (self.sample, self.patient))
        return metric_from_replicates(
            float(values[0]),
            values[1:],
            support=Support(n_samples, n_patients, n_patients),
            confidence=self.params.confidence,
            undefined=undefined,
            bounds=bounds,
        )

    def share(self, hits: np.ndarray, *, rows: np.ndarray | None = None, undefined: str = "no row is drawn") -> Metric:
        """Share of some rows (all by default) in which (N,) boolean `hits` holds."""
        rows = np.ones(len(self.patient), dtype=bool) if rows is None else rows
        values = ratio(self.totals(hits & rows), self.totals(rows))
        return self.metric(values, rows=rows, undefined=undefined, bounds=Bounds())

    def mean(self, values: np.ndarray) -> Metric:
        """Mean of (N,) numbers over all rows."""
        return self.metric(ratio(self.totals(values), self.totals(np.ones(len(values)))))
