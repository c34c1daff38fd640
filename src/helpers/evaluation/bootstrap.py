"""Patient-clustered bootstrap: patients are drawn with replacement, and bring all their images along.

Images of one patient resemble each other, so an interval that resamples images is too narrow. A replicate is a vector
of counts over patients; every metric of all replicates then follows from matrix products, without a loop
over replicates. Percentile intervals: Efron & Tibshirani 1993, chapter 13; clusters: Field & Welsh 2007,
10.1111/j.1467-9868.2007.00593.x.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from helpers.evaluation.intervals import Interval
from helpers.evaluation.predictions import probability_column

PERCENTILE = "patient-clustered bootstrap, percentile"
# Replicates are ranked in blocks of about this many (replicate, sample) weights, which a processor's cache can hold.
BLOCK_WEIGHTS = 100_000


@dataclass(frozen=True)
class ClusteredSample:
    """Labels as codes, with the patient of every row.

    Attributes
    ----------
    reference, predicted
        (N,) class codes 0 … K-1.
    scores
        (N, K), larger means more of that class.
    patient, sample
        (N,) codes; several rows may share one sample (the same image under several folds' models).
    """

    reference: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    patient: np.ndarray
    sample: np.ndarray

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, classes: Sequence[str]) -> "ClusteredSample":
        """Encode a table of `helpers.evaluation.predictions`; codes do not depend on the order of its rows."""
        index = pd.Index(list(classes))
        return cls(
            reference=index.get_indexer(frame["y_true"]),
            predicted=index.get_indexer(frame["y_pred"]),
            scores=frame[[probability_column(key) for key in classes]].to_numpy(dtype=np.float64),
            patient=np.unique(frame["PatientID"].to_numpy(dtype=str), return_inverse=True)[1],
            sample=np.unique(frame["sample_id"].to_numpy(dtype=str), return_inverse=True)[1],
        )

    @property
    def n_classes(self) -> int:
        """Number of classes K, present or not."""
        return self.scores.shape[1]

    @cached_property
    def n_patients(self) -> int:
        """Number of distinct patients P."""
        return len(np.unique(self.patient))

    @cached_property
    def patient_confusion(self) -> np.ndarray:
        """(P, K, K) counts: each patient's own confusion matrix, rows reference, columns predicted."""
        counts = np.zeros((self.n_patients, self.n_classes, self.n_classes))
        np.add.at(counts, (self.patient, self.reference, self.predicted), 1.0)
        return counts

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) counts of all rows."""
        return self.patient_confusion.sum(axis=0)

    def against(self, code: int) -> "ClusteredSample":
        """Merge all classes but `code` into one: class 0 is the merged group, class 1 is `code`.

        The merged group's score is the negative of the score of `code`, which ranks as its complement does but keeps
        the resolution of small probabilities.
        """
        score = self.scores[:, code]
        return ClusteredSample(
            reference=(self.reference == code).astype(np.intp),
            predicted=(self.predicted == code).astype(np.intp),
            scores=np.column_stack([-score, score]),
            patient=self.patient,
            sample=self.sample,
        )


def patient_weights(n_patients: int, *, n_replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each patient is drawn in each replicate: (R, P) counts, every row adding up to P.

    Raises
    ------
    ValueError
        If there is no patient or no replicate.
    """
    if n_patients < 1 or n_replicates < 1:
        raise ValueError(
            f"a bootstrap needs at least one patient and one replicate, not {n_patients} and {n_replicates}; "
            "raise evaluation.n_bootstrap or check the cohort"
        )
    # Drawn patients are counted for all replicates at once: ten times faster than as many multinomial draws.
    drawn = rng.integers(n_patients, size=(n_replicates, n_patients))
    places = drawn + n_patients * np.arange(n_replicates)[:, None]
    counts = np.bincount(places.ravel(), minlength=n_replicates * n_patients)
    return counts.reshape(n_replicates, n_patients).astype(np.float64)


def replicate_confusion(sample: ClusteredSample, *, weights: np.ndarray) -> np.ndarray:
    """Confusion matrices (R, K, K) under the patient weights (R, P)."""
    per_patient = sample.patient_confusion.reshape(sample.n_patients, -1)
    return (weights @ per_patient).reshape(-1, sample.n_classes, sample.n_classes)


def replicate_ranking(
    sample: ClusteredSample, *, code: int, weights: np.ndarray, measure: Callable[..., np.ndarray]
) -> np.ndarray:
    """How well the scores of one class rank it above the others, (R,), under the patient weights (R, P).

    Parameters
    ----------
    sample, weights
        Rows with their patients, and how often each patient is drawn.
    code
        The class.
    measure
        `weighted_auroc` or `weighted_average_precision`.
    """
    rows = max(1, BLOCK_WEIGHTS // max(1, len(sample.patient)))
    scores, positive = sample.scores[:, code], sample.reference == code
    blocks = [
        measure(scores, positive, weights=weights[start : start + rows, sample.patient])
        for start in range(0, len(weights), rows)
    ]
    return np.concatenate(blocks)


def percentile_interval(replicates: np.ndarray, *, confidence: float) -> Interval:
    """Interval between the two outer quantiles of the replicates (linear interpolation).

    Parameters
    ----------
    replicates
        (R,) finite values.
    confidence
        Nominal coverage in (0, 1).
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), method=PERCENTILE)
