"""What the first screen says: question, answer, how to read it, confusion matrix, checks, and what this is not.

Every number comes from metrics.json or audit.json. Someone who reads only this must not be misled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.evaluation import headline
from helpers.evaluation.baselines import HEIGHTS
from helpers.evaluation.summary import FEW_PATIENTS, percent_with_interval
from helpers.reporting.markup import Heading
from helpers.reporting.record import RunRecord
from helpers.reporting.start import starting_point
from helpers.reporting.verdicts import Check, six_checks
from helpers.reporting.wording import KNOWN_PATIENTS, basis, class_label, listed

# Above such a width of the interval, or below so many patients, the report says in words how little the number shows.
WIDE_INTERVAL = 0.10


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix: images, their share of the reference class, whether it is a right answer."""

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True)
class MatrixRow:
    """One reference class: its label and its cells."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Summary:
    """The first screen; empty parts are not there yet. `caveats` say what this run is not."""

    question: str
    answer: str
    reading: tuple[str, ...]
    columns: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]
    checks: tuple[Check, ...]
    caveats: tuple[str, ...]
    missing: tuple[str, ...]


def summarise(record: RunRecord, *, headings: Sequence[Heading]) -> Summary:
    """Put the first screen together.

    Parameters
    ----------
    record
        The run.
    headings
        Headings of the data audit, for the links of the checks.
    """
    return Summary(
        question=question(record),
        answer=headline(record.metrics) if record.metrics else "",
        reading=tuple(_reading(record)) if record.metrics else (),
        columns=tuple(_columns(record)),
        matrix=_matrix(record),
        checks=six_checks(record, headings=headings),
        caveats=tuple(_caveats(record)),
        missing=tuple(record.missing()),
    )


def question(record: RunRecord) -> str:
    """The question of the study in one sentence."""
    study = record.study
    classes = listed([class_label(key, study.cohort.class_names) for key in study.cohort.class_names])
    unseen = "in patients that it was not trained on"
    if record.tests_known_patients:
        unseen = "in images that it was not trained on, though perhaps of patients that it was trained on"
    return (
        f"How often does a modified {network_name(record)}, {starting_point(record).training}, tell {classes} apart "
        f"on {'simulated ' if record.is_simulated else ''}CT images of the thoracolumbar spine, {unseen}?"
    )


def network_name(record: RunRecord) -> str:
    """The backbone as papers write it, for example ResNet-50."""
    return record.study.training.backbone.replace("resnet", "ResNet-")


def _reading(record: RunRecord) -> Iterator[str]:
    """How to read the answer: width of the interval, the trivial answer, the weakest class, a leaking split."""
    metrics = record.metrics
    accuracy, baseline = metrics["overall"]["accuracy"], metrics["baseline"]
    if record.study.training.shuffle_labels:
        yield "Labels were dealt out anew between patients: this run is a control, and chance is what it should score."
    if record.study.training.train_patients is not None:
        yield f"Each network was trained on {record.study.training.train_patients} of its training patients only."
    if record.tests_known_patients:
        yield KNOWN_PATIENTS
    yield _interval_in_words(accuracy)
    if accuracy["ci_low"] is not None and accuracy["ci_low"] <= baseline["accuracy"]["estimate"]:
        majority = class_label(baseline["majority_class"], metrics["cohort"]["class_names"])
        yield (
            f"The interval reaches down to what always answering {majority} would score: this run does not show that "
            "the network does better than that."
        )
    defined = {k: v["sensitivity"] for k, v in metrics["per_class"].items() if v["sensitivity"]["estimate"] is not None}
    if defined:
        key, weakest = min(defined.items(), key=lambda item: item[1]["estimate"])
        yield (
            f"Least often recognised: {class_label(key, metrics['cohort']['class_names'])}, sensitivity "
            f"{percent_with_interval(weakest)} on {basis(weakest)}."
        )
    yield from _rivals_in_words(record)
    for name, found in metrics["external"].items():
        yield _external_in_words(name, found)


def unbeaten(metrics: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Answers without a network whose balanced accuracy this run is not shown to beat, as metrics.json has them."""
    compared = (metrics.get("comparisons") or {}).get("balanced_accuracy", [])
    return tuple(rival for rival in compared if rival["ci_low"] is not None and rival["ci_low"] <= 0)


