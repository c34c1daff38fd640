"""The run folder: named artefacts, written whole or not at all, read back with their schema checked.

A stage may read what earlier stages wrote and write its own artefacts, nothing else: the data only walks forward.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa
import yaml

from helpers.study import schemas
from helpers.study.errors import GO_ON, NO_SPACE, REMEDIES, StudyError
from helpers.study.parameter_files import load_study, validate
from helpers.study.params import ParameterError, Section, Study
from helpers.study.paths import project_file, short_path

PARAMS_FILE = "params.yaml"
LEFTOVERS = (".*.tmp", ".tmp*")  # of this module, and of safetensors


class ArtefactError(StudyError, ValueError):
    """An artefact that is missing, foreign to the stage, or not as its schema says."""


@dataclass(frozen=True)
class Artefact:
    """One entry of the run folder: its file (or folder, ending in `/`), the stage that writes it, its schema."""

    file: str
    stage: str
    schema: pa.DataFrameSchema | None = None


ARTEFACTS = {
    "cohort": Artefact("cohort.parquet", "01_data_audit", schemas.COHORT),
    "splits": Artefact("splits.parquet", "01_data_audit", schemas.SPLIT),
    "exclusions": Artefact("exclusions.parquet", "01_data_audit", schemas.EXCLUSIONS),
    "exclusions_list": Artefact("exclusions.csv", "01_data_audit"),
    "copies": Artefact("copies.csv", "01_data_audit"),
    "leaks": Artefact("leaks.csv", "01_data_audit"),
    "audit": Artefact("audit.json", "01_data_audit"),
    "split_manifest": Artefact("split_manifest.csv", "01_data_audit"),
    "external": Artefact("external.parquet", "01_data_audit", schemas.EXTERNAL),
    "external_exclusions": Artefact("external_exclusions.parquet", "01_data_audit", schemas.EXTERNAL_EXCLUSIONS),
    "images": Artefact("images.npy", "02_preprocessing"),
    "image_index": Artefact("image_index.parquet", "02_preprocessing", schemas.IMAGE_INDEX),
    "external_images": Artefact("external_images/", "02_preprocessing"),
    "external_index": Artefact("external_index.parquet", "02_preprocessing", schemas.EXTERNAL_INDEX),
    "model": Artefact("model.json", "03_training"),
    "history": Artefact("history.parquet", "03_training", schemas.HISTORY),
    "start_features": Artefact("start_features.npy", "03_training"),
    "predictions": Artefact("predictions.parquet", "03_training", schemas.PREDICTIONS),
    "external_predictions": Artefact("external_predictions.parquet", "03_training", schemas.EXTERNAL_PREDICTIONS),
    "external_start_features": Artefact("external_start_features.npy", "03_training"),
    "checkpoints": Artefact("checkpoints/", "03_training"),
    "metrics": Artefact("metrics.json", "04_evaluation"),
    "tables": Artefact("tables/", "04_evaluation"),
    "external_scores": Artefact("external_scores.parquet", "04_evaluation", schemas.EXTERNAL_SCORES),
    "errors": Artefact("errors.parquet", "05_error_analysis", schemas.ERRORS),
    "saliency": Artefact("saliency.parquet", "05_error_analysis", schemas.SALIENCY),
    "errors_list": Artefact("errors.csv", "05_error_analysis"),
    "review": Artefact("review.csv", "05_error_analysis"),
}


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a temporary file beside `path` to be filled; it gets the name in one step when the block ends.

    Raises
    ------
    OSError
        If it cannot be written; a full disk is named with what to do. What `path` held before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        yield temporary
        if flush:
            os.fsync(handle)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno in NO_SPACE:
            remedy = f"{error.strerror}; {REMEDIES[error.errno]}. {GO_ON}"
            raise OSError(error.errno, remedy, str(path)) from error
        raise
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def _reserve(file: Path) -> None:
    # a mapped file has holes, and the process that fills one of them on a full disk is ended without a word
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)


def write_atomic(path: Path, write: Callable[[IO[bytes]], Any], *, flush: bool = True) -> None:
    """Let `write` fill a file that then replaces `path`, see `replacing`."""
    with replacing(path, flush=flush) as temporary, temporary.open("wb") as stream:
        write(stream)


def remove_leftovers(folder: Path) -> None:
    """Delete what writers that were killed have left half-written; nobody may be writing there."""
    for pattern in LEFTOVERS:
        for file in folder.rglob(pattern):
            file.unlink()


def write_json_atomic(path: Path, content: Any) -> None:
    """Write JSON with sorted keys; NaN and infinity are refused, since JSON has no word for them."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_atomic(path, lambda stream: stream.write(f"{text}\n".encode()))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Run:
    """One run folder as one stage sees it.

    Parameters
    ----------
    folder
        The run folder, existing.
    stage
        The stage that reads and writes, for example ``03_training``; None reads everything and writes nothing.
    """

    def __init__(self, folder: Path, *, stage: str | None = None) -> None:
        self.folder = folder
        self.stage = stage

    def __repr__(self) -> str:
        return f"Run({short_path(self.folder)!r}, stage={self.stage!r})"

    @property
    def study(self) -> Study:
        """The resolved parameters of the run.

        Raises
        ------
        ArtefactError
            If they are not those of this version of the program.
        """
        return _recorded_study(self.folder)

    def path(self, name: str) -> Path:
        """File of an artefact, readable by this stage.

        `tables/x` (a Parquet file) or `checkpoints/x.safetensors` lies in a folder; `checkpoints/` is the folder.
        """
        artefact, file = self._resolve(name)
        if self.stage is not None and artefact.stage > self.stage:
            raise ArtefactError(f"{name} is written by {artefact.stage}, later than {self.stage}: data walks forward")
        return file

    def output(self, name: str) -> Path:
        """File of an artefact that this stage may write; its folder exists afterwards."""
        artefact, file = self._resolve(name)
        if artefact.stage != self.stage:
            raise ArtefactError(f"{name} belongs to {artefact.stage}, it cannot be written by {self.stage}")
        (file if name.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
        return file

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a Parquet artefact and check its schema."""
        artefact, _ = self._resolve(name)
        with self._existing(name) as file:
            return _checked(pd.read_parquet(file), artefact, name)

    def write_table(self, name: str, table: pd.DataFrame) -> Path:
        """Check a table against its schema and write it as Parquet."""
        artefact, _ = self._resolve(name)
        table = _checked(table, artefact, name)
        file = self.output(name)
        write_atomic(file, lambda stream: table.to_parquet(stream, index=False))
        return file

    def read_json(self, name: str) -> Any:
        """Read a JSON artefact."""
        with self._existing(name) as file:
            return json.loads(file.read_text(encoding="utf-8"))

    def write_json(self, name: str, content: Any) -> Path:
        """Write a JSON artefact; equal content gives equal bytes."""
        file = self.output(name)
        write_json_atomic(file, content)
        return file

    def write_text(self, name: str, text: str) -> Path:
        """Write a text artefact in UTF-8."""
        file = self.output(name)
        write_atomic(file, lambda stream: stream.write(text.encode()))
        return file

    def read_array(self, name: str) -> np.ndarray:
        """Open a NumPy artefact memory-mapped and read-only; nothing is unpickled."""
        with self._existing(name) as file:
            return np.load(file, mmap_mode="r", allow_pickle=False)

    @contextlib.contextmanager
    def new_array(self, name: str, *, shape: tuple[int, ...], dtype: str) -> Iterator[np.ndarray]:
        """Give a writable memory-mapped array that gets its name only when the block ends without an error.

        Raises
        ------
        OSError
            If the disk has no room for all of it.
        """
        with replacing(self.output(name)) as temporary:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            _reserve(temporary)
            yield array
            array.flush()  # msync: the data are on disk before the name is

    @contextlib.contextmanager
    def _existing(self, name: str) -> Iterator[Path]:
        file = self.path(name)
        writer = self._resolve(name)[0].stage
        if not file.exists():
            raise ArtefactError(f"{short_path(file)} is missing: run notebook {writer} on this run folder first")
        try:
            yield file
        except ArtefactError:
            raise
        except (ValueError, OSError) as error:  # pyarrow, json and NumPy alike
            raise ArtefactError(f"{short_path(file)} is damaged ({error}): run notebook {writer} again") from error

    def _resolve(self, name: str) -> tuple[Artefact, Path]:
        folder_name, slash, rest = name.partition("/")
        artefact = ARTEFACTS.get(folder_name)
        if artefact is None or bool(slash) != artefact.file.endswith("/") or not _is_inside(rest):
            raise ArtefactError(f"no artefact {name!r}; known: {', '.join(ARTEFACTS)}")
        if not rest:
            return artefact, self.folder / artefact.file
        suffix = "" if "." in Path(rest).name else ".parquet"
        return artefact, self.folder / artefact.file / f"{rest}{suffix}"


def _is_inside(name: str) -> bool:
    """Whether a name in a folder artefact stays in that folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _checked(table: pd.DataFrame, artefact: Artefact, name: str) -> pd.DataFrame:
    if artefact.schema is None:
        return table
    try:
        return artefact.schema.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "failure_case"]].head(5).to_string(index=False)
        raise ArtefactError(f"{name} ({artefact.file}) is not as its schema says:\n{cases}") from error


