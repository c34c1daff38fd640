"""The evaluation in its written forms: the document metrics.json and the tidy tables beside it."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from helpers.evaluation.bootstrap import PERCENTILE
from helpers.evaluation.estimates import Metric
from helpers.evaluation.intervals import (
    CLOPPER_PEARSON,
    CLUSTERED_LOG,
    CLUSTERED_LOGIT,
    CLUSTERED_WILSON,
    INDEPENDENT_DIFFERENCE,
    SQUARE_AND_ADD,
    WILSON,
)
from helpers.evaluation.metrics import metric_title
from helpers.evaluation.paper import (
    PAPER_CITATION,
    PAPER_CLASS_COUNTS,
    PAPER_DOI,
    PAPER_N_IMAGES,
    PAPER_TRAINING_PERCENT,
    PAPER_VALIDATION_PERCENT,
    CompatibleSize,
    paper_sizes,
    paper_splits,
)
from helpers.evaluation.prevalence import AT_PREVALENCE
from helpers.evaluation.questions import MOST_PROBABLE, POINT_WORDS, TITLES, OperatingPoint

if TYPE_CHECKING:
    from helpers.evaluation.external import ExternalEvaluation
    from helpers.evaluation.summary import Evaluation

WORDS = {
    "title": "metric",
    "ci_method": "method",
    "n_samples": "images",
    "n_patients": "patients",
    "n_correct": "right",
    "in_two_part_split": "fits a two-part split",
}
METHOD_WORDS = {
    PERCENTILE: "bootstrap percentiles",
    CLUSTERED_WILSON: "Wilson by patient",
    CLUSTERED_LOGIT: "logit by patient",
    CLUSTERED_LOG: "log by patient",
    SQUARE_AND_ADD: "square-and-add by patient",
    INDEPENDENT_DIFFERENCE: "square-and-add of both",
    CLOPPER_PEARSON: "Clopper–Pearson by patient",
    AT_PREVALENCE: "limits combined",
    WILSON: "Wilson",
}
NO_BREAK_DASH = "\u00a0\u2060–\u2060\u00a0"  # word joiners: browsers break after a dash
PAPER, THIS_STUDY = "paper", "this study"


def metrics_document(evaluation: "Evaluation") -> dict:
    """Build the content of metrics.json: plain values only, NaN as null, every metric with its interval."""
    return {
        "cohort": {
            "n_samples": len(evaluation.samples),
            "n_patients": evaluation.n_patients,
            "n_folds": len(evaluation.per_fold),
            "n_seeds": evaluation.n_seeds,
            "class_names": dict(evaluation.class_names),
            "normal_class": evaluation.normal_class,
        },
        "bootstrap": {
            "unit": "patient",
            "n_replicates": evaluation.bootstrap.n_replicates,
            "confidence": evaluation.bootstrap.confidence,
            "seed": evaluation.bootstrap.seed,
        },
        "confusion": {
            "classes": list(evaluation.class_names),
            "rows": "reference",
            "columns": "predicted",
            **_matrix_document(evaluation.confusion, evaluation.row_fractions),
        },
        "overall": _plain(evaluation.overall),
        "per_class": {key: _plain(metrics) for key, metrics in evaluation.per_class.items()},
        "fracture_vs_normal": _plain(evaluation.fracture_vs_normal),
        "clinical_questions": {name: found.to_json_dict() for name, found in evaluation.questions.items()},
        "per_fold": {str(fold): _plain(metrics) for fold, metrics in evaluation.per_fold.items()},
        "per_fold_confusion": {
            str(fold): _matrix_document(matrix.counts, matrix.row_fractions)
            for fold, matrix in evaluation.fold_confusion.items()
        },
        "training": _plain(evaluation.training),
        "baseline": {"majority_class": evaluation.majority_class, **_plain(evaluation.baseline)},
        "paper": _paper_document(evaluation.bootstrap.confidence),
    }


def _plain(metrics: Mapping[str, Metric]) -> dict[str, dict]:
    return {name: metric.to_json_dict() for name, metric in metrics.items()}


def _matrix_document(counts: np.ndarray, row_fractions: Sequence[Sequence[Metric]]) -> dict:
    return {
        "counts": counts.tolist(),
        "row_fractions": [[cell.to_json_dict() for cell in row] for row in row_fractions],
    }


def _paper_document(confidence: float) -> dict:
    splits = [
        {part: _size_document(getattr(split, part), confidence) for part in ("training", "validation")}
        for split in paper_splits()
    ]
    return {
        "citation": PAPER_CITATION,
        "doi": PAPER_DOI,
        "n_images": PAPER_N_IMAGES,
        "class_counts": dict(PAPER_CLASS_COUNTS),
        "reported_percent": {"training": float(PAPER_TRAINING_PERCENT), "validation": float(PAPER_VALIDATION_PERCENT)},
        "inferred_two_part_splits": splits,
    }


def _size_document(size: CompatibleSize, confidence: float) -> dict:
    interval = size.interval(confidence=confidence)
    return {
        "estimate": size.n_correct / size.n_total,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_method": interval.method,
        "n_samples": size.n_total,
        "n_patients": None,
    }


def evaluation_tables(evaluation: "Evaluation") -> dict[str, pd.DataFrame]:
    """Build the tidy tables: one row per number, by the name of the file that holds them."""
    return {
        "confusion": _confusion_table(evaluation),
        "confusion_by_fold": _fold_confusion_table(evaluation),
        "overall": _metric_table(evaluation.overall),
        "per_class": _class_table(evaluation),
        "fracture_vs_normal": _metric_table(evaluation.fracture_vs_normal),
        "clinical_questions": _question_table(evaluation),
        "per_fold": _fold_table(evaluation),
        "baseline": _metric_table(evaluation.baseline),
        "paper_comparison": paper_comparison(evaluation),
    }


METRIC_DTYPES = {
    "estimate": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "ci_method": "string",
    "n_samples": "int64",
    "n_patients": "Int64",
    "n_dropped": "int64",
    "note": "string",
}


def external_table(external: Mapping[str, "ExternalEvaluation"]) -> pd.DataFrame:
    """One row per external cohort and metric: fracture or normal, all classes where known, then the fracture score."""
    rows = []
    for name, found in external.items():
        overall = {} if found.by_class is None else found.by_class.overall
        by_score = {} if found.score is None else found.score.groups()
        questions = {"fracture or normal": found.fracture_vs_normal, "all classes": overall} | by_score
        questions["own cohort minus this one"] = found.drop
        for question, metrics in questions.items():
            rows += [{"cohort": name, "question": question, **row} for row in _metric_rows(metrics)]
    return _frame(rows, leading=dict.fromkeys(("cohort", "question", "metric", "title"), "string"))


def _frame(rows: list[dict], *, leading: Mapping[str, str]) -> pd.DataFrame:
    """Build a table with fixed columns and dtypes, so that an empty group or an all-None column keeps its type."""
    dtypes = {**leading, **METRIC_DTYPES}
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _metric_table(metrics: Mapping[str, Metric]) -> pd.DataFrame:
    return _frame(_metric_rows(metrics), leading={"metric": "string", "title": "string"})


def _class_table(evaluation: "Evaluation") -> pd.DataFrame:
    rows = [
        {"class_key": key, "class_name": evaluation.class_names[key], **row}
        for key, metrics in evaluation.per_class.items()
        for row in _metric_rows(metrics)
    ]
    return _frame(rows, leading=dict.fromkeys(("class_key", "class_name", "metric", "title"), "string"))


def _fold_table(evaluation: "Evaluation") -> pd.DataFrame:
    rows = [{"fold": fold, **row} for fold, metrics in evaluation.per_fold.items() for row in _metric_rows(metrics)]
    return _frame(rows, leading={"fold": "int64", "metric": "string", "title": "string"})


def _metric_rows(metrics: Mapping[str, Metric]) -> list[dict]:
    return [{"metric": name, "title": metric_title(name), **value.to_json_dict()} for name, value in metrics.items()]


CELL_COLUMNS = {"y_true": "string", "y_pred": "string", "n": "int64"}


def _cell_rows(classes: Sequence[str], counts: np.ndarray, row_fractions: Sequence[Sequence[Metric]]) -> list[dict]:
    return [
        {
            "y_true": reference,
            "y_pred": predicted,
            "n": int(counts[row, column]),
            **row_fractions[row][column].to_json_dict(),
        }
        for row, reference in enumerate(classes)
        for column, predicted in enumerate(classes)
    ]


def _confusion_table(evaluation: "Evaluation") -> pd.DataFrame:
    rows = _cell_rows(list(evaluation.class_names), evaluation.confusion, evaluation.row_fractions)
    return _frame(rows, leading=CELL_COLUMNS)


def _fold_confusion_table(evaluation: "Evaluation") -> pd.DataFrame:
    rows = [
        {"fold": fold, **row}
        for fold, matrix in evaluation.fold_confusion.items()
        for row in _cell_rows(list(evaluation.class_names), matrix.counts, matrix.row_fractions)
    ]
    return _frame(rows, leading={"fold": "int64", **CELL_COLUMNS})


def _question_table(evaluation: "Evaluation") -> pd.DataFrame:
    rows = [
        {"question": TITLES[question], "answer": POINT_WORDS[point], **_threshold_range(found), **row}
        for question, answered in evaluation.questions.items()
        for point, found in answered.points.items()
        for row in _metric_rows(found.metrics)
    ]
    thresholds = dict.fromkeys(("lowest_threshold", "highest_threshold"), "float64")
    words = dict.fromkeys(("question", "answer", "metric", "title"), "string")
    return _frame(rows, leading={**words, **thresholds})


def _threshold_range(point: OperatingPoint) -> dict[str, float]:
    values = list(point.thresholds.values()) or [math.nan]
    return {"lowest_threshold": min(values), "highest_threshold": max(values)}


def paper_comparison(evaluation: "Evaluation") -> pd.DataFrame:
    """Put the paper's two accuracies, at every sample size that fits them, beside those of this study.

    Returns
    -------
    `part` ("training" or "validation"; ours under "validation" is the held-out accuracy), `source`, `n_correct`,
    `in_two_part_split` (the size occurs in a division of the paper's cohort that fits both accuracies) and the metric
    columns. Paper rows have no number of patients: their Wilson intervals treat images as independent and are
    therefore, if anything, too narrow.
    """
    splits = paper_splits()
    rows = []
    for part, sizes in paper_sizes().items():
        in_split = {getattr(split, part).n_total for split in splits}
        for size in sizes:
            rows.append(
                {"part": part, "source": PAPER, "n_correct": size.n_correct, "n_dropped": 0}
                | {"in_two_part_split": size.n_total in in_split}
                | _size_document(size, evaluation.bootstrap.confidence)
            )
    ours = {"training": evaluation.training.get("accuracy"), "validation": evaluation.overall["accuracy"]}
    rows += [
        {"part": part, "source": THIS_STUDY, "n_correct": None, "in_two_part_split": False, **metric.to_json_dict()}
        for part, metric in ours.items()
        if metric is not None
    ]
    leading = {"part": "string", "source": "string", "n_correct": "Int64", "in_two_part_split": "bool"}
    return _frame(rows, leading=leading)


def usual_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Training sizes from half of the paper's cohort on, validation sizes up to half of it, those of two-part splits.

    Parameters
    ----------
    table
        Result of `paper_comparison`; the rows of this study stay.
    """
    larger_half = table["n_samples"] * 2 >= PAPER_N_IMAGES
    usual = np.where(table["part"] == "training", larger_half, ~larger_half)
    return table[usual | table["in_two_part_split"] | (table["source"] != PAPER)]


def answers_side_by_side(table: pd.DataFrame, *, metrics: Sequence[str], decimals: int = 3) -> pd.DataFrame:
    """One row for each question and answer, with the named metrics and their intervals in columns.

    Parameters
    ----------
    table
        Table `clinical_questions` of `evaluation_tables`, or some of its rows.
    metrics
        Names of metrics, in the order of the columns.
    """
    rows = []
    for (question, answer), part in table.groupby(["question", "answer"], sort=False):
        lowest, highest = part["lowest_threshold"].iloc[0], part["highest_threshold"].iloc[0]
        thresholds = "" if math.isnan(lowest) else _span(lowest, highest, decimals=2)
        named = {row.metric: interval_in_words(row, decimals=decimals) for row in part.itertuples()}
        cells = {metric_title(name): named[name] for name in metrics}
        rows.append({"question": question, "answer": answer, "thresholds of the folds": thresholds, **cells})
    return pd.DataFrame(rows)


def worth_by_prevalence(table: pd.DataFrame, *, decimals: int = 3) -> pd.DataFrame:
    """PPV and NPV of each question's most probable class: in this cohort, and at other shares of positives.

    Parameters
    ----------
    table
        Table `clinical_questions` of `evaluation_tables`.
    """
    rows = []
    for question, part in table[table["answer"] == POINT_WORDS[MOST_PROBABLE]].groupby("question", sort=False):
        named = {row.metric: interval_in_words(row, decimals=decimals) for row in part.itertuples()}
        for name in [name for name in named if name.startswith("ppv")]:
            prevalence = name.partition("_at_")[2]
            share = f"{100 * float(prevalence):g} %" if prevalence else "as in this cohort"
            values = {"PPV": named[name], "NPV": named[name.replace("ppv", "npv")]}
            rows.append({"question": question, "share of positives": share, **values})
    return pd.DataFrame(rows)


def interval_in_words(found: Any | None, *, decimals: int) -> str | None:
    """A metric, or a row of a table of metrics, as "0.91 (0.88 – 0.94)"; None stays None."""
    if found is None:
        return None
    if math.isnan(found.estimate):
        return "not defined"
    estimate = _number(found.estimate, decimals=decimals)
    if pd.isna(found.ci_low):
        return estimate
    return f"{estimate} ({_span(found.ci_low, found.ci_high, decimals=decimals)})"


def _span(low: float, high: float, *, decimals: int) -> str:
    return f"{_number(low, decimals=decimals)}{NO_BREAK_DASH}{_number(high, decimals=decimals)}"


def _number(value: float, *, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "−")


def readable(table: pd.DataFrame, *, decimals: int = 3) -> pd.DataFrame:
    """Shorten a table of this module for reading: words instead of keys, and no column without content.

    Returns
    -------
    The grouping columns, then `metric`, `estimate`, `interval` (as text), `method`, `images`, `patients`, `note`;
    `method` and `note` only where they hold something.
    """
    short = table.copy()
    if "class_key" in short:
        short.insert(0, "class", short.pop("class_key") + " " + short.pop("class_name"))
    # as text also where there is no row to be mapped
    low, high = (short.pop(name).map(f"{{:.{decimals}f}}".format).astype(object) for name in ("ci_low", "ci_high"))
    interval = (low + NO_BREAK_DASH + high).where(table["ci_method"].notna(), None)
    short.insert(short.columns.get_loc("estimate") + 1, "interval", interval)
    short["ci_method"] = short["ci_method"].replace(METHOD_WORDS)
    short = short.drop(columns=["n_dropped", *(["metric"] if "title" in table else [])]).rename(columns=WORDS)
    return short.drop(columns=[name for name in ("method", "note") if short[name].isna().all()])
