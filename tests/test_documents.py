"""README and the other documents are finished, and the commands in them can be pasted.

Every command is parsed by the program that it calls, and stands in exactly one of these tables:

- `WITH_STAND_INS` and `ON_FINISHED_RUNS` are run here as they stand, in a small project: its notebooks do nothing, its
  runs are fabricated, and a simulated cohort has three images.
- `IN_THE_REPOSITORY` are run here, where a user would.
- `RUN_ELSEWHERE` need a kernel, a browser or a training, and are run in small by the tests that are named.
- `ONLY_PARSED` are not run by any test, for the reason that is given.

Those of "your own cohort" are also run in order, and print what README shows.
"""

import importlib.util
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType

import nbformat
import pandas as pd
import papermill
import pytest
from distributed.cli import dask_scheduler, dask_worker
from nbdime import nbdiffapp
from nbdime.diffing.notebooks import reset_notebook_differ
from nbformat.v4 import new_code_cell, new_notebook
from papermill.__main__ import papermill as papermill_command

from helpers import cli, reporting
from helpers.phantom import CLASS_KEYS, PhantomSpec, simulate_cohort
from helpers.reporting.export import COHORT_COLUMNS
from helpers.runs import verification
from helpers.study import ParameterError, Study, load_study
from helpers.study.stages import STAGES, find_stage
from helpers.sweep import load_sweep

REPOSITORY = Path(__file__).parents[1]
COMMANDS = "run|check|report|phantom|status|sweep|list|compare|verify|export|register-weights"
OWN_PARAMS = {"params/my_cohort.yaml": "params/dicom.example.yaml"}  # the copy that README tells to make
WITH_STAND_INS = {"cp", "study check", "study run"}
ON_FINISHED_RUNS = {
    "study status", "study list", "study report", "study compare", "study verify", "study export", "study phantom",
    "nbdiff",
}  # fmt: skip
IN_THE_REPOSITORY = {"git", "make help"}
RUN_ELSEWHERE = {
    "study sweep": "tests/test_study.py::test_a_sweep_trains_its_rows_compares_them_and_goes_on_from_there",
    "study register-weights": "tests/training/test_registry.py::"
    "test_registered_backbone_comes_back_with_its_input_and_licence",
    "papermill": "tests/test_study.py::test_one_notebook_runs_by_plain_papermill_and_the_run_says_so",
    "dask scheduler": "tests/conftest.py::_dask_cluster",
    "dask worker": "tests/conftest.py::_dask_cluster",
    "make study": "tests/test_study.py::TestSmoke",
    "make lab": "tests/test_lab.py::test_all_cells_run_without_an_error",
}
ONLY_PARSED = {
    "python": "benchmarks take minutes to hours, and some need data that are not ours to pass on",
    "conda": "downloads an environment",
    "make env": "downloads 5 GB",
    "make lock": "asks the package registry",
    "make test": "is this suite",
    "make check": "is this suite",
    "make docs": "imports and writes all modules, for a minute",
}

DOCUMENTS = sorted(
    str(path.relative_to(REPOSITORY))
    for folder in (REPOSITORY, REPOSITORY / "docs")
    for path in folder.glob("*.md")
    if path.name != "CHANGELOG.md"  # speaks of commands, and gives none to paste
)


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """Commands to paste: lines of code blocks after a prompt or with our programs, and those within sentences."""
    lines = re.findall(r"^ *\$ (.+)$|^ *((?:[A-Z_]+=\S+ )*\.venv/bin/.+)$", text, re.M)
    within = re.findall(r"(?<!`)`((?:[A-Z_]+=\S+ )*(?:\.venv/bin/|make |conda )[^`]+)`", text)
    return [" ".join(re.sub(r"\s#\s.*", "", found).split()) for found in [*map("".join, lines), *within]]


ALL_COMMANDS = sorted({command for name in DOCUMENTS for command in commands(read(name))})


def split_command(command: str) -> tuple[str, list[str]]:
    """Name of the program, and its arguments; variables of the environment before it are left out."""
    program, *arguments = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=\S+$", word)]
    return Path(program).name, arguments


def head(command: str) -> str:
    program, arguments = split_command(command)
    return f"{program} {arguments[0]}" if program in ("study", "make", "dask") else program


def parse_study(arguments: list[str]) -> None:
    options = vars(cli._parser().parse_args(arguments))
    if "params" in options:
        load_study(REPOSITORY / OWN_PARAMS.get(options["params"], options["params"]), overrides=options["overrides"])
    for name in ("first", "only"):
        if arguments[0] == "run" and options[name]:
            find_stage(options[name])
    if "file" in options:
        load_sweep(str(REPOSITORY / options["file"]))


def parse_make(arguments: list[str]) -> None:
    subprocess.run(["make", "-n", *arguments], cwd=REPOSITORY, check=True, capture_output=True)