def _rivals_in_words(record: RunRecord) -> Iterator[str]:
    origin = {HEIGHTS: ", the true ones, which only a simulation knows"} if record.is_simulated else {}
    named = [
        f"{rival['rival']} ({100 * rival['rival_value']:.1f} %{origin.get(rival['rival'], '')})"
        for rival in unbeaten(record.metrics)
    ]
    if named:
        yield f"Not shown to have a better balanced accuracy than a simple classifier of {listed(named)}."


def _external_in_words(name: str, found: Mapping[str, Any]) -> str:
    """One external cohort: what the networks of this run make of images that they were not trained on."""
    tested = f"External test on {name}, {basis(found)}"
    if fracture := found["fracture_vs_normal"]:
        return (
            f"{tested}: fracture against normal with sensitivity {percent_with_interval(fracture['sensitivity'])}, "
            f"specificity {percent_with_interval(fracture['specificity'])}, "
            f"AUROC {_number_with_interval(fracture['auroc'])}."
        )
    if by_class := found["by_class"]:
        return f"{tested}: accuracy {percent_with_interval(by_class['overall']['accuracy'])}."
    return f"{tested}: one class only, so nothing can be measured."


def _number_with_interval(metric: Mapping[str, Any]) -> str:
    if metric["estimate"] is None or metric["ci_low"] is None:
        return percent_with_interval(metric)
    return f"{metric['estimate']:.2f} ({metric['ci_low']:.2f}–{metric['ci_high']:.2f})"


def _interval_in_words(accuracy: Mapping[str, Any]) -> str:
    if accuracy["ci_low"] is None:
        why = accuracy["note"].removeprefix("no interval: ")
        return f"There is no interval: {why}. The number stands on {basis(accuracy)} and proves nothing."
    low, high = accuracy["ci_low"], accuracy["ci_high"]
    width = f"The interval is {100 * (high - low):.1f} percentage points wide"
    few = accuracy["n_patients"] < FEW_PATIENTS
    if not few and high - low <= WIDE_INTERVAL:
        return f"{width}; it covers the choice of patients, all images of a patient counted together."
    small = (
        f"Small cohort: {basis(accuracy)}. {width}: any accuracy from {100 * low:.0f} to {100 * high:.0f} % would fit "
        "these data."
    )
    if not few:
        return small
    return (
        f"{small} With so few patients even that interval tends to be too narrow. The run shows that the method can be "
        "carried out on this cohort, not how well it works."
    )


def _columns(record: RunRecord) -> list[str]:
    if not record.metrics:
        return []
    names = record.metrics["cohort"]["class_names"]
    return [class_label(key, names) for key in record.metrics["confusion"]["classes"]]


def _matrix(record: RunRecord) -> tuple[MatrixRow, ...]:
    if not record.metrics:
        return ()
    confusion, rows = record.metrics["confusion"], []
    for index, label in enumerate(_columns(record)):
        counts, shares = confusion["counts"][index], confusion["row_fractions"][index]
        cells = tuple(
            Cell(count, share["estimate"] or 0.0, column == index)
            for column, (count, share) in enumerate(zip(counts, shares, strict=True))
        )
        rows.append(MatrixRow(label, cells))
    return tuple(rows)


def _caveats(record: RunRecord) -> Iterator[str]:
    """What this is not, as far as it is true of this run."""
    yield "Not a medical device: not for diagnosis or any decision about a patient."
    if record.is_simulated:
        yield "Simulated images: no patient was scanned, and the numbers say nothing about patients."
    if record.is_simulated and _burst_class(record) and not _burst_was_checked(record):
        yield "Burst fractures have never been checked on real CT."


def _burst_class(record: RunRecord) -> str | None:
    names = record.study.cohort.class_names
    return next((key for key, name in names.items() if name.lower() == "burst"), None)


def _burst_was_checked(record: RunRecord) -> bool:
    """Whether an external cohort of real images holds burst fractures."""
    real = {cohort.name for cohort in record.study.external.external if cohort.source != "phantom"}
    external = (record.metrics or {}).get("external") or {}
    scored = [found["by_class"] for name, found in external.items() if name in real and found["by_class"]]
    return any(
        dict(zip(found["confusion"]["classes"], map(sum, found["confusion"]["counts"]), strict=True)).get(
            _burst_class(record)
        )
        for found in scored
    )
