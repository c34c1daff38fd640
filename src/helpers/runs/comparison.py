"""Two runs side by side: what went in, what they were computed with, what came out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import METRIC_TITLES
from helpers.reporting.wording import class_label
from helpers.runs.notebook_diff import NotebookDifference, compare_notebooks
from helpers.runs.numbers import Place, in_words, metrics_by_place
from helpers.runs.pairing import Overlap, changed_answers, on_shared_samples, overlap, paired_differences
from helpers.runs.settings import Difference, environment_differences, parameter_differences
from helpers.runs.side import Side, open_side, require_same_classes
from helpers.study.paths import short_path

# Sections of metrics.json about all held-out images, with what their metrics are of; a class is named by its key.
MAIN_SECTIONS = {"overall": "", "per_class": "", "fracture_vs_normal": "any fracture"}


@dataclass(frozen=True)
class ComparedMetric:
    """One metric in two runs.

    Attributes
    ----------
    place
        In metrics.json.
    first, second
        Entries of metrics.json, None where a run has no such metric.
    difference
        First minus second on the images that both have tested; None where it is not taken.
    """

    place: Place
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None
    difference: Metric | None

    @property
    def is_main(self) -> bool:
        """Whether it describes all held-out images by the most probable class or the ranking."""
        return self.place[0] in MAIN_SECTIONS

    def label(self, class_names: Mapping[str, str]) -> str:
        """What a table calls it: its title and what it is of, or its place where it is not of the main ones."""
        if not self.is_main:
            return in_words(self.place)
        section, *key, name = self.place
        of = class_label(key[0], class_names) if key else MAIN_SECTIONS[section]
        return f"{METRIC_TITLES.get(name, name)}{of and ', '}{of}"


@dataclass(frozen=True)
class RunComparison:
    """All that `study compare` says.

    Attributes
    ----------
    first, second
        The runs.
    overlap
        Of their cohorts.
    n_tested
        Images that both runs have tested and whose differences are taken; 0 where the cohorts differ.
    parameters, environment
        What is not the same.
    metrics
        Every metric of either run.
    answers
        Samples that are answered differently, see `changed_answers`; empty where the cohorts differ.
    notebooks
        What differs in each of them.
    """

    first: Side
    second: Side
    overlap: Overlap
    n_tested: int
    parameters: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    metrics: tuple[ComparedMetric, ...] = field(repr=False)
    answers: pd.DataFrame = field(repr=False)
    notebooks: tuple[NotebookDifference, ...] = field(repr=False)


def compare_runs(first: Path, second: Path) -> RunComparison:
    """Compare two run folders.

    Differences of metrics are taken only where both runs were made of the same images with the same labels, on the
    images that both have tested; replicates, confidence and seed are those of the first run.

    Raises
    ------
    RunMismatch
        If a run is not complete, or the two have different classes.
    ArtefactError, ParameterError
        If a file of a run is missing, damaged or of another version.
    """
    ours, theirs = open_side(first), open_side(second)
    if ours.name == theirs.name:
        ours, theirs = (replace(side, name=short_path(side.record.folder)) for side in (ours, theirs))
    require_same_classes(ours, theirs)
    found = overlap(ours.cohort, theirs.cohort)
    tested = on_shared_samples(ours.answers, theirs.answers)
    if not found.is_same_cohort:
        tested = (tested[0][:0], tested[1][:0])
    return RunComparison(
        first=ours,
        second=theirs,
        overlap=found,
        n_tested=len(tested[0]),
        parameters=parameter_differences(ours.record, theirs.record),
        environment=environment_differences(ours.record, theirs.record),
        metrics=tuple(_metrics(ours, theirs, tested=tested)),
        answers=changed_answers(*tested),
        notebooks=compare_notebooks(ours.record.notebooks, theirs.record.notebooks),
    )


def _metrics(ours: Side, theirs: Side, *, tested: tuple[pd.DataFrame, pd.DataFrame]) -> list[ComparedMetric]:
    first, second = (metrics_by_place(side.record.metrics) for side in (ours, theirs))
    normal_classes = {side.record.study.cohort.normal_class for side in (ours, theirs)}
    differences = {}
    if len(tested[0]):
        differences = paired_differences(
            *tested,
            classes=list(ours.class_names),
            normal_class=normal_classes.pop() if len(normal_classes) == 1 else None,
            params=ours.record.study.evaluation,
        )
    return [
        ComparedMetric(place, first.get(place), second.get(place), differences.get(place))
        for place in sorted({**first, **second}, key=_reading_order)
    ]


def _reading_order(place: Place) -> int:
    """Main sections first, in their own order; all else as metrics.json has it."""
    sections = list(MAIN_SECTIONS)
    return sections.index(place[0]) if place[0] in sections else len(sections)
