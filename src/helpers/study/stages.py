"""The stages of a study, and when one of them need not run again.

A stage's fingerprint is a hash of its parameters, the source of the code that it uses, its input files and the
fingerprint of the stage before it. A stage is up to date when the run folder records this fingerprint for it, the
artefacts of earlier stages are those that it was run on, and its outputs still have the recorded hashes.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from helpers.study.artefacts import ARTEFACTS, ArtefactError, file_sha256, write_json_atomic
from helpers.study.params import CohortParams, ParameterError, Study
from helpers.study.paths import phantom_weights, project_file, short_path

RECORDS_FILE = "stages.json"
PACKAGES_FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Stage:
    """One notebook, or the report at the end.

    Parameters
    ----------
    key
        Name of the notebook without its ending; its order is the order of the stages.
    title
        For people.
    sections
        Sections of the parameter file that it is given.
    packages
        Packages under `helpers` that it is the first to use; earlier ones are covered by the chain of fingerprints.
    """

    key: str
    title: str
    sections: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def is_notebook(self) -> bool:
        """Whether papermill runs it; the report is built by a function."""
        return self.key != REPORT_KEY

    def outputs(self, run_folder: Path) -> list[Path]:
        """Files of this stage that exist in the run folder, sorted."""
        found = [run_folder / "report.html"] if not self.is_notebook else [executed_notebook(run_folder, self.key)]
        for artefact in ARTEFACTS.values():
            if artefact.stage == self.key:
                path = run_folder / artefact.file
                found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return [path for path in found if path.is_file()]


REPORT_KEY = "report"
STAGES = (
    Stage("01_data_audit", "Data audit", ("cohort", "external", "splits"), ("study", "phantom", "cohort")),
    Stage("02_preprocessing", "Preprocessing", ("preprocessing",), ("preprocessing",)),
    Stage("03_training", "Transfer-learning training", ("training",), ("training",)),
    Stage("04_evaluation", "Confusion-matrix evaluation", ("evaluation",), ("evaluation",)),
    Stage("05_error_analysis", "Error analysis", ("error_analysis",), ("error_analysis",)),
    Stage(REPORT_KEY, "Report", ("study",), ("reporting",)),
)


def find_stage(name: str) -> Stage:
    """The stage called `name`: ``03``, ``03_training`` or ``training``."""
    for stage in STAGES:
        number, _, words = stage.key.partition("_")
        if name and name in (stage.key, number, words):
            return stage
    raise ParameterError(f"no stage {name!r}; stages: {', '.join(stage.key for stage in STAGES)}")


def notebook_source(key: str) -> Path:
    """The notebook in the project that a stage executes."""
    return project_file(f"notebooks/{key}.ipynb")


def executed_notebook(run_folder: Path, key: str) -> Path:
    """The executed copy of a stage's notebook in the run folder."""
    return run_folder / "notebooks" / f"{key}.ipynb"


def partial_notebook(run_folder: Path, key: str) -> Path:
    """A stage's notebook while it is executed, and after it stopped before its end; gone once it has finished."""
    return run_folder / "notebooks" / f"{key}.partial.ipynb"


@dataclass(frozen=True)
class StageRecord:
    """What the run folder knows of a finished stage.

    Parameters
    ----------
    fingerprint
        As `fingerprints` gives it, when the stage ran.
    outputs
        SHA-256 of every output by its path in the run folder.
    seconds
        How long it took.
    finished
        When, in UTC.
    inputs
        As `input_hash` gives it, when the stage ran.
    """

    fingerprint: str
    outputs: dict[str, str]
    seconds: float
    finished: str
    inputs: str = ""


def read_records(run_folder: Path) -> dict[str, StageRecord]:
    """Records of the finished stages; empty for a new run folder.

    Raises
    ------
    ArtefactError
        If the file is damaged, or was written by another version of this program.
    """
    file = run_folder / RECORDS_FILE
    if not file.is_file():
        return {}
    try:
        return {key: StageRecord(**value) for key, value in json.loads(file.read_text(encoding="utf-8")).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{short_path(file)} is damaged ({error}): remove it, and every stage runs again"
        ) from error


def write_records(run_folder: Path, records: dict[str, StageRecord]) -> None:
    """Replace the records of a run folder."""
    write_json_atomic(run_folder / RECORDS_FILE, {key: asdict(record) for key, record in records.items()})


