"""One of two runs that are compared: all that is read of it, and whether the other one can be held against it."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from helpers.evaluation import PredictionsError, out_of_fold
from helpers.reporting.record import RunRecord, read_run
from helpers.study import ArtefactError, Run
from helpers.study.paths import short_path


class RunMismatch(ArtefactError):
    """A run that is not complete, or two that cannot be compared; the message says why."""


@dataclass(frozen=True)
class Side:
    """A run with an evaluation.

    Attributes
    ----------
    name
        For headings.
    record
        Parameters, provenance, notebooks and metrics.
    cohort
        `cohort.parquet`.
    answers
        The held-out table of `helpers.evaluation.out_of_fold`.
    """

    name: str
    record: RunRecord
    cohort: pd.DataFrame = field(repr=False)
    answers: pd.DataFrame = field(repr=False)

    @property
    def run(self) -> Run:
        """Its artefacts."""
        return Run(self.record.folder)

    @property
    def class_names(self) -> dict[str, str]:
        """Class key to name, in reporting order."""
        return self.record.study.cohort.class_names


def open_side(folder: Path) -> Side:
    """Read a run that has reached its evaluation.

    Raises
    ------
    RunMismatch
        If it has not, or its predictions do not fit its parameters.
    ArtefactError
        If a file is missing, damaged or of another version.
    ParameterError
        If its `params.yaml` is not valid.
    """
    record, run = read_run(folder), Run(folder)
    if record.metrics is None:
        raise RunMismatch(f"{short_path(folder)} is not complete. {' '.join(record.missing())}")
    try:
        answers = out_of_fold(run.read_table("predictions"), classes=list(record.study.cohort.class_names))
    except PredictionsError as error:
        raise RunMismatch(f"{short_path(folder)}: {error}") from error
    return Side(folder.name, record, cohort=run.read_table("cohort"), answers=answers)


def require_same_classes(first: Side, second: Side) -> None:
    """Refuse two runs that answer different questions.

    Raises
    ------
    RunMismatch
        If class names differ.
    """
    if first.class_names != second.class_names:
        named = [", ".join(f"{key} {name}" for key, name in side.class_names.items()) for side in (first, second)]
        raise RunMismatch(
            f"the two runs have different classes, so that no number of one can be held against one of the other: "
            f"{first.name} has {named[0]}; {second.name} has {named[1]}"
        )
