"""What the first screen says: question, answer, what the answer rests on, verdicts, flow and limits.

Every number comes from metrics.json or audit.json. Someone who reads only this must not be misled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.evaluation import headline
from helpers.evaluation.summary import percent_with_interval
from helpers.reporting.markup import Heading, slug
from helpers.reporting.record import ReportError, RunRecord
from helpers.reporting.start import starting_point
from helpers.reporting.wording import class_label, counted, listed
from helpers.study.caution import caution
from helpers.study.params import BY_IMAGE

# Below so many patients, or above such a width of the interval, the report says in words how little the number shows.
FEW_PATIENTS = 50
WIDE_INTERVAL = 0.10

STATUS_WORDS = {"fail": "problem found", "warn": "to note", "untested": "not tested", "pass": "no problem found"}
STATUS_MARKS = {"fail": "✗", "warn": "!", "untested": "?", "pass": "✓"}
STATUS_ORDER = {status: rank for rank, status in enumerate(STATUS_WORDS)}
FIRST_VERDICT = "leakage"


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix: images, their share of the reference class, whether it is a right answer."""

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True)
class MatrixRow:
    """One reference class: its label, its cells, and its sensitivity with interval in words."""

    label: str
    cells: tuple[Cell, ...]
    sensitivity: str


@dataclass(frozen=True)
class Verdict:
    """One verdict of the audit in words, with a link to where the report shows it."""

    name: str
    status: str
    word: str
    mark: str
    checked: str
    found: int
    detail: str
    href: str


@dataclass(frozen=True)
class Summary:
    """The first screen; empty parts are not there yet.

    `held` are the verdicts that hold, but for leakage, and `untested` what this cohort did not allow to be tested.
    """

    simulated: str
    question: str
    answer: str
    reading: tuple[str, ...]
    columns: tuple[str, ...]
    matrix: tuple[MatrixRow, ...]
    verdicts: tuple[Verdict, ...]
    held: tuple[Verdict, ...]
    untested: tuple[Verdict, ...]
    flow: tuple[Mapping[str, Any], ...]
    limits: tuple[str, ...]
    missing: tuple[str, ...]


def summarise(record: RunRecord, *, headings: Sequence[Heading]) -> Summary:
    """Put the first screen together.

    Parameters
    ----------
    record
        The run.
    headings
        Headings of the data audit, for the links of the verdicts.

    Raises
    ------
    ReportError
        If metrics.json or audit.json lacks an entry that is read here.
    """
    try:
        verdicts = _verdicts(record, headings=headings)
        return Summary(
            simulated=caution(record.study.cohort),
            question=question(record),
            answer=headline(record.metrics) if record.metrics else "",
            reading=tuple(_reading(record)) if record.metrics else (),
            columns=tuple(_columns(record)),
            matrix=_matrix(record),
            verdicts=tuple(verdict for verdict in verdicts if _is_shown(verdict)),
            held=tuple(verdict for verdict in verdicts if verdict.status == "pass" and not _is_shown(verdict)),
            untested=tuple(verdict for verdict in verdicts if verdict.status == "untested"),
            flow=tuple(record.audit["flow"]) if record.audit else (),
            limits=tuple(_limits(record)),
            missing=tuple(record.missing()),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ReportError(
            f"{record.folder.name}: metrics.json or audit.json is not as this version writes it ({error!r}): "
            "run the study again"
        ) from error


def question(record: RunRecord) -> str:
    """The question of the study in one sentence."""
    study = record.study
    classes = listed([class_label(key, study.cohort.class_names) for key in study.cohort.class_names])
    unseen = "in patients that it was not trained on"
    if study.splits.split_method in BY_IMAGE:
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
    if record.study.splits.split_method in BY_IMAGE:
        yield (
            "Test images were drawn by image, not by patient: images of one patient can lie in training and test, so "
            "this accuracy is expected to be too high."
        )
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
            f"{percent_with_interval(weakest)} on {_basis(weakest)}."
        )
    for name, found in metrics["external"].items():
        yield _external_in_words(name, found)


def _external_in_words(name: str, found: Mapping[str, Any]) -> str:
    """One external cohort: what the networks of this run make of images that they were not trained on."""
    basis = f"External test on {name}, {_basis(found)}"
    if fracture := found["fracture_vs_normal"]:
        return (
            f"{basis}: fracture against normal with sensitivity {percent_with_interval(fracture['sensitivity'])}, "
            f"specificity {percent_with_interval(fracture['specificity'])}, "
            f"AUROC {_number_with_interval(fracture['auroc'])}."
        )
    if by_class := found["by_class"]:
        return f"{basis}: accuracy {percent_with_interval(by_class['overall']['accuracy'])}."
    return f"{basis}: one class only, so nothing can be measured."