def parse_python(arguments: list[str]) -> None:
    script = read(arguments[0])
    assert [word for word in arguments[1:] if word.startswith("--") and f'"{word}"' not in script] == []


def parse_papermill(arguments: list[str]) -> None:
    parsed = papermill_command.make_context("papermill", list(arguments)).params
    asked = {stage.key: stage for stage in STAGES}[Path(parsed["notebook_path"]).stem]
    fields = {name for section in asked.sections for name in type(getattr(Study(), section)).model_fields}
    assert {name for name, _ in parsed["parameters"]} <= {"run_dir", *fields}


def parse_dask(arguments: list[str]) -> None:
    {"scheduler": dask_scheduler, "worker": dask_worker}[arguments[0]].main.make_context("dask", arguments[1:])


def parse_files(arguments: list[str]) -> None:
    """Of `cp`, `git diff` and `conda env create`: the files that are named are there, but for what `cp` makes."""
    named = [word for word in arguments if "/" in word or word.endswith(".yml")]
    assert [word for word in named if word not in OWN_PARAMS and not (REPOSITORY / word).is_file()] == []


PARSERS: dict[str, Callable[[list[str]], object]] = {
    "study": parse_study,
    "make": parse_make,
    "python": parse_python,
    "papermill": parse_papermill,
    "dask": parse_dask,
    "nbdiff": nbdiffapp._build_arg_parser().parse_args,
    "cp": parse_files,
    "git": parse_files,
    "conda": parse_files,
}


def of(heads: set[str]) -> list[str]:
    """The commands of the documents that begin so."""
    return [command for command in ALL_COMMANDS if head(command) in heads]


def execute(command: str) -> int | None:
    """Run a command in this process; the exit status, which for nbdiff is none."""
    program, arguments = split_command(command)
    programs = {"study": cli.main, "nbdiff": nbdiffapp.main, "cp": lambda paths: int(not shutil.copy(*paths))}
    return programs[program](arguments)


@pytest.fixture(autouse=True)
def restore_nbdime() -> Iterator[None]:
    """Options of nbdiff stay set for the process, and notebooks of runs are compared in it too."""
    yield
    reset_notebook_differ()


class TestCommands:
    def test_they_are_found(self):
        assert {".venv/bin/study list", "make study", "make help", ".venv/bin/study phantom --out DIR"} <= set(
            ALL_COMMANDS
        )

    @pytest.mark.parametrize("command", ALL_COMMANDS)
    def test_the_program_takes_it(self, command):
        program, arguments = split_command(command)
        PARSERS[program](arguments)

    @pytest.mark.parametrize(
        "command", [".venv/bin/study rum x", ".venv/bin/study run params/default.yaml --set a.b=1"]
    )
    def test_one_that_no_parser_takes_is_found_out(self, command):
        with pytest.raises((SystemExit, ParameterError)):
            parse_study(split_command(command)[1])

    def test_each_stands_in_one_table(self):
        tables = [WITH_STAND_INS, ON_FINISHED_RUNS, IN_THE_REPOSITORY, RUN_ELSEWHERE, ONLY_PARSED]
        assert sorted(chain(*tables)) == sorted({head(command) for command in ALL_COMMANDS})

    @pytest.mark.parametrize("place", sorted(set(RUN_ELSEWHERE.values())))
    def test_where_it_is_run_there_is_a_test(self, place):
        file, name = place.split("::")
        assert re.search(rf"^ *(def|class) {name}\b", read(file), re.M)


def shown_session(section: str) -> list[tuple[str, list[str]]]:
    """Commands of the code blocks, each with the output that is shown below it."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", section, re.M | re.S)
    session: list[tuple[str, list[str]]] = []
    for line in "".join(map(textwrap.dedent, blocks)).splitlines():
        if line.startswith("$ "):
            session.append((line[2:], []))
        else:
            session[-1][1].append(line)
    return session


@pytest.fixture
def own_project(tmp_path, monkeypatch) -> Path:
    """A project with the files that README asks for, of 60 invented cases, and notebooks that are not executed."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    (tmp_path / "reports").mkdir()
    shutil.copy(REPOSITORY / "reports" / "ablation.parquet", tmp_path / "reports")
    for stage in STAGES:
        nbformat.write(new_notebook(), tmp_path / "notebooks" / f"{stage.key}.ipynb")
    table = ["file,PatientID,label,level,center_x_mm,center_y_mm,center_z_mm"]
    for number, label in enumerate(["compression", "burst", "normal"] * 20, start=1):
        image = tmp_path / "data" / "my_cohort" / f"case{number:02d}" / "image"
        image.parent.mkdir(parents=True)
        image.touch()
        table.append(f"case{number:02d},{number},{label},L1,-4.2,31.0,812.5")
    table.append("case61,61,burst,L1,-4.2,31.0,812.5")
    (tmp_path / "data" / "my_cohort" / "labels.csv").write_text("\n".join(table))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(papermill, "execute_notebook", lambda source, target, **_: shutil.copy(source, target))
    monkeypatch.setattr(reporting, "build_report", build_nothing)
    return tmp_path


