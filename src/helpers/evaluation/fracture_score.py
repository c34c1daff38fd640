"""How well the score 1 - P(normal) tells fractures from normal vertebrae in a cohort that no network was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.evaluation.estimates import Bounds, Metric
from helpers.evaluation.intervals import clustered_logit_interval
from helpers.evaluation.metric_table import plain_values
from helpers.evaluation.metrics import AUROC_UNDEFINED, weighted_auroc
from helpers.evaluation.questions import POINT_WORDS
from helpers.evaluation.scores import ScoredCohort
from helpers.evaluation.threshold import Threshold, at_threshold

MODERATE_GRADE = 2  # Genant: 25 % of the height lost and more (Genant 1993, 10.1002/jbmr.5650080915)
N_BINS = 10


def auroc_by_seed(cohort: ScoredCohort) -> dict[str, Metric]:
    """AUROC of each seed's networks, and the mean over seeds under the keys ``seed_<seed>`` and ``mean_of_seeds``.

    The note of the mean counts both groups and says how far the seeds lie apart, which its interval does not hold.
    """
    rows = np.ones(len(cohort.table), dtype=bool)
    values = {
        f"seed_{seed}": weighted_auroc(
            cohort.table[f"score_{seed}"].to_numpy(), cohort.is_fracture, weights=cohort.weights
        )
        for seed in cohort.seeds
    }
    of_seeds = [found[0] for found in values.values()]
    values["mean_of_seeds"] = np.mean(list(values.values()), axis=0)
    metrics = {
        name: cohort.metric(
            found, rows=rows, undefined=AUROC_UNDEFINED, both_groups=True, interval_of=clustered_logit_interval
        )
        for name, found in values.items()
    }
    spread = f"seeds from {min(of_seeds):.3f} to {max(of_seeds):.3f}" if len(of_seeds) > 1 else "one seed"
    notes = (_groups_in_words(cohort), f"{spread}; the interval is that of patients alone")
    return metrics | {"mean_of_seeds": metrics["mean_of_seeds"].with_note("; ".join(notes))}


def _groups_in_words(cohort: ScoredCohort) -> str:
    n_fractures, of_patients = cohort.count(cohort.is_fracture)
    n_normal, of_others = cohort.count(~cohort.is_fracture)
    return f"{n_fractures} fractures of {of_patients} patients, {n_normal} normal samples of {of_others} patients"


def moderate_or_severe_only(cohort: ScoredCohort) -> ScoredCohort:
    """Normal samples and fractures of `MODERATE_GRADE` or more; mild ones and those without a grade are left out."""
    return cohort[~cohort.table["is_fracture"] | (cohort.table["grade"] >= MODERATE_GRADE)]


def calibration(cohort: ScoredCohort) -> dict[str, Metric]:
    """How far scores are probabilities: Brier score, expected calibration error, mean score minus share of fractures.

    Beside the Brier score stands p (1 - p), that of a score which is the share of fractures p for every sample. The
    expected calibration error has ten bins of equal width (Naeini 2015, 10.1609/aaai.v29i1.9602). It is above 0 also
    for a perfectly calibrated score, the more so in replicates, which therefore give no interval.
    """
    score, fracture = cohort.table["score"].to_numpy(), cohort.is_fracture.astype(float)
    rows, share = np.ones(len(score), dtype=bool), fracture.mean()
    undefined = "there are no samples"
    bins = np.minimum((score * N_BINS).astype(int), N_BINS - 1)
    error = np.abs(np.bincount(bins, weights=score - fracture)).sum() / len(score)
    return {
        "brier": cohort.mean((score - fracture) ** 2, rows=rows, undefined=undefined),
        "brier_of_share": cohort.without_interval(
            share * (1 - share), note="for comparison: the share of fractures as the score of every sample"
        ),
        "expected_calibration_error": cohort.without_interval(
            error, note="no interval: on few samples too high, and higher still in replicates"
        ),
        "mean_score_minus_share": cohort.mean(
            score - fracture, rows=rows, undefined=undefined, bounds=Bounds(lower=-1)
        ),
    }


@dataclass(frozen=True)
class FractureScore:
    """All numbers of the fracture score on one cohort.

    Attributes
    ----------
    auroc, moderate_or_severe, calibration
        Metrics by name; `moderate_or_severe` is empty without grades.
    moderate_or_severe_counts
        Fractures and normal samples in `moderate_or_severe`, and fractures left out of it.
    thresholds
        Carried over from validation, by the rule that chose them; may be empty.
    operating_points
        Metrics by name, by the same rules.
    """

    auroc: Mapping[str, Metric]
    moderate_or_severe: Mapping[str, Metric]
    moderate_or_severe_counts: Mapping[str, int]
    calibration: Mapping[str, Metric]
    thresholds: Mapping[str, Threshold]
    operating_points: Mapping[str, Mapping[str, Metric]]

    def groups(self) -> dict[str, Mapping[str, Metric]]:
        """Metrics by the question that they answer, in words."""
        points: dict[str, Mapping[str, Metric]] = {}
        for rule, found in self.thresholds.items():
            points[f"{POINT_WORDS[rule]}, as chosen"] = {"threshold": found.metric, **found.on_validation}
            points[f"{POINT_WORDS[rule]}, carried over"] = self.operating_points[rule]
        return {
            "any fracture, by score": self.auroc,
            f"grade {MODERATE_GRADE} and more against normal": self.moderate_or_severe,
            **points,
            "calibration of the score": self.calibration,
        }

    def to_json_dict(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        parts = {"auroc": self.auroc, "moderate_or_severe": self.moderate_or_severe, "calibration": self.calibration}
        document: dict[str, Any] = plain_values(parts)
        document["moderate_or_severe_counts"] = dict(self.moderate_or_severe_counts)
        metrics = plain_values(self.operating_points)
        document["operating_points"] = {
            rule: {"threshold": found.to_json_dict(), "metrics": metrics[rule]}
            for rule, found in self.thresholds.items()
        }
        return document


def assess_scores(cohort: ScoredCohort, thresholds: Mapping[str, Threshold]) -> FractureScore:
    """Ask everything of the scores of one cohort that holds fractures and normal samples."""
    graver = moderate_or_severe_only(cohort)
    n_graver, n_fractures = int(graver.is_fracture.sum()), int(cohort.is_fracture.sum())
    n_normal = len(cohort.table) - n_fractures
    points = {
        rule: {name: metric.with_note(found.caveat) for name, metric in at_threshold(cohort, found.value).items()}
        for rule, found in thresholds.items()
    }
    return FractureScore(
        auroc=auroc_by_seed(cohort),
        moderate_or_severe=auroc_by_seed(graver) if n_graver else {},
        moderate_or_severe_counts={"fractures": n_graver, "normal": n_normal, "left_out": n_fractures - n_graver},
        calibration=calibration(cohort),
        thresholds=thresholds,
        operating_points=points,
    )
