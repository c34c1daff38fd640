"""One line for each run folder: when, how far it came, of what cohort, with which result."""

import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.study.artefacts import ARTEFACTS, PARAMS_FILE, ArtefactError, Run
from helpers.study.params import ParameterError, Study
from helpers.study.runner import LOCK_FILE
from helpers.study.stages import STAGES, StageRecord, fingerprints, partial_notebook, read_records

COMPLETE, OUTDATED, BY_HAND, OTHER_VERSION = "complete", "outdated", "by hand", "other version"


@dataclass(frozen=True)
class ListedRun:
    """What is known of a run without opening its notebooks.

    Attributes
    ----------
    name
        Path of its folder below the folder of all runs.
    finished
        When its last finished stage ended, ISO 8601 in UTC; None before the first.
    state
        `complete`; `outdated` where parameters, code or inputs have changed since; the stage that it is at, such as
        `stopped at 03`; `by hand` where no stage was run by `study run`; `other version` where this version of the
        program refuses its parameters or records.
    source
        Kind of cohort, None where the parameters cannot be read.
    n_samples, n_patients
        Size of the cohort; None before the audit.
    accuracy
        Entry of metrics.json for the held-out accuracy; None before the evaluation.
    """

    name: str
    finished: str | None
    state: str
    source: str | None = None
    n_samples: int | None = None
    n_patients: int | None = None
    accuracy: Mapping[str, Any] | None = None


def list_runs(folder: Path) -> list[ListedRun]:
    """All runs in a folder and the rows of its sweeps, by name.

    Files that were changed by hand are not looked for, which would mean to hash every image; `study verify` does.
    """
    found = {file.parent for pattern in ("*", "*/*") for file in folder.glob(f"{pattern}/{PARAMS_FILE}")}
    return [_listed(run_folder, name=run_folder.relative_to(folder).as_posix()) for run_folder in sorted(found)]


def _listed(folder: Path, *, name: str) -> ListedRun:
    try:
        study, records = Run(folder).study, read_records(folder)
    except (ParameterError, ArtefactError):
        return ListedRun(name, finished=None, state=OTHER_VERSION)
    finished = max((record.finished for record in records.values()), default=None)
    size, accuracy = _size(folder), _accuracy(folder)
    return ListedRun(name, finished, _state(folder, study, records=records), study.cohort.source, *size, accuracy)


def _state(folder: Path, study: Study, *, records: Mapping[str, StageRecord]) -> str:
    partial = next((stage.key for stage in STAGES if partial_notebook(folder, stage.key).is_file()), None)
    missing = next((stage.key for stage in STAGES if stage.key not in records), None)
    if _is_running(folder):
        return f"running {_number(partial or missing)}"
    if partial:
        return f"stopped at {_number(partial)}"
    if missing:
        return f"before {_number(missing)}" if records else BY_HAND
    wanted = fingerprints(study)
    return COMPLETE if all(records[key].fingerprint == wanted[key] for key in wanted) else OUTDATED


def _number(key: str | None) -> str:
    return "" if key is None else key.partition("_")[0]


def _is_running(folder: Path) -> bool:
    """Whether a runner holds the lock of the folder; asked without writing into it."""
    file = folder / LOCK_FILE
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _size(folder: Path) -> tuple[int | None, int | None]:
    file = folder / ARTEFACTS["cohort"].file
    if not file.is_file():
        return None, None
    patients = pd.read_parquet(file, columns=["PatientID"])["PatientID"]
    return len(patients), patients.nunique()


def _accuracy(folder: Path) -> Mapping[str, Any] | None:
    file = folder / ARTEFACTS["metrics"].file
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))["overall"]["accuracy"]
    except (ValueError, KeyError, TypeError):  # torn, or of another version: `study verify` says which
        return None
