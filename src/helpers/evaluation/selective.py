"""Abstention: what would be gained by leaving the least sure images to a reader.

Images are accepted in the order of the probability of the answer given. The error among the accepted, over all shares
accepted, is the risk-coverage curve; its mean height is the AURC (Geifman & El-Yaniv 2017, arXiv 1705.08500).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.metrics import ratio
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import probability_column
from helpers.study.params import EvaluationParams

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
NOTHING_ACCEPTED = "no image is drawn"
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "aurc": "Mean error over all shares accepted (AURC)",
        "aurc_optimum": "The same, if every error came last (optimum)",
        "error": "The same, if the order were random (error of all images)",
        "gain": "Share of the way from random to optimum",
    }
)


def acceptance_metrics(samples: pd.DataFrame, *, params: EvaluationParams) -> dict[str, Metric]:
    """AURC beside the best and the useless order of the same errors.

    Parameters
    ----------
    samples
        Table of `out_of_fold`.
    params
        Replicates, confidence and seed.

    Returns
    -------
    Metrics by name, see `TITLES`. With error rate e the optimum is e + (1 - e) ln(1 - e) (Geifman 2019, arXiv
    1805.08206), and `gain` (e - AURC) / (e - optimum); without any error it is undefined.
    """
    boot = PatientBootstrap.of(samples, params=params)
    accepted, errors = _accepted(samples, boot=boot)
    risk = ratio(errors, accepted)
    step = np.diff(accepted, axis=1, prepend=0)
    error, aurc = risk[:, -1], (np.nan_to_num(risk) * step).sum(axis=1) / accepted[:, -1]
    right = np.where(error < 1, 1 - error, 1.0)
    optimum = error + right * np.log(right)
    return {
        "aurc": boot.metric(aurc, undefined=NOTHING_ACCEPTED),
        "aurc_optimum": boot.metric(optimum, undefined=NOTHING_ACCEPTED),
        "error": boot.metric(error, undefined=NOTHING_ACCEPTED, bounds=Bounds()),
        "gain": boot.metric(ratio(error - aurc, error - optimum), undefined="there is no error"),
    }


def risk_at_coverage(samples: pd.DataFrame, *, params: EvaluationParams) -> pd.DataFrame:
    """Error among the surest images, for several shares of images accepted.

    Images of equal probability are accepted together, so that the share reached can be above the one asked for.

    Parameters
    ----------
    samples, params
        As in `acceptance_metrics`.

    Returns
    -------
    `coverage`, `threshold` (accepted from this probability on), `n_accepted`, `error`, `ci_low`, `ci_high`. In each
    replicate the threshold is chosen anew.
    """
    boot = PatientBootstrap.of(samples, params=params)
    accepted, errors = _accepted(samples, boot=boot)
    sureness = _sureness(samples)
    cuts = np.unique(sureness)[::-1]
    rows = []
    for coverage in COVERAGES:
        # a rounding error must not accept one more group of images
        last = (accepted < coverage * accepted[:, -1:] - 1e-9).sum(axis=1)
        chosen = np.arange(len(last)), np.minimum(last, accepted.shape[1] - 1)
        cut = cuts[chosen[1][0]]
        found = boot.metric(
            ratio(errors[chosen], accepted[chosen]), rows=sureness >= cut, undefined=NOTHING_ACCEPTED, bounds=Bounds()
        )
        rows.append((coverage, cut, found.n_samples, found.estimate, found.ci_low, found.ci_high))
    return pd.DataFrame(rows, columns=["coverage", "threshold", "n_accepted", "error", "ci_low", "ci_high"])


def risk_coverage_curve(samples: pd.DataFrame, *, params: EvaluationParams) -> pd.DataFrame:
    """The whole curve, with a pointwise band, and the optimum beside it.

    Returns
    -------
    `coverage`, `error`, `band_low`, `band_high`, `optimum`, at every probability that occurs.
    """
    boot = PatientBootstrap.of(samples, params=params)
    accepted, errors = _accepted(samples, boot=boot)
    risk, coverage = ratio(errors, accepted), accepted[0] / accepted[0, -1]
    tail = (1 - params.confidence) / 2
    low, high = np.nanquantile(risk[1:], [tail, 1 - tail], axis=0)
    optimum = np.maximum(0, coverage - (1 - risk[0, -1])) / coverage
    return pd.DataFrame(
        {"coverage": coverage, "error": risk[0], "band_low": low, "band_high": high, "optimum": optimum}
    )


def _sureness(samples: pd.DataFrame) -> np.ndarray:
    columns = [name for name in samples if str(name).startswith(probability_column(""))]
    return samples[columns].to_numpy().max(axis=1)


def _accepted(samples: pd.DataFrame, *, boot: PatientBootstrap) -> tuple[np.ndarray, np.ndarray]:
    """Images accepted and errors among them, (1 + R, C) each, down to each of the C probabilities that occur."""
    group = np.unique(-_sureness(samples), return_inverse=True)[1]
    wrong = (samples["y_true"] != samples["y_pred"]).to_numpy(dtype=np.float64)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    weights = boot.weights[:, boot.patient[order]]
    sums = [np.add.reduceat(values, starts, axis=1) for values in (weights, weights * wrong[order])]
    return np.cumsum(sums[0], axis=1), np.cumsum(sums[1], axis=1)
