"""External validation: how all networks of the run together read a cohort that none of them was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.evaluation.calibration import calibration_metrics
from helpers.evaluation.estimates import Metric
from helpers.evaluation.fracture_score import FractureScore, assess_scores
from helpers.evaluation.intervals import Interval, difference_interval
from helpers.evaluation.metric_table import plain_values
from helpers.evaluation.questions import YOUDEN
from helpers.evaluation.scores import ScoredCohort, score_cohort
from helpers.evaluation.selective import acceptance_metrics
from helpers.evaluation.summary import Evaluation, evaluate
from helpers.evaluation.threshold import carried_thresholds
from helpers.study.params import EvaluationParams

SAMPLE_COLUMNS = [
    "cohort", "sample_id", "PatientID", "level", "label", "grade", "is_fracture", "score", "called", "is_right",
]  # fmt: skip
# The threshold where validation lacks fractures or normal images.
EVEN_ODDS = 0.5
# What is set against the study's own cohort: of all classes, and of any fracture against normal.
COMPARED_OVERALL = ("accuracy", "balanced_accuracy", "macro_auroc")
COMPARED_FRACTURE = ("sensitivity", "specificity", "auroc")


@dataclass(frozen=True)
class ExternalEvaluation:
    """What can be said of one external cohort.

    Attributes
    ----------
    counts, n_patients
        Samples by label as the cohort has it; its patients.
    by_class
        All classes of the study, or None where the cohort knows fractures of unknown kind, or a single class.
    fracture_vs_normal
        Metrics by name: any fracture class wins, as in the study's own cohort; empty unless fractures and normal
        samples are there.
    score
        The fracture score 1 - P(normal); None where `fracture_vs_normal` is empty.
    drop
        The study's own held-out value minus that of this cohort, by name.
    calibration, abstention
        As `helpers.evaluation.calibration` and `selective` give them; empty where `by_class` is None.
    samples
        One row per sample, sorted by patient and level, see `external_samples`; None without a normal class.
    """

    counts: Mapping[str, int]
    n_patients: int
    by_class: Evaluation | None
    fracture_vs_normal: Mapping[str, Metric]
    score: FractureScore | None
    drop: Mapping[str, Metric]
    calibration: Mapping[str, Mapping[str, Metric]]
    abstention: Mapping[str, Metric]
    samples: pd.DataFrame | None

    def to_json_dict(self) -> dict[str, Any]:
        """Content of metrics.json under ``external`` and the cohort's name."""
        fracture = {name: metric.to_json_dict() for name, metric in self.fracture_vs_normal.items()}
        return {
            "n_samples": sum(self.counts.values()),
            "n_patients": self.n_patients,
            "samples_by_label": dict(self.counts),
            "by_class": None if self.by_class is None else _chosen(self.by_class),
            "fracture_vs_normal": fracture or None,
            "fracture_score": None if self.score is None else self.score.to_json_dict(),
            "drop": {name: metric.to_json_dict() for name, metric in self.drop.items()},
            "calibration": plain_values(self.calibration),
            "abstention": {name: metric.to_json_dict() for name, metric in self.abstention.items()},
        }


def evaluate_external(
    predictions: pd.DataFrame,
    *,
    internal: Evaluation,
    development: pd.DataFrame,
    samples: pd.DataFrame,
    params: EvaluationParams,
) -> dict[str, ExternalEvaluation]:
    """Evaluate every external cohort; probabilities are averaged over all folds and seeds of the run.

    Parameters
    ----------
    predictions
        `external_predictions.parquet`: cohort, sample_id, PatientID, fold, seed, y_true, ``logit_<class>``.
    internal
        What the study's own held-out images gave, which the external ones are set against.
    development
        `predictions.parquet` of the study's own cohort, whose validation rows give the thresholds.
    samples
        `external.parquet`: cohort, sample_id, label, level and where known grade.
    params
        Bootstrap of the study.

    Returns
    -------
    By cohort name, in the order of the table.
    """
    known = samples.reindex(columns=["cohort", "sample_id", "level", "label", "grade"])
    normal_class = internal.normal_class
    thresholds = {}
    if normal_class is not None:
        thresholds = carried_thresholds(development, normal_class=normal_class, params=params)
    found = {}
    for name, rows in predictions.groupby("cohort", sort=False):
        by_class, fracture = _evaluate_classes(rows, internal=internal, params=params)
        score = listed = None
        if normal_class is not None:
            own = known[known["cohort"] == name]
            grades = own.set_index("sample_id")["grade"]
            scored = score_cohort(rows, normal_class=normal_class, grades=grades, params=params)
            score = assess_scores(scored, thresholds) if fracture else None
            cut = thresholds[YOUDEN].value if thresholds else EVEN_ODDS
            listed = _list_samples(scored, known=own, cut=cut)
        labels = rows.drop_duplicates("sample_id")["y_true"].value_counts().sort_index()
        found[name] = ExternalEvaluation(
            counts={str(key): int(count) for key, count in labels.items()},
            n_patients=rows["PatientID"].nunique(),
            by_class=by_class,
            fracture_vs_normal=fracture,
            score=score,
            drop=_drop(internal, by_class=by_class, fracture=fracture),
            **_doubts(by_class, params=params),
            samples=listed,
        )
    return found


