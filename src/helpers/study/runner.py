"""Run the stages of a study by papermill, skipping what is up to date, and say clearly what failed."""

import contextlib
import fcntl
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from helpers.study import stages
from helpers.study.artefacts import record_study, remove_leftovers
from helpers.study.display import PROGRESS_MIMETYPE
from helpers.study.errors import GO_ON, REMEDIES, StudyError
from helpers.study.params import Study
from helpers.study.paths import project_folder, short_path
from helpers.study.progress import Screen, duration
from helpers.study.provenance import journal, now, record_provenance
from helpers.study.stages import STAGES, Stage, StageRecord, executed_notebook, notebook_source, partial_notebook

ENGINE = "study"
KERNEL = "python3"
KERNEL_START_S = 120  # a cold disk and a busy machine
LOCK_FILE = ".lock"
SPARE_MEMORY = (
    "lower training.batch_size, preprocessing.image_size, cohort.workers or study.jobs, or close other programs"
)
WITHOUT_A_WORD = f"without a word, which mostly means that the memory was used up: {SPARE_MEMORY}"
UNTOLD = "CellExecutionError"  # papermill's name for an error that the kernel had no memory left to describe


class StageError(StudyError, RuntimeError):
    """A stage failed; the message says where, why, and what is left."""


class RunLocked(StudyError, RuntimeError):
    """Another runner works on the same run folder."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Parameters
    ----------
    first
        Run this stage and all later ones even if they are up to date.
    only
        Consider this stage alone.
    last
        Consider no stage after this one.
    force
        Run every stage considered, up to date or not.

    A stage that is asked for in this way starts from nothing: what it wrote before is removed first.
    """

    first: Stage | None = None
    only: Stage | None = None
    last: Stage = STAGES[-1]
    force: bool = False

    def stages(self) -> tuple[Stage, ...]:
        """Stages to consider, in order."""
        return (self.only,) if self.only else STAGES[: STAGES.index(self.last) + 1]

    def forces(self, stage: Stage) -> bool:
        """Whether `stage` runs without asking if it is up to date."""
        return self.force or (self.first is not None and STAGES.index(stage) >= STAGES.index(self.first))


