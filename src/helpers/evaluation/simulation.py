"""Simulated cohorts whose true metrics are known, to find out how often an interval holds them.

A patient has one to three images. Class and score of an image depend on normal variables of which a part is shared by
the patient's images, so that both are alike within a patient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from helpers.evaluation.bootstrap import ClusteredSample, patient_weights, percentile_interval
from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import CLASS_METRICS, COUNT_METRICS
from helpers.evaluation.prevalence import predictive_values
from helpers.evaluation.resampling import Resampling, class_metrics, overall_metrics

MAX_IMAGES = 3
# Share of the variance that images of one patient have in common: of what makes the class, and of the score.
SHARED_IN_CLASS, SHARED_IN_SCORE = 0.3, 0.4
N_REPLICATES = 500
CONFIDENCE = 0.95
OTHER_PREVALENCE = 0.02


@dataclass(frozen=True)
class CohortModel:
    """Two classes, of which class 1 is the positive one.

    Attributes
    ----------
    prevalence
        Share of positive images, in (0, 1).
    target
        True sensitivity and specificity of the answers, and true AUROC of the scores, in (0.5, 1).
    """

    prevalence: float
    target: float

    @property
    def answer_shift(self) -> float:
        """Distance between the classes, in standard deviations, at which a cut half-way has the target accuracy."""
        return float(2 * norm.ppf(self.target))

    @property
    def score_shift(self) -> float:
        """Distance between the classes, in standard deviations, at which scores have the target AUROC."""
        return float(np.sqrt(2) * norm.ppf(self.target))

    @cached_property
    def truth(self) -> dict[str, float]:
        """True values of the metrics, by name; class metrics are those of the positive class."""
        shares = np.array([1 - self.prevalence, self.prevalence])
        right = np.diag([self.target, self.target]) + np.fliplr(np.diag([1 - self.target, 1 - self.target]))
        counts = shares[:, None] * right
        values = {name: float(metric.formula(counts)) for name, metric in COUNT_METRICS.items()}
        values |= {name: float(metric.formula(counts)[1]) for name, metric in CLASS_METRICS.items()}
        odds = OTHER_PREVALENCE / (1 - OTHER_PREVALENCE) * self.target / (1 - self.target)
        return values | self._truth_of_scores() | {f"ppv_at_{OTHER_PREVALENCE:g}": odds / (1 + odds)}

    def _truth_of_scores(self) -> dict[str, float]:
        half, shares = self.score_shift / 2, (1 - self.prevalence, self.prevalence)

        def precision(score: float) -> float:
            called = [share * norm.sf(score, mean) for share, mean in zip(shares, (-half, half), strict=True)]
            return called[1] / sum(called)

        def expected(cost) -> float:
            parts = [
                share * quad(lambda score, sign=sign: cost(score, sign) * norm.pdf(score, sign * half), -9, 9)[0]
                for share, sign in zip(shares, (-1, 1), strict=True)
            ]
            return sum(parts)

        return {
            "auroc": self.target,
            "macro_auroc": self.target,
            "auprc": quad(lambda score: precision(score) * norm.pdf(score, half), -9, 9)[0],
            "brier": expected(lambda score, sign: 2 * (self.probability(score) - (sign > 0)) ** 2),
            "log_loss": expected(lambda score, sign: np.logaddexp(0, -sign * self._log_odds(score))),
        }

    def probability(self, score: np.ndarray | float) -> np.ndarray:
        """True probability of the positive class at a score."""
        return expit(self._log_odds(score))

    def _log_odds(self, score: np.ndarray | float) -> np.ndarray | float:
        return self.score_shift * score + logit(self.prevalence)

    def draw(self, n_patients: int, *, rng: np.random.Generator) -> ClusteredSample:
        """One cohort; scores are the true probabilities of the classes."""
        patient = np.repeat(np.arange(n_patients), rng.integers(1, MAX_IMAGES + 1, n_patients))
        latent, noise = (
            np.sqrt(shared) * rng.normal(size=n_patients)[patient] + np.sqrt(1 - shared) * rng.normal(size=len(patient))
            for shared in (SHARED_IN_CLASS, SHARED_IN_SCORE)
        )
        reference = (latent > norm.ppf(1 - self.prevalence)).astype(np.intp)
        predicted = (self.answer_shift * (reference - 0.5) + noise > 0).astype(np.intp)
        positive = self.probability(self.score_shift * (reference - 0.5) + noise)
        scores = np.column_stack([1 - positive, positive])
        return ClusteredSample(reference, predicted, scores, patient, np.arange(len(patient)))


def coverage_of(model: CohortModel, *, n_patients: int, n_cohorts: int, rng: np.random.Generator) -> pd.DataFrame:
    """How often the intervals of the study, and percentiles of the same replicates, hold the true value.

    Returns
    -------
    One row per metric: `n_patients`, `prevalence`, `target`, `metric`, `truth`, `coverage`, `width` (mean), `without`
    (share of cohorts without an interval), `percentile_coverage` and `percentile_width` where they are compared.
    """
    # The same draws of patients serve all cohorts: cohorts are independent, and their coverage is an average over them.
    weights = patient_weights(n_patients, n_replicates=N_REPLICATES, rng=rng)
    rows = []
    for _ in range(n_cohorts):
        resampling = Resampling(model.draw(n_patients, rng=rng), weights=weights, confidence=CONFIDENCE)
        percentiles = dict(_percentiles(resampling))
        for name, metric in _metrics(resampling).items():
            rows.append({"metric": name, **_held(metric, percentiles.get(name), truth=model.truth[name])})
    found = pd.DataFrame(rows).groupby("metric", sort=False).mean().reset_index()
    found.insert(1, "truth", found["metric"].map(model.truth))
    return found.assign(n_patients=n_patients, prevalence=model.prevalence, target=model.target)[
        ["n_patients", "prevalence", "target", *found.columns]
    ]


def _metrics(resampling: Resampling) -> dict[str, Metric]:
    metrics = overall_metrics(resampling) | class_metrics(resampling, 1)
    values = predictive_values(
        metrics["sensitivity"],
        metrics["specificity"],
        prevalences=[OTHER_PREVALENCE],
        support=resampling.support(np.ones(len(resampling.sample.reference), dtype=bool)),
    )
    return metrics | {name: metric for name, metric in values.items() if name.startswith("ppv")}


def _percentiles(resampling: Resampling) -> Iterator[tuple[str, np.ndarray]]:
    """Percentile limits of metrics from counts and of AUROC, where a replicate defines them."""
    replicates = {name: metric.formula(resampling.confusion) for name, metric in COUNT_METRICS.items()}
    replicates |= {name: metric.formula(resampling.confusion)[:, 1] for name, metric in CLASS_METRICS.items()}
    for name, values in (replicates | {"auroc": resampling.auroc[1][1:]}).items():
        defined = values[~np.isnan(values)]
        if len(defined):
            interval = percentile_interval(defined, confidence=CONFIDENCE)
            yield name, np.array([interval.low, interval.high])


def _held(metric: Metric, percentiles: np.ndarray | None, *, truth: float) -> dict[str, float]:
    """Whether one cohort's intervals hold the truth, as 0 or 1; NaN where there is no interval."""
    missing = metric.ci_low is None
    held = dict.fromkeys(("coverage", "width", "percentile_coverage", "percentile_width"), np.nan)
    held["without"] = float(missing)
    if not missing:
        held |= {"coverage": float(metric.ci_low <= truth <= metric.ci_high), "width": metric.ci_high - metric.ci_low}
        if percentiles is not None:
            low, high = percentiles
            held |= {"percentile_coverage": float(low <= truth <= high), "percentile_width": high - low}
    return held