@pytest.mark.parametrize("command", of(WITH_STAND_INS))
def test_it_runs_with_stand_ins(own_project, command):
    for copy, example in OWN_PARAMS.items():
        shutil.copy(example, copy)
    assert execute(command) == 0


@pytest.fixture(scope="module")
def finished_project(tmp_path_factory) -> Iterator[Path]:
    """A project with the complete runs `default` and `my_cohort`, and released numbers of the first."""
    project = tmp_path_factory.mktemp("finished")
    (project / "pyproject.toml").touch()
    shutil.copytree(REPOSITORY / "notebooks", project / "notebooks")
    fabricated = runs_conftest()
    for name in ("default", "my_cohort"):
        complete_tables(fabricated.fabricated_run(project / "runs" / name))
        fabricated.write_stages(project / "runs" / name)
    (project / "reports").mkdir()
    shutil.copy(project / "runs" / "default" / "metrics.json", project / "reports" / "default_metrics.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setattr(verification, "Findings", fabricated.remembered_findings)
        patch.setattr(cli, "simulate_cohort", simulate_three)
        yield project


def runs_conftest() -> ModuleType:
    """The module whose `fabricated_run` makes small complete runs."""
    spec = importlib.util.spec_from_file_location("fabricated", REPOSITORY / "tests" / "runs" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complete_tables(run: Path) -> None:
    """Add what `study export` reads besides."""
    cohort = pd.read_parquet(run / "cohort.parquet")
    cohort.reindex(columns=list(dict.fromkeys([*cohort, *COHORT_COLUMNS, "PatientAge", "study_day"]))).astype(
        {"study_day": float}
    ).to_parquet(run / "cohort.parquet")
    cohort[["sample_id"]].assign(fold=0, split="test").to_parquet(run / "splits.parquet")


def simulate_three(spec: PhantomSpec, folder: Path, **options) -> Path:
    return simulate_cohort(replace(spec, images=dict.fromkeys(CLASS_KEYS, 1), patients=3), folder, **options)


@pytest.mark.parametrize("command", of(ON_FINISHED_RUNS))
def test_it_runs_on_finished_runs(finished_project, command):
    assert not execute(command)


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs a clone")
@pytest.mark.parametrize("command", of(IN_THE_REPOSITORY))
def test_it_runs_in_the_repository(command):
    subprocess.run(shlex.split(command), cwd=REPOSITORY, check=True, capture_output=True)


def build_nothing(run_folder: Path) -> Path:
    report = run_folder / "report.html"
    report.touch()
    return report


def without_numbers(lines: list[str]) -> list[str]:
    """Lines that stay on a terminal, each number and time as N; progress is rewritten there."""
    return [re.sub(r"(\d+ min )?\d+", "N", line) for line in lines if line and " · " not in line]


def test_the_way_to_an_own_cohort_prints_what_readme_shows(own_project, capsys):
    section = read("README.md").split("\n## Your own cohort\n")[1].split("\n## ")[0]
    session = shown_session(section)
    assert [head(command) for command, _ in session] == [
        "cp", "study check", "study run", "study report", "study run",
    ]  # fmt: skip
    for command, shown in session:
        assert execute(command) == 0
        assert without_numbers(capsys.readouterr().out.splitlines()) == without_numbers(shown)


def test_nbdiff_shows_the_line_that_changed(tmp_path, capsys):
    for name, source in (("a", "x = 1"), ("b", "x = 2")):
        nbformat.write(new_notebook(cells=[new_code_cell(source, id="one")]), tmp_path / f"{name}.ipynb")
    nbdiffapp.main(["--sources", "--no-color", str(tmp_path / "a.ipynb"), str(tmp_path / "b.ipynb")])
    assert re.search(r"source:\n- +x = 1\n\+ +x = 2", capsys.readouterr().out)


@pytest.mark.parametrize("name", DOCUMENTS)
class TestDocument:
    def test_no_placeholder_is_left(self, name):
        assert re.findall(r"^[A-Z][A-Z_ ]+$", read(name), re.M) == []

    def test_every_command_names_its_environment(self, name):
        assert re.findall(rf"(?<!\.venv/bin/)\bstudy (?:{COMMANDS})\b", read(name)) == []

    def test_every_file_that_is_linked_exists(self, name):
        files = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(name)))
        folder = (REPOSITORY / name).parent
        assert [file for file in sorted(files) if not (folder / file).exists()] == []