def open_run(run_dir: str, *sections: Section, stage: str) -> Run:
    """Open (or for the first notebook: create) a run folder for one stage.

    The sections that the notebook was given are recorded in `params.yaml`, so that the file always says what the
    artefacts beside it were made with, also when a notebook is run on its own with other values.

    Parameters
    ----------
    run_dir
        Run folder; a relative path is taken from the project folder.
    sections
        The notebook's own validated parameters.
    stage
        Name of the notebook without its ending.

    Raises
    ------
    ArtefactError
        If a later notebook is pointed at a folder that is not a run.
    """
    folder = project_file(run_dir)
    params_file = folder / PARAMS_FILE
    if not params_file.is_file() and stage != "01_data_audit":
        raise ArtefactError(f"{run_dir} is not a run folder (no {PARAMS_FILE}): run 01_data_audit on it first")
    if params_file.is_file():
        known = _recorded_study(folder)
    else:
        known = validate(Study, {"study": {"name": folder.name}}, origin=f"run_dir {run_dir}")
    record_study(folder, _with_sections(known, sections))
    return Run(folder, stage=stage)


def _recorded_study(folder: Path) -> Study:
    file = folder / PARAMS_FILE
    try:
        return load_study(file)
    except ParameterError as error:
        raise ArtefactError(
            f"{short_path(folder)} cannot be used by this version of the program, which refuses its parameters.\n"
            f"{error}\n"
            "To make the run again, give `study run` the parameter file that it came from; to read it as it is, open "
            "its report.html, or use the version that made it (git commit in provenance.json)"
        ) from error


def record_study(folder: Path, study: Study) -> None:
    """Write `params.yaml` if it would change."""
    text = yaml.safe_dump(study.model_dump(), sort_keys=False, allow_unicode=True)
    file = folder / PARAMS_FILE
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_atomic(file, lambda stream: stream.write(text.encode()))


def _with_sections(study: Study, sections: tuple[Section, ...]) -> Study:
    names = {type(getattr(study, name)): name for name in Study.model_fields}
    try:
        changed = {names[type(section)]: section.model_dump() for section in sections}
    except KeyError as error:
        raise ParameterError(f"{error.args[0].__name__} is not a section of a parameter file") from error
    return validate(Study, {**study.model_dump(), **changed}, origin="parameters of the run")
