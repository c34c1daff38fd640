"""Train the rows of a sweep: each is a run folder that the notebooks fill, up to the predictions.

A row is an ordinary run, so that it is resumed, recorded and looked at like any other, and no training code exists
twice. Rows that read and cut the same images share them: a stage that another row has finished with the same
fingerprint is taken over by hard links.
"""

import shutil
from pathlib import Path
from typing import Optional

import nbformat

from helpers.reporting import build_report
from helpers.study.artefacts import ArtefactError
from helpers.study.paths import short_path
from helpers.study.progress import Screen
from helpers.study.runner import Plan, RunLocked, StageError, lock, run_study
from helpers.study.stages import (
    STAGES,
    Stage,
    find_stage,
    fingerprints,
    partial_notebook,
    read_records,
    remove_outputs,
    why_stale,
    write_records,
)
from helpers.sweep.variations import Row, Sweep

LAST = find_stage("03_training")
ROW_STAGES = STAGES[: STAGES.index(LAST) + 1]
SHARED_STAGES = ROW_STAGES[:-1]


def run_rows(sweep: Sweep, folder: Path, *, screen: Screen, only: Optional[str] = None) -> dict[str, str]:
    """Bring rows up to date; one that fails does not stop the others.

    Parameters
    ----------
    sweep
        The rows.
    folder
        `runs/<name of the sweep>`; made if absent. Each row gets a run folder in it.
    screen
        Where progress is shown.
    only
        Name of the one row to train; by default all.

    Returns
    -------
    Why a row has no result, by its name: what went wrong, or of a row that was not asked for what `row_problem` says.

    Raises
    ------
    ParameterError
        If there is no row `only`.
    RunLocked
        If another process works on the sweep.
    """
    wanted = sweep.rows if only is None else (sweep.row(only),)
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        problems = {row.name: row_problem(row, folder) for row in sweep.rows if row not in wanted}
        problems |= {row.name: _run_row(row, folder, screen=screen) for row in wanted}
    return {name: problem for name, problem in problems.items() if problem is not None}


def _run_row(row: Row, folder: Path, *, screen: Screen) -> str | None:
    screen.say(f"Row {row.name}: {row.reason}", style="bold")
    try:
        _take_over(row, folder)
        run_study(row.study, folder / row.name, screen=screen, build_report=build_report, plan=Plan(last=LAST))
    except (StageError, ArtefactError, RunLocked) as error:
        screen.say(str(error), style="red")
        return ": ".join(str(error).splitlines()[:2])  # where it stopped and why
    return None


def row_problem(row: Row, folder: Path) -> str | None:
    """Why a row has no predictions of these parameters and this code, in words; None when it has.

    Parameters
    ----------
    row
        The row.
    folder
        `runs/<name of the sweep>`.
    """
    run_folder = folder / row.name
    wanted, records = fingerprints(row.study), read_records(run_folder)
    for stage in ROW_STAGES:
        if partial_notebook(run_folder, stage.key).is_file():
            return f"{stage.key} stopped: {_last_error(partial_notebook(run_folder, stage.key))}"
        reason = why_stale(stage, run_folder, record=records.get(stage.key), fingerprint=wanted[stage.key])
        if reason is not None:
            return f"{stage.key}: {reason}"
    return None


def _last_error(notebook: Path) -> str:
    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except (ValueError, nbformat.ValidationError):  # torn where the process was killed
        cells = []
    errors = [o for cell in cells for o in cell.get("outputs", []) if o.output_type == "error"]
    return f"{errors[-1].ename}: {errors[-1].evalue}" if errors else f"see {short_path(notebook)}"


def _take_over(row: Row, folder: Path) -> None:
    """Link what other rows have finished for the same images, as far as it goes."""
    run_folder = folder / row.name
    wanted, records = fingerprints(row.study), read_records(run_folder)
    donors = sorted(path for path in folder.iterdir() if path.is_dir() and path != run_folder)
    for stage in SHARED_STAGES:
        if _is_finished(stage, run_folder, fingerprint=wanted[stage.key]):
            continue
        donor = next((path for path in donors if _is_finished(stage, path, fingerprint=wanted[stage.key])), None)
        if donor is None:
            return
        remove_outputs(stage, run_folder)
        for file in stage.outputs(donor):
            _link(file, run_folder / file.relative_to(donor))
        records[stage.key] = read_records(donor)[stage.key]
        write_records(run_folder, records)


def _is_finished(stage: Stage, run_folder: Path, *, fingerprint: str) -> bool:
    record = read_records(run_folder).get(stage.key)
    return why_stale(stage, run_folder, record=record, fingerprint=fingerprint) is None


def _link(source: Path, target: Path) -> None:
    """One file under two names: artefacts are replaced, never written into, so neither row can change the other's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
