"""One table of all rows: what each scores on its own, and how far it is from its reference on the images of both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers.evaluation import Metric, evaluate
from helpers.evaluation.comparison import ComparisonError, compare
from helpers.study import Run
from helpers.study.params import EvaluationParams
from helpers.study.schemas import SWEEP
from helpers.sweep.variations import Row, Sweep

METRICS = ("accuracy", "balanced_accuracy", "macro_auroc")


@dataclass(frozen=True)
class Answers:
    """What the networks of one row answered.

    Attributes
    ----------
    table
        One row per tested sample, see `helpers.evaluation.out_of_fold`.
    scores
        Metrics by name, as notebook 04 computes them.
    train_patients
        Patients that a network was trained on, mean over the folds.
    has_shuffled_labels
        Whether the row is a control whose labels are not those of the images.
    confusion
        JSON: of the images of each class, how many were given each class, in the same order.
    """

    table: pd.DataFrame
    scores: Mapping[str, Metric]
    train_patients: float
    has_shuffled_labels: bool
    confusion: str


def compare_rows(sweep: Sweep, folder: Path, *, problems: Mapping[str, str]) -> pd.DataFrame:
    """Score every row that was trained and compare it with the row that it is held against.

    Parameters
    ----------
    sweep
        The rows; bootstrap and confidence are those of the reference.
    folder
        `runs/<name of the sweep>`.
    problems
        Why a row has no result, by row name; such rows stay in the table without numbers, and so do differences of
        rows with other labels.

    Returns
    -------
    One row per (row, metric) under `helpers.study.schemas.SWEEP`. A difference is the row minus the one `against`;
    `p_holm` is corrected over all comparisons of that metric (Holm 1979, jstor 4615733).
    """
    params = sweep.reference.study.evaluation
    trained = [row for row in sweep.rows if row.name not in problems]
    answers = {row.name: _answers(folder / row.name, params=params) for row in trained}
    found = [
        _about(row, metric, problem=problems.get(row.name, ""))
        | _score(answers.get(row.name), metric)
        | _difference(answers.get(row.name), answers.get(row.against or ""), measure=metric, params=params)
        | {"confusion": answers[row.name].confusion if row.name in answers else ""}
        for row in sweep.rows
        for metric in METRICS
    ]
    return SWEEP.validate(_with_holm(pd.DataFrame(found))[list(SWEEP.columns)])


def _answers(run_folder: Path, *, params: EvaluationParams) -> Answers:
    run = Run(run_folder)
    cohort, predictions = run.study.cohort, run.read_table("predictions")
    found = evaluate(
        predictions,
        class_names=cohort.class_names,
        normal_class=cohort.normal_class,
        n_bootstrap=params.n_bootstrap,
        confidence=params.confidence,
        seed=params.seed,
    )
    trained = predictions[predictions["split"] == "train"].groupby(["fold", "seed"])["PatientID"].nunique()
    counts = dict(zip(cohort.class_names, found.confusion.tolist(), strict=True))
    return Answers(
        table=found.samples,
        scores=found.overall,
        train_patients=float(trained.mean()),
        has_shuffled_labels=run.study.training.shuffle_labels,
        confusion=json.dumps(counts),
    )


def _about(row: Row, metric: str, *, problem: str) -> dict:
    facts = {"row": row.name, "reason": row.reason, "changes": row.changes_in_words, "problem": problem}
    return facts | {"metric": metric, "against": row.against or ""}


def _score(answers: Answers | None, metric: str) -> dict:
    if answers is None:
        nothing = dict.fromkeys(("train_patients", "estimate", "ci_low", "ci_high"), np.nan)
        return nothing | {"n_samples": 0, "n_patients": 0}
    score = answers.scores[metric]
    return {
        "train_patients": answers.train_patients,
        "estimate": score.estimate,
        "ci_low": _number(score.ci_low),
        "ci_high": _number(score.ci_high),
        "n_samples": score.n_samples,
        "n_patients": score.n_patients,
    }


def _difference(mine: Answers | None, theirs: Answers | None, *, measure: str, params: EvaluationParams) -> dict:
    nothing = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"), np.nan)
    nothing = nothing | {"n_compared": 0, "note": ""}
    if mine is None or theirs is None:
        return nothing
    if mine.has_shuffled_labels != theirs.has_shuffled_labels:
        return nothing | {"note": "not compared: only one of the two has shuffled labels"}
    try:
        found = compare(mine.table, theirs.table, measure=measure, params=params)
    except ComparisonError as error:  # such as rows of two cohorts
        return nothing | {"note": f"not compared: {error}"}
    difference = found.difference
    return {
        "difference": difference.estimate,
        "difference_low": _number(difference.ci_low),
        "difference_high": _number(difference.ci_high),
        "p_value": found.p_value,
        "n_compared": difference.n_samples,
        "note": difference.note or "",
    }


def _number(limit: float | None) -> float:
    return np.nan if limit is None else limit


def _with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Correct the p-values of each metric for the number of rows that were compared."""
    table = table.assign(p_holm=np.nan)
    for _, group in table.dropna(subset=["p_value"]).groupby("metric"):
        table.loc[group.index, "p_holm"] = multipletests(group["p_value"], method="holm")[1]
    return table