def _number_with_interval(metric: Mapping[str, Any]) -> str:
    if metric["estimate"] is None or metric["ci_low"] is None:
        return percent_with_interval(metric)
    return f"{metric['estimate']:.2f} ({metric['ci_low']:.2f}–{metric['ci_high']:.2f})"


def _interval_in_words(accuracy: Mapping[str, Any]) -> str:
    if accuracy["ci_low"] is None:
        return f"There is no interval ({accuracy['note']}): the number stands on {_basis(accuracy)} and proves nothing."
    low, high = accuracy["ci_low"], accuracy["ci_high"]
    width = f"The interval is {100 * (high - low):.1f} percentage points wide"
    few = accuracy["n_patients"] < FEW_PATIENTS
    if not few and high - low <= WIDE_INTERVAL:
        return f"{width}; it covers the choice of patients, all images of a patient counted together."
    small = (
        f"Small cohort: {_basis(accuracy)}. {width}: any accuracy from {100 * low:.0f} to {100 * high:.0f} % would fit "
        "these data."
    )
    if not few:
        return small
    return (
        f"{small} With so few patients even that interval tends to be too narrow. The run shows that the method can be "
        "carried out on this cohort, not how well it works."
    )


def _basis(metric: Mapping[str, Any]) -> str:
    return f"{counted(metric['n_samples'], 'image')} of {counted(metric['n_patients'], 'patient')}"


def _columns(record: RunRecord) -> list[str]:
    if not record.metrics:
        return []
    names = record.metrics["cohort"]["class_names"]
    return [class_label(key, names) for key in record.metrics["confusion"]["classes"]]


def _matrix(record: RunRecord) -> tuple[MatrixRow, ...]:
    if not record.metrics:
        return ()
    confusion, per_class = record.metrics["confusion"], record.metrics["per_class"]
    rows = []
    for index, (key, label) in enumerate(zip(confusion["classes"], _columns(record), strict=True)):
        counts, shares = confusion["counts"][index], confusion["row_fractions"][index]
        cells = tuple(
            Cell(count, share["estimate"] or 0.0, column == index)
            for column, (count, share) in enumerate(zip(counts, shares, strict=True))
        )
        rows.append(MatrixRow(label, cells, percent_with_interval(per_class[key]["sensitivity"])))
    return tuple(rows)


def _verdicts(record: RunRecord, *, headings: Sequence[Heading]) -> tuple[Verdict, ...]:
    """Verdicts in words: leakage first, then problems, notes, and what holds."""
    if not record.audit:
        return ()
    verdicts = [
        Verdict(
            name=name.replace("_", " "),
            status=verdict["status"],
            word=STATUS_WORDS.get(verdict["status"], verdict["status"]),
            mark=STATUS_MARKS.get(verdict["status"], "?"),
            checked=verdict["checked"],
            found=verdict["found"],
            detail=verdict["detail"],
            href=section_for(name, headings=headings),
        )
        for name, verdict in record.audit["verdicts"].items()
    ]
    return tuple(sorted(verdicts, key=lambda v: (v.name != FIRST_VERDICT, STATUS_ORDER.get(v.status, -1))))


def _is_shown(verdict: Verdict) -> bool:
    return verdict.status not in ("pass", "untested") or verdict.name == FIRST_VERDICT


def section_for(verdict: str, *, headings: Sequence[Heading]) -> str:
    """Link to the section of the data audit whose heading shares most words with a verdict's name.

    Returns
    -------
    A fragment such as `#notebook-01-leakage`: the section on verdicts, or the notebook's start, if no heading fits.
    Empty without headings.
    """
    words = {_stem(word) for word in slug(verdict.replace("_", " ")).split("-")}
    matches = [(len(words & {_stem(word) for word in slug(heading.text).split("-")}), heading) for heading in headings]
    shared, best = max(matches, key=lambda match: match[0], default=(0, None))
    if best is None:
        return ""
    if not shared and verdict != "verdicts":
        return section_for("verdicts", headings=headings)
    return f"#{best.anchor if shared else headings[0].anchor}"


def _stem(word: str) -> str:
    return word[:5]


def _limits(record: RunRecord) -> Iterator[str]:
    study = record.study
    yield "Not a medical device: not for diagnosis or any decision about a patient."
    if record.is_simulated:
        yield "The cohort is simulated: no claim about patients, scanners or hospitals follows from it."
    if not (record.metrics and record.metrics["external"]):
        yield (
            "No external test: every test image comes from the same cohort as the training images. Another hospital's "
            "images usually give lower numbers."
        )
    yield f"Starting point: {starting_point(record).sentence()}"
    if len(study.training.seeds) == 1:
        yield "One training seed: the interval covers the choice of patients, not the chance in training."
    names = {name.lower() for name in study.cohort.class_names.values()}
    if {"compression", "burst"} <= names:
        yield "Class letters follow Yin et al. 2024; in the AO Spine system compression and burst are both of type A."
    yield "The images of Yin et al. 2024 are not available to us, so their published accuracy is not tested here."