class _LiveClient(PapermillNotebookClient):
    """Papermill's client, which also passes cell starts and progress lines of the notebook to a `Screen`."""

    def __init__(self, *args, screen: Screen, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.screen = screen
        self.code_cells = [index for index, cell in enumerate(self.nb.cells) if cell.cell_type == "code"]

    def execute_cell(self, cell, cell_index, **kwargs):
        if cell.cell_type == "code":
            number = self.code_cells.index(cell_index) + 1
            self.screen.cell_started(heading_above(self.nb, cell_index), number=number, total=len(self.code_cells))
        return super().execute_cell(cell, cell_index, **kwargs)

    def process_message(self, msg, cell, cell_index):
        progress = msg.get("content", {}).get("data", {}).get(PROGRESS_MIMETYPE)
        if progress:
            self.screen.detail(progress["line"])
        return super().process_message(msg, cell, cell_index)


class _LiveEngine(NBClientEngine):
    """Papermill engine around `_LiveClient`; screen and log are handed over as engine arguments.

    The log takes what the kernel process itself says, such as warnings of ZeroMQ or a crash report, which would
    otherwise be written across the live lines.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, screen: Screen, log: IO[bytes], **_) -> None:
        options = {"kernel_name": kernel_name, "startup_timeout": KERNEL_START_S, "timeout": None}
        _LiveClient(nb_man, screen=screen, **options).execute(stdout=log, stderr=log)


papermill_engines.register(ENGINE, _LiveEngine)


def heading_above(notebook: nbformat.NotebookNode, cell_index: int) -> str:
    """Text of the nearest Markdown heading at or above a cell."""
    for cell in reversed(notebook.cells[: cell_index + 1]):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#{1,6} +(.+?)\s*$", cell.source, flags=re.MULTILINE)
            if headings:
                return headings[-1]
    return "start"


def run_study(
    study: Study,
    run_folder: Path,
    *,
    screen: Screen,
    build_report: Callable[[Path], Path],
    plan: Plan = Plan(),
) -> list[str]:
    """Bring a run folder up to date.

    Parameters
    ----------
    study
        Validated parameters.
    run_folder
        `runs/<name>`; made if absent.
    screen
        Where progress is shown.
    build_report
        Builds the report of a run folder and gives its path; injected, since reporting stands above this package.
    plan
        Which stages to consider or to force.

    Returns
    -------
    Keys of the stages that ran.

    Raises
    ------
    StageError
        If a stage fails; what earlier stages wrote stays.
    RunLocked
        If another runner works on the folder.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    with lock(run_folder):
        remove_leftovers(run_folder)
        record_study(run_folder, study)
        wanted = stages.fingerprints(study)
        records = stages.read_records(run_folder)
        ran: list[str] = []
        for stage in plan.stages():
            reason = _reason(stage, run_folder, plan=plan, record=records.get(stage.key), fingerprint=wanted[stage.key])
            if reason is None:
                screen.say(f"  {stage.key:<18} up to date", style="dim")
                journal(run_folder, stage=stage.key, event="skipped")
                continue
            if not ran:
                record_provenance(run_folder, study)
            if plan.forces(stage):
                stages.remove_outputs(stage, run_folder)
            records[stage.key] = _run_stage(
                stage, study, run_folder, screen=screen, build_report=build_report,
                reason=reason, fingerprint=wanted[stage.key],
            )  # fmt: skip
            stages.write_records(run_folder, records)
            ran.append(stage.key)
        return ran


def _reason(stage: Stage, folder: Path, *, plan: Plan, record: StageRecord | None, fingerprint: str) -> str | None:
    if plan.forces(stage):
        return "asked for"
    return stages.why_stale(stage, folder, record=record, fingerprint=fingerprint)


def _run_stage(
    stage: Stage, study: Study, run_folder: Path, *, screen: Screen, build_report: Callable[[Path], Path],
    reason: str, fingerprint: str,
) -> StageRecord:  # fmt: skip
    started = time.monotonic()
    inputs = stages.input_hash(stage, run_folder)
    journal(run_folder, stage=stage.key, event="started", reason=reason)
    screen.stage_started(stage.key)
    try:
        if stage.is_notebook:
            _execute_notebook(stage, study, run_folder, screen=screen)
        else:
            build_report(run_folder)
    except BaseException as error:
        seconds = round(time.monotonic() - started, 2)
        with contextlib.suppress(OSError):  # a full disk is what failed, and is told below
            journal(run_folder, stage=stage.key, event="failed", seconds=seconds, error=type(error).__name__)
        word = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        screen.stage_ended(f"  {stage.key:<18} {word} after {duration(seconds)}", style="bold red")
        raise
    seconds = round(time.monotonic() - started, 2)
    journal(run_folder, stage=stage.key, event="done", seconds=seconds)
    screen.stage_ended(f"  {stage.key:<18} done in {duration(seconds)} ({reason})", style="green")
    outputs = stages.output_hashes(stage, run_folder)
    return StageRecord(fingerprint=fingerprint, inputs=inputs, outputs=outputs, seconds=seconds, finished=now())


def _execute_notebook(stage: Stage, study: Study, run_folder: Path, *, screen: Screen) -> None:
    """Execute into a partial notebook; it gets its final name only when every cell has passed."""
    final = executed_notebook(run_folder, stage.key)
    partial = partial_notebook(run_folder, stage.key)
    partial.parent.mkdir(parents=True, exist_ok=True)
    parameters = {"run_dir": short_path(run_folder)}
    for section in stage.sections:
        parameters |= getattr(study, section).model_dump()
    log = partial.with_suffix(".log")
    try:
        with log.open("wb") as stream:
            papermill.execute_notebook(
                notebook_source(stage.key), partial, parameters=parameters, engine_name=ENGINE, kernel_name=KERNEL,
                progress_bar=False, cwd=project_folder(), screen=screen, log=stream,
            )  # fmt: skip
    except PapermillExecutionError as error:
        raise StageError(_failure(_cause(error), stage=stage, partial=partial)) from error
    except DeadKernelError as error:
        cause = f"The kernel died {WITHOUT_A_WORD}\nLast words of the kernel, if any: {short_path(log)}"
        raise StageError(_failure(cause, stage=stage, partial=partial)) from error
    except NoSuchKernel as error:
        raise StageError(f"{stage.key}: no Jupyter kernel called {KERNEL}; `make env` installs it") from error
    except OSError as error:
        where = f"{short_path(partial)}, the notebook as it is executed"
        remedy = REMEDIES.get(error.errno, "look after the disk first")
        raise StageError(
            f"{stage.key} stopped: {where}, cannot be written: {error.strerror}; {remedy}.\n{GO_ON}"
        ) from error
    partial.replace(final)
    log.unlink()


def _cause(error: PapermillExecutionError) -> str:
    if error.ename == UNTOLD:
        return f"The cell failed {WITHOUT_A_WORD}"
    cause = f"{error.ename}: {error.evalue}"
    # NumPy calls it _ArrayMemoryError, torch a RuntimeError, and both say that they cannot allocate
    is_memory = "MemoryError" in error.ename or "allocate" in error.evalue
    return f"{cause}\nThe memory is used up: {SPARE_MEMORY}" if is_memory else cause


def _failure(cause: str, *, stage: Stage, partial: Path) -> str:
    notebook = nbformat.read(partial, as_version=4)
    heading = heading_above(notebook, _last_cell_run(notebook))
    return (
        f"{stage.key} stopped at the cell under “{heading}”\n{cause}\nPartial notebook: {short_path(partial)}\n{GO_ON}"
    )


def _last_cell_run(notebook: nbformat.NotebookNode) -> int:
    """Index of the code cell at which execution ended; papermill notes when it starts one."""
    started = [
        index for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time")
    ]  # fmt: skip
    return started[-1] if started else 0


@contextlib.contextmanager
def lock(run_folder: Path) -> Iterator[None]:
    """Hold the run folder for one runner; the lock goes when the process does, however it ends."""
    with (run_folder / LOCK_FILE).open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = json.loads(stream.read() or "{}")
            raise RunLocked(
                f"{short_path(run_folder)} is in use by process {holder.get('pid')} on {holder.get('host')}: "
                "wait for it, or give this run another study.name"
            ) from error
        stream.truncate(0)
        stream.write(json.dumps({"pid": os.getpid(), "host": platform.node()}))
        stream.flush()
        yield
