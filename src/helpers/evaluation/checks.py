"""Invariants of a finished evaluation, shown in the notebook and enforced before anything is written."""

import math
from collections.abc import Iterator

import pandas as pd
from sklearn.metrics import accuracy_score

from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import PROBABILITY_METRICS
from helpers.evaluation.summary import Evaluation, EvaluationError


def consistency_checks(evaluation: Evaluation, *, cohort: pd.DataFrame) -> pd.DataFrame:
    """Check the evaluation against itself and against the cohort that notebook 01 wrote.

    Parameters
    ----------
    evaluation
        Result of `evaluate`.
    cohort
        One row per sample with `sample_id`, `PatientID`, `label`.

    Returns
    -------
    `check`, `holds`, `detail`: one row per invariant.
    """
    results = [
        _every_sample_known(evaluation, cohort),
        _labels_agree(evaluation, cohort),
        _counts_agree(evaluation),
        _matches_scikit_learn(evaluation),
        _values_in_range(evaluation),
        _widths_positive(evaluation),
    ]
    return pd.DataFrame(results, columns=["check", "holds", "detail"])


def require_passed(checks: pd.DataFrame) -> None:
    """Stop when a check failed.

    Raises
    ------
    EvaluationError
        Naming the failed checks.
    """
    failed = checks[~checks["holds"]]
    if not failed.empty:
        reasons = "; ".join(f"{row.check}: {row.detail}" for row in failed.itertuples())
        raise EvaluationError(f"the evaluation is inconsistent, and nothing was written: {reasons}")


def all_metrics(evaluation: Evaluation) -> Iterator[tuple[str, Metric]]:
    """Every metric of an evaluation with its dotted path in metrics.json."""
    flat = {name: getattr(evaluation, name) for name in ("overall", "fracture_vs_normal", "training", "baseline")}
    nested = {name: getattr(evaluation, name) for name in ("per_class", "per_fold")}
    for group, metrics in flat.items():
        yield from ((f"{group}.{name}", metric) for name, metric in metrics.items())
    for group, members in nested.items():
        for key, metrics in members.items():
            yield from ((f"{group}.{key}.{name}", metric) for name, metric in metrics.items())
    matrices = {"confusion": evaluation.row_fractions}
    matrices |= {f"per_fold_confusion.{fold}": found.row_fractions for fold, found in evaluation.fold_confusion.items()}
    for name, rows in matrices.items():
        for row, cells in enumerate(rows):
            yield from ((f"{name}.row_fractions.{row}.{column}", cell) for column, cell in enumerate(cells))
    for question, answered in evaluation.questions.items():
        for point, found in answered.points.items():
            path = f"clinical_questions.{question}.points.{point}.metrics"
            yield from ((f"{path}.{name}", metric) for name, metric in found.metrics.items())


def _every_sample_known(evaluation: Evaluation, cohort: pd.DataFrame) -> tuple[str, bool, str]:
    unknown = sorted(set(evaluation.samples["sample_id"]) - set(cohort["sample_id"]))
    untested = len(set(cohort["sample_id"]) - set(evaluation.samples["sample_id"]))
    detail = f"not in the cohort: {unknown[:3]}" if unknown else f"{untested} cohort samples are never held out"
    return "every evaluated sample is in the cohort", not unknown, detail


def _labels_agree(evaluation: Evaluation, cohort: pd.DataFrame) -> tuple[str, bool, str]:
    columns = ["sample_id", "PatientID"]
    merged = evaluation.samples.merge(cohort[[*columns, "label"]], on=columns, how="left")
    differing = merged.loc[merged["y_true"] != merged["label"].astype(object), "sample_id"].tolist()
    return "labels and patients are those of the cohort", not differing, f"differing samples: {differing[:3] or 'none'}"


def _counts_agree(evaluation: Evaluation) -> tuple[str, bool, str]:
    classes = list(evaluation.class_names)
    expected = evaluation.samples["y_true"].value_counts().reindex(classes, fill_value=0).tolist()
    found = evaluation.confusion.sum(axis=1).tolist()
    return "confusion rows add up to the class sizes", found == expected, f"rows {found}, classes {expected}"


def _matches_scikit_learn(evaluation: Evaluation) -> tuple[str, bool, str]:
    reference, predicted = evaluation.samples["y_true"], evaluation.samples["y_pred"]
    expected, found = accuracy_score(reference, predicted), evaluation.overall["accuracy"].estimate
    return "accuracy equals scikit-learn's", math.isclose(expected, found), f"{found:.6f} and {expected:.6f}"


def _values_in_range(evaluation: Evaluation) -> tuple[str, bool, str]:
    outside = [
        path
        for path, metric in all_metrics(evaluation)
        for value in (metric.estimate, metric.ci_low, metric.ci_high)
        if value is not None and not math.isnan(value) and not _in_range(path, value)
    ]
    return "estimates and limits lie within their range", not outside, f"outside: {outside[:3] or 'none'}"


def _in_range(path: str, value: float) -> bool:
    cost = PROBABILITY_METRICS.get(path.rpartition(".")[2])
    return -1 <= value <= 1 if cost is None else 0 <= value <= cost.upper


def _widths_positive(evaluation: Evaluation) -> tuple[str, bool, str]:
    flat = [p for p, m in all_metrics(evaluation) if m.ci_low is not None and not m.ci_low < m.ci_high]
    return "no interval has zero width", not flat, f"flat: {flat[:3] or 'none'}"