def fingerprints(study: Study) -> dict[str, str]:
    """Fingerprint of every stage under the given parameters, code and input files."""
    chained, result = "", {}
    for stage in STAGES:
        parts = [chained, *(getattr(study, name).model_dump_json() for name in stage.sections)]
        parts += [package_digest(package) for package in stage.packages]
        if stage.is_notebook:
            parts.append(_notebook_digest(notebook_source(stage.key)))
        if "cohort" in stage.sections:
            parts.append(_input_digest(study))
        if "training" in stage.sections:
            parts.append(_weights_digest(study))
        if "study" in stage.sections:
            parts += [_file_digest(study.study.ablation), _file_digest(study.study.card)]
        chained = result[stage.key] = _digest("\n".join(parts).encode())
    return result


def output_hashes(stage: Stage, run_folder: Path) -> dict[str, str]:
    """SHA-256 of every output of a stage, by its path in the run folder."""
    return {path.relative_to(run_folder).as_posix(): _known_sha256(path) for path in stage.outputs(run_folder)}


def input_hash(stage: Stage, run_folder: Path) -> str:
    """Hash of all that earlier stages have written.

    Executed notebooks tell the time and so differ between equal runs; they are inputs of the report alone.
    """
    hashes: dict[str, str] = {}
    for earlier in STAGES[: STAGES.index(stage)]:
        hashes |= output_hashes(earlier, run_folder)
        if stage.is_notebook:
            hashes.pop(executed_notebook(run_folder, earlier.key).relative_to(run_folder).as_posix(), None)
    return _digest(json.dumps(hashes, sort_keys=True).encode())


def why_stale(stage: Stage, run_folder: Path, *, record: StageRecord | None, fingerprint: str) -> str | None:
    """Why a stage has to run, in words; None when it is up to date."""
    if record is None:
        return "not run yet"
    if record.fingerprint != fingerprint:
        return "parameters, code or inputs changed"
    if record.inputs != input_hash(stage, run_folder):
        return "artefacts of earlier stages changed"
    if output_hashes(stage, run_folder) != record.outputs:
        return "its artefacts were changed or removed since"
    return None


def remove_outputs(stage: Stage, run_folder: Path) -> None:
    """Delete all that a stage has written, so that nothing of it can be used again."""
    for path in stage.outputs(run_folder):
        path.unlink()
    for artefact in ARTEFACTS.values():
        if artefact.stage == stage.key and artefact.file.endswith("/"):
            shutil.rmtree(run_folder / artefact.file, ignore_errors=True)


def _known_sha256(path: Path) -> str:
    """Hash a file once for as long as its size and time stay; images and checkpoints are asked for several times."""
    facts = path.stat()
    return _sha256_of(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, _size: int, _time_ns: int) -> str:
    return file_sha256(path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def package_digest(package: str) -> str:
    """Hash of the source files of a package under `helpers`."""
    folder = PACKAGES_FOLDER / package
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return _digest("".join(f"{p.relative_to(folder)} {file_sha256(p)}\n" for p in files).encode())


def _notebook_digest(path: Path) -> str:
    if not path.is_file():
        raise ParameterError(f"{short_path(path)} is missing: run this command in the project folder")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    # a notebook file holds the text of a cell whole or as a list of lines
    return _digest(json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells]).encode())


def _input_digest(study: Study) -> str:
    """The user's cohorts by names, sizes and times of their files; a simulated cohort is told by its parameters."""
    cohorts = (study.cohort, *study.external.external)
    return "".join(_cohort_digest(cohort) for cohort in cohorts if cohort.source != "phantom")


def _cohort_digest(cohort: CohortParams) -> str:
    folder = project_file(cohort.folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else []
    listing = "".join(f"{p.relative_to(folder)} {p.stat().st_size} {p.stat().st_mtime_ns}\n" for p in files)
    labels = None if cohort.labels is None else project_file(cohort.labels)
    return _digest(listing.encode()) + (file_sha256(labels) if labels is not None and labels.is_file() else "")


def _file_digest(path: str | None) -> str:
    file = None if path is None else project_file(path)
    return file_sha256(file) if file is not None and file.is_file() else ""


def _weights_digest(study: Study) -> str:
    training = study.training
    file = phantom_weights(training.backbone) if training.weights == "phantom" else project_file(training.weights)
    return file_sha256(file) if file.is_file() else ""
