"""A tiny project with five notebooks that write what the real ones write, in a second each."""

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rich.console import Console

from helpers.study import ParameterError, Study, load_study
from helpers.study.progress import Screen
from helpers.study.runner import Plan, run_study

PARAMETERS = {
    "01_data_audit": "phantom_seed = 2024\nn_folds = 5",
    "02_preprocessing": "spacing_mm = 0.5",
    "03_training": "epochs = 10",
    "04_evaluation": "n_bootstrap = 2000",
    "05_error_analysis": "n_gallery = 12",
}
WORK = {
    "01_data_audit": "(folder / 'audit.json').write_text(str(phantom_seed))",
    "02_preprocessing": "(folder / 'images.npy').write_text(str(spacing_mm))",
    "03_training": (
        "(folder / 'checkpoints').mkdir(exist_ok=True)\n"
        "kept = (folder / 'checkpoints' / 'fold0.resume').exists()\n"
        "(folder / 'checkpoints' / 'fold0.resume').write_text('')\n"
        "(folder / 'training.txt').write_text('went on' if kept else 'from nothing')\n"
        "(folder / 'predictions.parquet').write_text(str(epochs))"
    ),
    "04_evaluation": "(folder / 'metrics.json').write_text((folder / 'predictions.parquet').read_text())",
    "05_error_analysis": "(folder / 'errors.parquet').write_text(str(n_gallery))",
}


@dataclass(frozen=True)
class Project:
    """A project folder in which tests may change notebooks."""

    folder: Path

    def write_notebook(self, key: str, work: str) -> None:
        """Replace the work of a notebook; the code stands under the heading `2 Work`."""
        cells = [
            new_markdown_cell(f"# {key}"),
            new_code_cell("from pathlib import Path"),
            new_code_cell(f"run_dir = 'runs/default'\n{PARAMETERS[key]}", metadata={"tags": ["parameters"]}),
            new_markdown_cell("## 1 Open\nSome words."),
            new_code_cell("folder = Path(run_dir)"),
            new_markdown_cell("Now to\n\n## 2 Work"),
            new_code_cell(work),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, self.folder / "notebooks" / f"{key}.ipynb")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The tiny project, with the working folder in it."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


def make_project(folder: Path) -> Project:
    (folder / "notebooks").mkdir()
    (folder / "pyproject.toml").touch()
    project = Project(folder)
    for key, work in WORK.items():
        project.write_notebook(key, work)
    return project


@dataclass(frozen=True)
class Outcome:
    """What a run of the tiny project did and said."""

    ran: list[str]
    text: str


def run_default(changes: dict | None = None, *, plan: Plan | None = None) -> Outcome:
    """Run the tiny project's study in the working folder; its report is the text of the metrics."""
    console = Console(file=io.StringIO(), width=200)
    folder = Path("runs/default").resolve()
    study = Study.model_validate(changes or {})
    ran = run_study(study, folder, screen=Screen(console), build_report=build_report, plan=plan or Plan())
    return Outcome(ran, console.file.getvalue())


def build_report(run_folder: Path) -> Path:
    report = run_folder / "report.html"
    report.write_text((run_folder / "metrics.json").read_text())
    return report


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Run the study of the working folder."""
    return run_default


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A project folder with a complete run; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("finished")
    make_project(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, run_default()


@pytest.fixture
def finished(finished_once: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of a project with a complete run, with the working folder in it."""
    shutil.copytree(finished_once[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def load(tmp_path: Path):
    """Load YAML text as a parameter file."""

    def load_text(text: str, **options: Any) -> Study:
        file = tmp_path / "study.yaml"
        file.write_text(text, encoding="utf-8")
        return load_study(file, **options)

    return load_text


@pytest.fixture
def complaint(load):
    """The message about YAML text that must not be accepted."""

    def message(text: str, **options: Any) -> str:
        with pytest.raises(ParameterError) as caught:
            load(text, **options)
        return str(caught.value)

    return message