def _doubts(by_class: Evaluation | None, *, params: EvaluationParams) -> dict[str, Mapping]:
    """Calibration and abstention where all classes are known."""
    if by_class is None:
        return {"calibration": {}, "abstention": {}}
    return {
        "calibration": calibration_metrics(by_class.samples, classes=list(by_class.class_names), params=params),
        "abstention": acceptance_metrics(by_class.samples, params=params),
    }


def _drop(internal: Evaluation, *, by_class: Evaluation | None, fracture: Mapping[str, Metric]) -> dict[str, Metric]:
    overall = {} if by_class is None else by_class.overall
    pairs = {name: (internal.overall[name], overall[name]) for name in COMPARED_OVERALL if name in overall}
    pairs |= {
        f"fracture_{name}": (internal.fracture_vs_normal[name], fracture[name])
        for name in COMPARED_FRACTURE
        if name in fracture
    }
    return {name: difference_of_cohorts(own, other) for name, (own, other) in pairs.items()}


def difference_of_cohorts(own: Metric, other: Metric) -> Metric:
    """The study's own value minus that of a cohort without a patient in common."""
    value = own.estimate - other.estimate
    if own.ci_low is None or other.ci_low is None:
        lacking = "the own" if own.ci_low is None else "the external"
        note = f"no interval: {lacking} cohort's value has none"
        return Metric(value, None, None, None, other.n_samples, other.n_patients, note=note)
    interval = difference_interval(*((m.estimate, Interval(m.ci_low, m.ci_high, "")) for m in (own, other)))
    return Metric(value, interval.low, interval.high, interval.method, other.n_samples, other.n_patients)


def _evaluate_classes(
    rows: pd.DataFrame, *, internal: Evaluation, params: EvaluationParams
) -> tuple[Evaluation | None, Mapping[str, Metric]]:
    """All classes where the cohort has them, and any fracture against normal where it has both."""
    labels, class_names, normal_class = set(rows["y_true"]), internal.class_names, internal.normal_class
    if len(labels) < 2:
        return None, {}
    # Every sample is tested by every network, and `evaluate` averages over all of them. A fracture of unknown kind may
    # stand as any kind, since only the question that merges them is asked of it.
    fracture = next(key for key in class_names if key != normal_class)
    evaluation = evaluate(
        rows.assign(split="test", y_true=rows["y_true"].where(rows["y_true"].isin(list(class_names)), fracture)),
        class_names=class_names,
        normal_class=normal_class,
        **params.model_dump(),
    )
    by_class = evaluation if labels <= set(class_names) else None
    return by_class, evaluation.fracture_vs_normal if normal_class in labels else {}


def _list_samples(scored: ScoredCohort, *, known: pd.DataFrame, cut: float) -> pd.DataFrame:
    table = known.drop(columns="grade").merge(scored.table, on="sample_id", validate="one_to_one")
    called = table["score"] >= cut
    table = table.assign(
        called=called, is_right=called == table["is_fracture"], place=table["level"].map(natural_order)
    )
    return table.sort_values(["PatientID", "place", "sample_id"], ignore_index=True)[SAMPLE_COLUMNS]


def natural_order(level: str) -> tuple[int, int]:
    """Sort key of a vertebral level from the head down: T2 before T12 before L1."""
    region, number = str(level)[:1], str(level)[1:]
    return "CTLS".find(region.upper()), int(number) if number.isdigit() else 0


def external_samples(external: Mapping[str, ExternalEvaluation]) -> pd.DataFrame:
    """The samples of all external cohorts with their scores, as in `external_scores.parquet`.

    Returns
    -------
    cohort, sample_id, PatientID, level, label, grade, is_fracture, score (1 - P(normal), mean of folds and seeds),
    `called` (a fracture, at the threshold carried over) and `is_right` (the call agrees with the label).
    """
    tables = [found.samples for found in external.values() if found.samples is not None]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SAMPLE_COLUMNS)


def count_by_grade(samples: pd.DataFrame) -> pd.DataFrame:
    """Samples and patients of each cohort by label and grade, how many are called a fracture, and the median score.

    Parameters
    ----------
    samples
        Result of `external_samples`.
    """
    groups = samples.groupby(["cohort", "label", "grade"], dropna=False, sort=True)
    counted = groups.agg(
        samples=("sample_id", "size"),
        patients=("PatientID", "nunique"),
        called=("called", "sum"),
        median=("score", "median"),
    ).reset_index()
    counted["grade"] = counted["grade"].map("{:g}".format, na_action="ignore")
    return counted.rename(columns={"called": "called fracture", "median": "median score"})


def _chosen(evaluation: Evaluation) -> dict[str, Any]:
    """The parts of metrics.json that hold for a cohort without folds of its own."""
    document = evaluation.to_json_dict()
    return {key: document[key] for key in ("confusion", "overall", "per_class", "clinical_questions", "baseline")}
