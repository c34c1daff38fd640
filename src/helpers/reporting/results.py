"""The main numbers of a run as tables, some with a small picture of each interval.

Every number is read from metrics.json; the evaluation's notebook shows the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.evaluation.metrics import metric_title
from helpers.reporting.record import RunRecord
from helpers.reporting.verdicts import CALIBRATION_ANCHOR, EXTERNAL_ANCHOR
from helpers.reporting.wording import basis, class_label, p_in_words, signed_with_interval, with_interval

OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "cohen_kappa", "weighted_kappa", "macro_auroc")
OF_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc")
OF_FOLD = ("accuracy", "balanced_accuracy", "macro_auroc")
OF_FRACTURE = ("sensitivity", "specificity", "auroc")


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval as places on a line from 0 to 100."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class Line:
    """One row: its name, its cells as text, and the picture of its interval where there is one."""

    name: str
    cells: tuple[str, ...]
    interval: Interval | None = None


@dataclass(frozen=True)
class ResultTable:
    """One table of results.

    Parameters
    ----------
    anchor
        Id of its heading.
    title
        Heading.
    caption
        What the rows are, in a sentence.
    columns
        Headings of the name and of the cells.
    lines
        Rows; with `drawn`, each has a picture of its interval from 0 to 1.
    drawn
        Whether the table has a column of pictures.
    """

    anchor: str
    title: str
    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    drawn: bool = False


def result_tables(record: RunRecord) -> tuple[ResultTable, ...]:
    """All tables of the section on results; none before the evaluation, and none of what was not computed."""
    if not record.metrics:
        return ()
    makers = (_overall, _by_class, _by_fold, _calibration, _rivals, _external)
    tables = (make(record.metrics) for make in makers)
    return tuple(table for table in tables if table.lines)


def _overall(metrics: Mapping[str, Any]) -> ResultTable:
    overall = metrics["overall"]
    shown = {metric_title(name): overall[name] for name in OVERALL if name in overall}
    level = 100 * metrics["bootstrap"]["confidence"]
    return ResultTable(
        anchor="results-overall",
        title="All classes together",
        caption=f"{basis(overall['accuracy'])}, held out, with {level:g} % intervals by patient",
        columns=("Metric", "Estimate (interval)"),
        lines=tuple(Line(name, (_in_words(metric),), _interval(metric)) for name, metric in shown.items()),
        drawn=True,
    )


def _in_words(metric: Mapping[str, Any]) -> str:
    return with_interval(metric["estimate"], low=metric["ci_low"], high=metric["ci_high"])


def _interval(metric: Mapping[str, Any]) -> Interval | None:
    """Places on the line; a value below 0, such as a negative kappa, stands at its left end."""
    ends = (metric["ci_low"], metric["estimate"], metric["ci_high"])
    if any(end is None for end in ends):
        return None
    return Interval(*(round(100 * min(max(end, 0.0), 1.0), 1) for end in ends))


def _by_class(metrics: Mapping[str, Any]) -> ResultTable:
    names = metrics["cohort"]["class_names"]
    groups = {class_label(key, names): found for key, found in metrics["per_class"].items()}
    if metrics.get("fracture_vs_normal"):
        groups["any fracture"] = metrics["fracture_vs_normal"]
    return ResultTable(
        anchor="results-classes",
        title="Class by class",
        caption="Each class against all others, held-out images; PPV and NPV hold for the class shares of this cohort",
        columns=("Class", *map(metric_title, OF_CLASS)),
        lines=tuple(Line(name, tuple(_in_words(found[key]) for key in OF_CLASS)) for name, found in groups.items()),
    )


def _by_fold(metrics: Mapping[str, Any]) -> ResultTable:
    folds = metrics["per_fold"] if len(metrics["per_fold"]) > 1 else {}
    return ResultTable(
        anchor="results-folds",
        title="Fold by fold",
        caption="Each fold's network on its own test images; the picture shows its accuracy",
        columns=("Fold", *map(metric_title, OF_FOLD)),
        lines=tuple(
            Line(fold, tuple(_in_words(found[key]) for key in OF_FOLD), _interval(found[OF_FOLD[0]]))
            for fold, found in folds.items()
        ),
        drawn=True,
    )


def _calibration(metrics: Mapping[str, Any]) -> ResultTable:
    found = metrics.get("calibration") or {}
    return ResultTable(
        anchor=CALIBRATION_ANCHOR,
        title="Calibration",
        caption="Mean distance between the probability of the answer given and how often it is right",
        columns=("Probabilities", "Distance", "Against chance"),
        lines=tuple(_calibration_line(name, groups["answer given"]) for name, groups in found.items()),
    )


def _calibration_line(name: str, found: Mapping[str, Any]) -> Line:
    error = found["calibration_error"]
    distance = "not defined" if error["estimate"] is None else f"{error['estimate']:.3f}"
    return Line(name, (distance, error["note"] or ""))


def _rivals(metrics: Mapping[str, Any]) -> ResultTable:
    compared = (metrics.get("comparisons") or {}).get("balanced_accuracy", ())
    return ResultTable(
        anchor="results-rivals",
        title="Against classifiers without a network",
        caption="Balanced accuracy on the same folds and patients; difference: this study minus the other",
        columns=("Classifier of", "Balanced accuracy", "Difference (interval)", "p after Holm"),
        lines=tuple(_rival_line(rival) for rival in compared),
    )


def _rival_line(rival: Mapping[str, Any]) -> Line:
    difference = signed_with_interval(rival["difference"], low=rival["ci_low"], high=rival["ci_high"])
    return Line(rival["rival"], (f"{rival['rival_value']:.3f}", difference, p_in_words(rival["p_holm"])))


def _external(metrics: Mapping[str, Any]) -> ResultTable:
    return ResultTable(
        anchor=EXTERNAL_ANCHOR,
        title="External test",
        caption="Fracture against normal on cohorts that were only scored, never trained on",
        columns=("Cohort", *map(metric_title, OF_FRACTURE), "Accuracy of all classes", "Stands on"),
        lines=tuple(_external_line(name, found) for name, found in metrics["external"].items()),
    )


def _external_line(name: str, found: Mapping[str, Any]) -> Line:
    fracture, by_class = found["fracture_vs_normal"], found["by_class"]
    scores = [_in_words(fracture[key]) if fracture else "not measurable" for key in OF_FRACTURE]
    accuracy = _in_words(by_class["overall"]["accuracy"]) if by_class else "not measurable"
    return Line(name, (*scores, accuracy, basis(found)))


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were taken for another, and their share of that class in words."""

    reference: str
    predicted: str
    count: int
    share: str


def confusions(record: RunRecord) -> tuple[Confusion, ...]:
    """Every pair of classes that was confused, the most frequent first."""
    return tuple(sorted(_confusions(record.metrics), key=lambda pair: -pair.count)) if record.metrics else ()


def _confusions(metrics: Mapping[str, Any]) -> Iterator[Confusion]:
    matrix, names = metrics["confusion"], metrics["cohort"]["class_names"]
    labels = [class_label(key, names) for key in matrix["classes"]]
    for reference, counts, shares in zip(labels, matrix["counts"], matrix["row_fractions"], strict=True):
        for predicted, count, share in zip(labels, counts, shares, strict=True):
            if count and predicted != reference:
                yield Confusion(reference, predicted, count, _in_words(share))
