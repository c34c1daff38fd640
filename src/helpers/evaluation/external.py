"""External validation: how all networks of the run together read a cohort that none of them was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from helpers.evaluation.calibration import calibration_metrics
from helpers.evaluation.conformal import SetCoverage, fold_thresholds, prediction_sets
from helpers.evaluation.decision import decision_curve, decision_questions
from helpers.evaluation.estimates import Metric
from helpers.evaluation.fracture_score import FractureScore, assess_scores
from helpers.evaluation.intervals import Interval, difference_interval
from helpers.evaluation.metric_table import plain_rows, plain_values
from helpers.evaluation.predictions import fold_predictions
from helpers.evaluation.questions import YOUDEN
from helpers.evaluation.scores import ScoredCohort, score_cohort
from helpers.evaluation.selective import acceptance_metrics
from helpers.evaluation.summary import Evaluation, evaluate
from helpers.evaluation.threshold import Threshold, carried_thresholds
from helpers.study.params import ANY_FRACTURE, EvaluationParams

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
    sets
        Prediction sets with the thresholds of the study's own validation patients, see `_sets`; None without a
        normal class where fractures are of unknown kind.
    decisions
        Decision curves by question, of those whose answer the cohort knows and that it answers both ways.
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
    sets: SetCoverage | None
    decisions: Mapping[str, pd.DataFrame]
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
            "prediction_sets": None if self.sets is None else self.sets.to_json_dict(),
            "decisions": {question: plain_rows(curve) for question, curve in self.decisions.items()},
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
    study = _Study.of(internal, development=development, params=params)
    return {
        name: _evaluate_cohort(rows, known=known[known["cohort"] == name], study=study)
        for name, rows in predictions.groupby("cohort", sort=False)
    }


@dataclass(frozen=True)
class _Study:
    """What is carried to external cohorts.

    Attributes
    ----------
    internal
        The study's own evaluation.
    thresholds
        On the score 1 - P(normal), see `carried_thresholds`; empty without a normal class.
    set_thresholds
        Of prediction sets, by fold.
    validation
        Rows of `predictions.parquet` from which clinical questions take the thresholds of each fold.
    params
        Bootstrap of the study.
    """

    internal: Evaluation
    thresholds: Mapping[str, Threshold]
    set_thresholds: Mapping[int, float]
    validation: pd.DataFrame
    params: EvaluationParams

    @classmethod
    def of(cls, internal: Evaluation, *, development: pd.DataFrame, params: EvaluationParams) -> "_Study":
        normal, classes = internal.normal_class, list(internal.class_names)
        thresholds = {} if normal is None else carried_thresholds(development, normal_class=normal, params=params)
        validation = development[development["split"] == "validation"]
        # samples of two cohorts may have the same name, and none is to be taken for another
        validation = validation.assign(sample_id="validation " + validation["sample_id"].astype(str))
        return cls(internal, thresholds, fold_thresholds(development, classes=classes), validation, params)

    @property
    def fractures(self) -> list[str]:
        """Class keys with a fracture."""
        return [key for key in self.internal.class_names if key != self.internal.normal_class]


def _evaluate_cohort(rows: pd.DataFrame, *, known: pd.DataFrame, study: _Study) -> ExternalEvaluation:
    labels = rows.drop_duplicates("sample_id")["y_true"].value_counts().sort_index()
    together = _evaluate_together(rows, study=study) if len(labels) > 1 else None
    by_class = together if set(labels.index) <= set(study.internal.class_names) else None
    fracture = together.fracture_vs_normal if together and study.internal.normal_class in labels else {}
    score, listed = _score(rows, known=known, is_assessed=bool(fracture), study=study)
    return ExternalEvaluation(
        counts={str(key): int(count) for key, count in labels.items()},
        n_patients=rows["PatientID"].nunique(),
        by_class=by_class,
        fracture_vs_normal=fracture,
        score=score,
        drop=_drop(study.internal, by_class=by_class, fracture=fracture),
        **_doubts(by_class, params=study.params),
        sets=_sets(rows, study=study),
        decisions=_decisions(together, kinds_known=by_class is not None, study=study) if together else {},
        samples=listed,
    )


def _score(
    rows: pd.DataFrame, *, known: pd.DataFrame, is_assessed: bool, study: _Study
) -> tuple[FractureScore | None, pd.DataFrame | None]:
    """What the fracture score is worth, and the score of each sample."""
    normal_class = study.internal.normal_class
    if normal_class is None:
        return None, None
    grades = known.set_index("sample_id")["grade"]
    scored = score_cohort(rows, normal_class=normal_class, grades=grades, params=study.params)
    cut = study.thresholds[YOUDEN].value if study.thresholds else EVEN_ODDS
    score = assess_scores(scored, study.thresholds) if is_assessed else None
    return score, _list_samples(scored, known=known, cut=cut)


def _doubts(by_class: Evaluation | None, *, params: EvaluationParams) -> dict[str, Mapping]:
    """Calibration and abstention where all classes are known."""
    if by_class is None:
        return {"calibration": {}, "abstention": {}}
    return {
        "calibration": calibration_metrics(by_class.samples, classes=list(by_class.class_names), params=params),
        "abstention": acceptance_metrics(by_class.samples, params=params),
    }


def _drop(internal: Evaluation, *, by_class: Evaluation | None, fracture: Mapping[str, Metric]) -> dict[str, Metric]:
    own = compared_metrics(internal.overall, internal.fracture_vs_normal)
    other = compared_metrics({} if by_class is None else by_class.overall, fracture)
    return {name: difference_of_cohorts(own[name], metric) for name, metric in other.items() if name in own}


def compared_metrics(overall: Mapping[str, Metric], fracture: Mapping[str, Metric]) -> dict[str, Metric]:
    """What cohorts are compared by: of all classes, then of any fracture against normal; what is not there is left."""
    found = {name: overall[name] for name in COMPARED_OVERALL if name in overall}
    return found | {f"fracture_{name}": fracture[name] for name in COMPARED_FRACTURE if name in fracture}


def difference_of_cohorts(own: Metric, other: Metric) -> Metric:
    """The study's own value minus that of a cohort without a patient in common."""
    value = own.estimate - other.estimate
    if own.ci_low is None or other.ci_low is None:
        lacking = "the own" if own.ci_low is None else "the external"
        note = f"no interval: {lacking} cohort's value has none"
        return Metric(value, None, None, None, other.n_samples, other.n_patients, note=note)
    interval = difference_interval(*((m.estimate, Interval(m.ci_low, m.ci_high, "")) for m in (own, other)))
    return Metric(value, interval.low, interval.high, interval.method, other.n_samples, other.n_patients)


