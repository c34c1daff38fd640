"""External cohorts in tables: for the folder `tables/`, and beside the study's own cohort for reading."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from helpers.evaluation import calibration, conformal, selective
from helpers.evaluation.calibration import ANSWER, AS_TRAINED
from helpers.evaluation.conformal import SetCoverage
from helpers.evaluation.estimates import Metric
from helpers.evaluation.external import ExternalEvaluation, compared_metrics
from helpers.evaluation.fracture_score import FractureScore
from helpers.evaluation.metric_table import EVERY_IMAGE, Groups, metric_table, side_by_side, stacked
from helpers.evaluation.metrics import metric_title
from helpers.evaluation.questions import BURST, POINT_WORDS
from helpers.evaluation.summary import Evaluation

if TYPE_CHECKING:
    from helpers.evaluation.findings import Findings

THIS_STUDY = "this study"
LEFT_TO_METRICS_JSON = {"debiased_error", "intercept", "aurc_optimum", "by_image", "empty"}
DOUBT_TITLES = {**calibration.TITLES, **selective.TITLES, **conformal.TITLES}


def external_tables(external: Mapping[str, ExternalEvaluation]) -> dict[str, pd.DataFrame]:
    """Prediction sets and decision curves of external cohorts, by the name of the table; only those with rows."""
    sets = {name: found.sets for name, found in external.items() if found.sets is not None}
    curves = {name: stacked(found.decisions, name="question") for name, found in external.items() if found.decisions}
    tables = {}
    if sets:
        groups = {name: {**found.overall, **found.by_label} for name, found in sets.items()}
        titles = {name: _doubt_title(name) for found in groups.values() for name in found}
        tables["external_prediction_sets"] = metric_table(groups, titles=titles, group="cohort")
    if curves:
        tables["external_decision_curves"] = stacked(curves, name="cohort")
    return tables


def main_results(internal: Evaluation, external: Mapping[str, ExternalEvaluation]) -> pd.DataFrame:
    """The study's own held-out metrics, those of each external cohort, and what is lost on the way there."""
    columns = {THIS_STUDY: compared_metrics(internal.overall, internal.fracture_vs_normal)}
    for name, found in external.items():
        overall = {} if found.by_class is None else found.by_class.overall
        columns[name] = compared_metrics(overall, found.fracture_vs_normal)
        columns[f"lost in {name}"] = found.drop
    return _rows(columns, titles=metric_title) if external else pd.DataFrame()


def operating_points(external: Mapping[str, ExternalEvaluation]) -> pd.DataFrame:
    """Thresholds chosen on validation images: what they give there, and carried over to each cohort."""
    columns: dict[str, Groups] = {}
    for name, score in _scores(external).items():
        rules = {rule: POINT_WORDS[rule] for rule in score.thresholds}
        columns["own validation images"] = {
            words: {"threshold": score.thresholds[rule].metric, **score.thresholds[rule].on_validation}
            for rule, words in rules.items()
        }
        columns[name] = {words: score.operating_points[rule] for rule, words in rules.items()}
    return side_by_side(columns, titles=metric_title, group="answer")


def burst_answers(internal: Evaluation, external: Mapping[str, ExternalEvaluation]) -> pd.DataFrame:
    """Burst against the rest in cohorts that tell fractures apart, with each fold's thresholds for its own networks."""
    told_apart = {name: found.by_class for name, found in external.items() if found.by_class is not None}
    columns = {
        name: {POINT_WORDS[rule]: _of_answer(point.metrics) for rule, point in found.questions[BURST].points.items()}
        for name, found in {THIS_STUDY: internal, **told_apart}.items()
        if BURST in found.questions
    }
    return side_by_side(columns, titles=metric_title, group="answer") if told_apart else pd.DataFrame()


def _of_answer(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    return {name: metrics[name] for name in ("sensitivity", "specificity")}


def score_calibration(external: Mapping[str, ExternalEvaluation]) -> pd.DataFrame:
    """How far fracture scores are probabilities in each cohort."""
    return _rows({name: score.calibration for name, score in _scores(external).items()}, titles=metric_title)


def doubt_results(findings: "Findings") -> pd.DataFrame:
    """How sure the answers are and how right, in the study's own cohort and in each external one."""
    own = _doubts(findings.calibration[AS_TRAINED], abstention=findings.abstention, sets=findings.prediction_sets)
    columns = {THIS_STUDY: own}
    for name, found in findings.external.items():
        columns[name] = _doubts(found.calibration, abstention=found.abstention, sets=found.sets)
    return side_by_side(columns, titles=_doubt_title, group="question") if findings.external else pd.DataFrame()


def _doubts(by_forecast: Groups, *, abstention: Mapping[str, Metric], sets: SetCoverage | None) -> Groups:
    """The numbers that say most; metrics.json has all."""
    groups = {"calibration": by_forecast.get(ANSWER, {}), "abstention": abstention}
    groups["prediction sets"] = {} if sets is None else {**sets.overall, **sets.by_label}
    return {
        question: {name: metric for name, metric in metrics.items() if name not in LEFT_TO_METRICS_JSON}
        for question, metrics in groups.items()
    }


def _rows(columns: Groups, *, titles: Callable[[str], str]) -> pd.DataFrame:
    groups = {column: {EVERY_IMAGE: metrics} for column, metrics in columns.items()}
    return side_by_side(groups, titles=titles).drop(columns="of")


def _scores(external: Mapping[str, ExternalEvaluation]) -> dict[str, FractureScore]:
    return {name: found.score for name, found in external.items() if found.score is not None}


def _doubt_title(name: str) -> str:
    return DOUBT_TITLES.get(name, f"Label in the set: {name}")
