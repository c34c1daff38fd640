"""Numbers of images with intervals for which patients are resampled, since images of one patient are alike."""

from collections.abc import Callable, Iterable

import numpy as np

from helpers.evaluation.bootstrap import patient_weights
from helpers.evaluation.estimates import SHARE, Bounds, Metric, Support, metric_from_replicates
from helpers.evaluation.metrics import ratio
from helpers.study import EvaluationParams


def patient_codes(patients: Iterable[str]) -> np.ndarray:
    """Number of each sample's patient, (N,) from 0."""
    return np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]


def resampled_metric(
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    codes: np.ndarray,
    params: EvaluationParams,
    undefined: str,
    bounds: Bounds | None = SHARE,
) -> Metric:
    """A statistic with the patient-clustered bootstrap's interval.

    Parameters
    ----------
    statistic
        From (R, P) weights of patients to (R,) values, NaN where undefined.
    codes
        Result of `patient_codes` for the N samples.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.
    undefined
        When the statistic is undefined, in words.
    bounds
        Range of the statistic; None where it has none.
    """
    n_patients = int(codes.max()) + 1
    rng = np.random.default_rng(params.seed)
    return metric_from_replicates(
        float(statistic(np.ones((1, n_patients)))[0]),
        statistic(patient_weights(n_patients, n_replicates=params.n_bootstrap, rng=rng)),
        support=Support(n_samples=len(codes), n_patients=n_patients, n_limiting=n_patients),
        confidence=params.confidence,
        undefined=undefined,
        bounds=bounds,
    )


def ratio_of_sums(
    top: np.ndarray,
    bottom: np.ndarray,
    *,
    patients: Iterable[str],
    params: EvaluationParams,
    bounds: Bounds | None = SHARE,
) -> Metric:
    """Sum of `top` over sum of `bottom`, (N,) each; `bounds` is the range of the ratio, None where it has none."""
    codes = patient_codes(patients)
    sums = [np.bincount(codes, weights=np.asarray(values, dtype=float)) for values in (top, bottom)]
    return resampled_metric(
        lambda weights: ratio(*(weights @ patient_sums for patient_sums in sums)),
        codes=codes,
        params=params,
        undefined="the sum below is zero",
        bounds=bounds,
    )
