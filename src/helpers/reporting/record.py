"""What a run folder has to tell: everything that the report reads, and what is not there yet."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from helpers.study.artefacts import ARTEFACTS, PARAMS_FILE, ArtefactError, Run
from helpers.study.params import BY_IMAGE, Study
from helpers.study.paths import short_path
from helpers.study.provenance import PROVENANCE_FILE
from helpers.study.stages import (
    RECORDS_FILE,
    STAGES,
    Stage,
    StageRecord,
    executed_notebook,
    partial_notebook,
    read_records,
)

NOTEBOOK_STAGES = tuple(stage for stage in STAGES if stage.is_notebook)
JSON_ARTEFACTS = ("audit", "model", "metrics")
TESTED_PAIR = "train and test"  # as the audit names what these two parts share
BANNER = "papermill-error-cell-tag"
# What the first screen reads; a file without these was written by another version of the notebooks.
NEEDED = {
    "audit": ("verdicts", "flow"),
    "metrics": ("cohort", "bootstrap", "confusion", "overall", "per_class", "baseline"),
}


class ReportError(ArtefactError):
    """A folder that is no run, or a file in it that cannot be read; the message says which and what to do."""


@dataclass(frozen=True)
class RunRecord:
    """One run as the report sees it.

    Parameters
    ----------
    folder
        The run folder.
    study
        Its resolved parameters.
    notebooks
        Executed notebooks by stage key, in order; only those that exist, and none behind one that stopped.
    stopped
        Key of the stage whose notebook stopped before its end, or None. What it and later stages had written before
        is left out.
    provenance
        Content of `provenance.json`; empty if it was not recorded.
    stages
        Records of the finished stages; empty if the notebooks were run by hand.
    audit, model, metrics
        Content of the JSON artefacts, or None.
    """

    folder: Path
    study: Study
    notebooks: Mapping[str, NotebookNode] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    stages: Mapping[str, StageRecord] = field(repr=False)
    stopped: str | None = None
    audit: Mapping[str, Any] | None = field(default=None, repr=False)
    model: Mapping[str, Any] | None = field(default=None, repr=False)
    metrics: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def is_simulated(self) -> bool:
        """Whether the images were made by a program and show no patient."""
        return self.study.cohort.source == "phantom"

    @property
    def tests_known_patients(self) -> bool:
        """Whether test images can be of patients that the network was trained on: by the design, or by the audit."""
        pairs = (self.audit or {}).get("leakage", [])
        shared = any(pair["patients"] for pair in pairs if pair["pair"] == TESTED_PAIR)
        return shared or self.study.splits.split_method in BY_IMAGE

    def missing(self) -> list[str]:
        """What a complete run would have and this one has not, in sentences."""
        return list(self._missing())

    def _missing(self) -> Iterator[str]:
        for stage in NOTEBOOK_STAGES:
            if stage.key == self.stopped:
                yield f"Notebook {stage.key} ({stage.title.lower()}) stopped before its end: {self._cause()}"
        absent = [stage.key for stage in NOTEBOOK_STAGES if stage.key not in {*self.notebooks, self.stopped}]
        if absent:
            yield f"Not executed in this run: {', '.join(absent)}."
        for name in JSON_ARTEFACTS:
            stage = ARTEFACTS[name].stage
            # that an artefact is absent goes without saying where its notebook has not ended
            if getattr(self, name) is None and stage not in {*absent, self.stopped}:
                yield f"{ARTEFACTS[name].file} is not there: notebook {stage} writes it."
        if not self.provenance:
            yield f"{PROVENANCE_FILE} is not there: the runner (`.venv/bin/study run`) writes it."

    def _cause(self) -> str:
        """The error of the notebook that stopped; it ends without one where the process was killed."""
        cells = self.notebooks[self.stopped].cells if self.stopped in self.notebooks else []
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output.output_type == "error"]
        return f"{errors[-1].ename}: {errors[-1].evalue}" if errors else "it was interrupted."


@contextmanager
def reading_artefacts(record: RunRecord) -> Iterator[None]:
    """Say which run is at fault where an entry of its metrics.json or audit.json is missing or of another kind."""
    try:
        yield
    except (KeyError, TypeError, IndexError) as error:
        raise ReportError(
            f"{record.folder.name}: metrics.json or audit.json is not as this version writes it ({error!r}): "
            "run the study again"
        ) from error


def read_run(folder: Path) -> RunRecord:
    """Read all that the report shows of a run.

    Raises
    ------
    ReportError
        If `folder` is no run folder, or a file in it is damaged or of another version.
    ParameterError
        If its `params.yaml` is not valid.
    """
    if not (folder / PARAMS_FILE).is_file():
        raise ReportError(
            f"{short_path(folder)} is not a run folder (no {PARAMS_FILE}): give a folder made by "
            "`.venv/bin/study run PARAMS`"
        )
    keys = [stage.key for stage in NOTEBOOK_STAGES]
    stopped = next((key for key in keys if partial_notebook(folder, key).is_file()), None)
    shown = NOTEBOOK_STAGES if stopped is None else NOTEBOOK_STAGES[: keys.index(stopped) + 1]
    notebooks = {stage.key: _notebook(folder, stage, is_partial=stage.key == stopped) for stage in shown}
    notebooks = {key: notebook for key, notebook in notebooks.items() if notebook is not None}
    names = [name for name in JSON_ARTEFACTS if _is_of_this_run(folder, name, stopped=stopped, notebooks=notebooks)]
    return RunRecord(
        folder=folder,
        study=Run(folder).study,
        notebooks=notebooks,
        provenance=_json(folder / PROVENANCE_FILE) or {},
        stages=_stage_records(folder),
        stopped=stopped,
        **{name: _artefact(folder, name) for name in names},
    )


def _is_of_this_run(folder: Path, name: str, *, stopped: str | None, notebooks: Mapping[str, NotebookNode]) -> bool:
    """Whether an artefact belongs to the notebooks shown: not to a run before the one that stopped."""
    stage, file = ARTEFACTS[name].stage, folder / ARTEFACTS[name].file
    if stopped is None or stage < stopped:
        return True
    started = notebooks.get(stopped, NotebookNode(metadata={})).metadata.get("papermill", {}).get("start_time")
    if stage > stopped or started is None or not file.is_file():
        return False
    return file.stat().st_mtime >= datetime.fromisoformat(started).replace(tzinfo=UTC).timestamp()


def _notebook(folder: Path, stage: Stage, *, is_partial: bool) -> NotebookNode | None:
    file = partial_notebook(folder, stage.key) if is_partial else executed_notebook(folder, stage.key)
    if not file.is_file():
        return None
    try:
        notebook = nbformat.read(file, as_version=4)
        # papermill puts banners of its own into a notebook that failed; the report says it in its own words
        notebook.cells = [cell for cell in notebook.cells if BANNER not in cell.metadata.get("tags", [])]
        return notebook
    except (ValueError, nbformat.ValidationError) as error:
        if is_partial:  # torn where the process was killed
            return None
        raise ReportError(f"{short_path(file)} is not a readable notebook ({error}): run {stage.key} again") from error


def _stage_records(folder: Path) -> dict[str, StageRecord]:
    try:
        return read_records(folder)
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{short_path(folder / RECORDS_FILE)} is damaged ({error}): remove it and run the study again"
        ) from error


def _artefact(folder: Path, name: str) -> Mapping[str, Any] | None:
    artefact = ARTEFACTS[name]
    content = _json(folder / artefact.file)
    if content is None:
        return None
    lacking = [key for key in NEEDED.get(name, ()) if key not in content]
    if lacking:
        raise ReportError(
            f"{short_path(folder / artefact.file)} lacks {', '.join(lacking)}: run notebook {artefact.stage} again"
        )
    return content


def _json(file: Path) -> Mapping[str, Any] | None:
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReportError(f"{short_path(file)} is not valid JSON ({error}): run the study again") from error
    if not isinstance(content, dict):
        raise ReportError(f"{short_path(file)} holds a {type(content).__name__}, expected an object with named entries")
    return content
