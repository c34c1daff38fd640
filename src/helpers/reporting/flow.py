"""The way from the files that were found to the folds that are tested, for a diagram and the table beside it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.reporting.record import RunRecord
from helpers.reporting.wording import counted
from helpers.study.params import BY_IMAGE

SPLITS = ("train", "validation", "test")
COUNTS = {"n_files": "file", "n_samples": "image", "n_patients": "patient"}


@dataclass(frozen=True)
class FlowStep:
    """One box: what it holds in words, and what was left out on the way to it, by reason."""

    title: str
    counts: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True)
class Fold:
    """Images of one fold in its three parts, and the part's share of the fold."""

    number: int
    images: Mapping[str, int]

    def share(self, split: str) -> float:
        """Share of the fold's images, 0 to 1."""
        return self.images[split] / max(sum(self.images.values()), 1)


@dataclass(frozen=True)
class StudyFlow:
    """The diagram's boxes, every step for the table, and the folds."""

    boxes: tuple[FlowStep, ...]
    steps: tuple[Mapping[str, Any], ...]
    rule: str
    folds: tuple[Fold, ...]


def study_flow(record: RunRecord) -> StudyFlow | None:
    """The flow of a run; None before its audit.

    Boxes are drawn for the first and the last step and for those that left something out; the table has all steps.
    """
    if not record.audit:
        return None
    steps = tuple(record.audit["flow"])
    drawn = [step for step in steps if step is steps[0] or step is steps[-1] or step.get("excluded")]
    return StudyFlow(
        boxes=tuple(_box(step) for step in drawn),
        steps=steps,
        rule=_rule(record),
        folds=tuple(_folds(record.audit.get("counts", ()))),
    )


def _box(step: Mapping[str, Any]) -> FlowStep:
    counts = tuple(counted(step[key], noun) for key, noun in COUNTS.items() if step.get(key) is not None)
    excluded = step.get("excluded") or {}
    reasons = tuple(f"{reason.replace('_', ' ')}: {number}" for reason, number in excluded.items())
    return FlowStep(step["step"], counts, reasons)


def _rule(record: RunRecord) -> str:
    method = record.study.splits.split_method
    if method == "predefined":
        return "Divided as the labels say; the check for leakage tells what the parts share."
    if method in BY_IMAGE:
        return "Divided by image: images of one patient can lie in several parts of a fold."
    return "Divided by patient: all images of a patient lie in the same part of a fold."


def _folds(counts: list[Mapping[str, Any]]) -> Iterator[Fold]:
    """Images of each part, added up over the classes; patients are not, as one can have several classes."""
    images: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SPLITS, 0))
    for row in counts:
        images[row["fold"]][row["split"]] += row["n_samples"]
    for number, parts in sorted(images.items()):
        yield Fold(number, parts)