def _evaluate_together(rows: pd.DataFrame, *, study: _Study) -> Evaluation:
    """All networks together, as if every one had been tested on every sample; see `_as_tested`.

    Operating points of clinical questions are those of each fold's networks by themselves, with their own thresholds.
    """
    return evaluate(
        pd.concat([_as_tested(rows, study=study), study.validation]),
        class_names=study.internal.class_names,
        normal_class=study.internal.normal_class,
        **study.params.model_dump(),
    )


def _as_tested(rows: pd.DataFrame, *, study: _Study) -> pd.DataFrame:
    """Rows in the form of the study's own test rows.

    A fracture of unknown kind stands as any kind: only what merges all kinds may then be asked.
    """
    is_known = rows["y_true"].isin(list(study.internal.class_names))
    return rows.assign(split="test", y_true=rows["y_true"].where(is_known, study.fractures[0]))


def _sets(rows: pd.DataFrame, *, study: _Study) -> SetCoverage | None:
    """Coverage of the sets of each fold's networks by themselves: each threshold is a promise about one fold's.

    For a fracture of unknown kind a set is right if it holds any kind. Sets that hold the true class as often as
    promised are right at least as often.
    """
    words = study.internal.words
    labels = rows.drop_duplicates("sample_id").set_index("sample_id")["y_true"]
    if study.internal.normal_class is None and not labels.isin(list(words)).all():
        return None
    tested = fold_predictions(_as_tested(rows, study=study), classes=list(words))
    sets = prediction_sets(
        tested.assign(y_true=tested["sample_id"].map(labels)),
        thresholds=study.set_thresholds,
        meanings={ANY_FRACTURE: study.fractures} | {key: [key] for key in words},
    )
    named = {ANY_FRACTURE: "fracture of any kind"} | words
    present = {key: named[key] for key in (*words, ANY_FRACTURE) if key in set(labels)}
    return SetCoverage.of(sets, words=present, params=study.params)


def _decisions(together: Evaluation, *, kinds_known: bool, study: _Study) -> dict[str, pd.DataFrame]:
    asked = decision_questions(together.words, normal_class=together.normal_class)
    truth = together.samples["y_true"]
    return {
        question: decision_curve(together.samples, positive=classes, params=study.params)
        for question, classes in asked.items()
        if (kinds_known or classes == study.fractures) and truth.isin(classes).nunique() == 2
    }


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


def wrong_by_patient(samples: pd.DataFrame) -> pd.DataFrame:
    """Patients with a sample on the wrong side of the threshold, those with most of them first.

    Parameters
    ----------
    samples
        Result of `external_samples`.
    """
    groups = samples.assign(wrong=~samples["is_right"].astype(bool)).groupby(["cohort", "PatientID"], sort=False)
    counted = groups.agg(
        samples=("sample_id", "size"),
        fractures=("is_fracture", "sum"),
        called=("called", "sum"),
        wrong=("wrong", "sum"),
    ).reset_index()
    ordered = counted[counted["wrong"] > 0].sort_values("wrong", ascending=False, kind="stable", ignore_index=True)
    return ordered.rename(columns={"called": "called fracture"})


def _chosen(evaluation: Evaluation) -> dict[str, Any]:
    """The parts of metrics.json that hold for a cohort without folds of its own."""
    document = evaluation.to_json_dict()
    return {key: document[key] for key in ("confusion", "overall", "per_class", "clinical_questions", "baseline")}
