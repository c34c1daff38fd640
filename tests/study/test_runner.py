"""The papermill runner on tiny notebooks with real kernels: order, skipping, forcing, failures, locks."""

import errno
import json
import os
import platform
from pathlib import Path

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from rich.console import Console

from helpers.study import ParameterError, Study, TrainingParams, load_study, progress, runner
from helpers.study.errors import GO_ON
from helpers.study.progress import Screen
from helpers.study.runner import Plan, RunLocked, StageError, heading_above, lock, run_study
from helpers.study.stages import STAGES, find_stage

KEYS = [stage.key for stage in STAGES]
RUN = Path("runs/default")
DEFAULT_EPOCHS = str(TrainingParams().epochs)


def journal() -> list[dict]:
    return [json.loads(line) for line in (RUN / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


def only(name: str, *, force: bool = False) -> Plan:
    return Plan(only=find_stage(name), force=force)


class TestFirstRun:
    def test_runs_all_stages_in_order(self, finished_once, finished):
        assert finished_once[1].ran == KEYS
        events = [(entry["stage"], entry["event"]) for entry in journal()]
        assert events == [(key, event) for key in KEYS for event in ("started", "done")]

    def test_says_when_each_stage_is_done(self, finished_once):
        lines = finished_once[1].text.splitlines()
        for key in KEYS:
            assert any(line.startswith(f"  {key:<18} done in ") and line.endswith("(not run yet)") for line in lines)

    def test_parameters_reach_the_notebook_and_are_recorded(self, finished):
        assert (RUN / "predictions.parquet").read_text() == DEFAULT_EPOCHS
        assert load_study(RUN / "params.yaml") == Study()
        notebook = nbformat.read(RUN / "notebooks" / "03_training.ipynb", as_version=4)
        injected = [cell.source for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
        assert len(injected) == 1
        assert 'run_dir = "runs/default"' in injected[0]
        assert "learning_rate = 0.001" in injected[0]

    def test_provenance_and_executed_notebooks_are_kept(self, finished):
        assert json.loads((RUN / "provenance.json").read_text())["seeds"]["training"] == [0]
        notebooks = sorted(file.name for file in (RUN / "notebooks").iterdir())
        assert notebooks == [f"{key}.ipynb" for key in KEYS[:-1]]

    def test_project_notebooks_stay_without_outputs(self, finished):
        for key in KEYS[:-1]:
            cells = nbformat.read(Path("notebooks") / f"{key}.ipynb", as_version=4).cells
            assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells)


class TestSkipping:
    def test_nothing_changed_runs_nothing(self, finished, run):
        outcome = run()
        assert outcome.ran == []
        assert outcome.text.count("up to date") == len(STAGES)
        assert [entry["event"] for entry in journal()[-len(STAGES) :]] == ["skipped"] * len(STAGES)

    def test_evaluation_parameters_run_evaluation_and_later_stages(self, finished, run):
        assert run({"evaluation": {"n_bootstrap": 100}}).ran == ["04_evaluation", "05_error_analysis", "report"]
        assert load_study(RUN / "params.yaml").evaluation.n_bootstrap == 100

    def test_title_builds_the_report_alone(self, finished, run):
        assert run({"study": {"title": "another"}}).ran == ["report"]

    def test_tampered_artefact_is_made_again_and_later_stages_need_not_run(self, finished, run):
        (RUN / "predictions.parquet").write_text("999")
        outcome = run()
        assert outcome.ran == ["03_training", "report"]
        assert (RUN / "predictions.parquet").read_text() == DEFAULT_EPOCHS

    def test_stage_run_alone_on_old_inputs_runs_again_after_them(self, finished, run):
        more = {"training": {"epochs": 20}}
        assert run(more, plan=only("evaluation")).ran == ["04_evaluation"]
        assert (RUN / "metrics.json").read_text() == DEFAULT_EPOCHS
        assert "04_evaluation" in run(more).ran
        assert (RUN / "metrics.json").read_text() == "20"


class TestForcing:
    def test_only_considers_one_stage(self, finished, run):
        (RUN / "audit.json").unlink()
        (RUN / "errors.parquet").unlink()
        assert run(plan=only("report")).ran == ["report"]  # its inputs changed
        assert run(plan=only("report")).ran == []
        assert not (RUN / "audit.json").exists()

    def test_last_ends_the_plan(self):
        keys = [stage.key for stage in Plan(last=find_stage("03")).stages()]
        assert keys == ["01_data_audit", "02_preprocessing", "03_training"]

    def test_forced_stage_starts_from_nothing(self, finished, run):
        assert (RUN / "training.txt").read_text() == "from nothing"
        (RUN / "predictions.parquet").unlink()
        run(plan=only("training"))
        assert (RUN / "training.txt").read_text() == "went on"
        assert run(plan=only("training", force=True)).ran == ["03_training"]
        assert (RUN / "training.txt").read_text() == "from nothing"

    def test_from_runs_a_stage_and_all_later_ones(self, finished, run):
        outcome = run(plan=Plan(first=find_stage("05")))
        assert outcome.ran == ["05_error_analysis", "report"]
        assert "(asked for)" in outcome.text

    def test_force_means_every_stage(self):
        assert all(Plan(force=True).forces(stage) for stage in STAGES)
        assert Plan(force=True).stages() == STAGES


class TestFailure:
    @pytest.fixture
    def message(self, finished, run) -> str:
        finished.write_notebook("04_evaluation", "(folder / 'metrics.json').write_text('half')\nundefined_name")
        with pytest.raises(StageError) as caught:
            run({"evaluation": {"n_bootstrap": 100}})
        return str(caught.value)

    def test_names_stage_heading_error_and_partial_notebook(self, message):
        assert "04_evaluation stopped at the cell under “2 Work”" in message
        assert "NameError: name 'undefined_name' is not defined" in message
        assert "Partial notebook: runs/default/notebooks/04_evaluation.partial.ipynb" in message

    def test_partial_notebook_shows_the_error(self, message):
        notebook = nbformat.read(RUN / "notebooks" / "04_evaluation.partial.ipynb", as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert [output.ename for output in outputs if output.output_type == "error"] == ["NameError"]

    def test_is_written_to_the_journal(self, message):
        last = journal()[-1]
        assert (last["stage"], last["event"], last["error"]) == ("04_evaluation", "failed", "StageError")

    def test_keeps_what_was_computed_and_goes_on_from_there(self, message, finished, run):
        assert (RUN / "predictions.parquet").read_text() == DEFAULT_EPOCHS
        assert (RUN / "notebooks" / "04_evaluation.ipynb").is_file()
        finished.write_notebook("04_evaluation", "(folder / 'metrics.json').write_text('mended')")
        assert run({"evaluation": {"n_bootstrap": 100}}).ran == ["04_evaluation", "05_error_analysis", "report"]
        assert (RUN / "report.html").read_text() == "mended"
        assert not list((RUN / "notebooks").glob("*.partial.ipynb"))

    def test_dead_kernel_is_explained(self, finished, run):
        finished.write_notebook("05_error_analysis", "import os\nos.write(2, b'no memory')\nos.kill(os.getpid(), 9)")
        with pytest.raises(StageError, match="The kernel died") as caught:
            run()
        assert "05_error_analysis stopped at the cell under “2 Work”" in str(caught.value)
        assert (RUN / "notebooks" / "05_error_analysis.partial.ipynb").is_file()
        assert "runs/default/notebooks/05_error_analysis.partial.log" in str(caught.value)
        assert "no memory" in (RUN / "notebooks" / "05_error_analysis.partial.log").read_text()

    def test_memory_that_is_used_up_is_told_with_what_takes_less(self, finished, run):
        limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        finished.write_notebook("05_error_analysis", f"{limit}bytearray(2**40)")
        with pytest.raises(StageError, match="MemoryError.*\nThe memory is used up: lower training.batch_size"):
            run()

    def test_full_disk_under_the_notebook_is_told_and_the_same_command_goes_on(self, finished, run):
        partial = RUN / "notebooks" / "05_error_analysis.partial.ipynb"
        partial.symlink_to("/dev/full")
        with pytest.raises(StageError) as caught:
            run({"error_analysis": {"n_gallery": 3}})
        assert "05_error_analysis stopped: runs/default/notebooks/05_error_analysis.partial.ipynb" in str(caught.value)
        assert str(caught.value).endswith(f"No space left on device; free some space.\n{GO_ON}")
        partial.unlink()
        assert run({"error_analysis": {"n_gallery": 3}}).ran == ["05_error_analysis", "report"]

    def test_full_disk_under_the_journal_does_not_hide_what_failed(self, finished, monkeypatch):
        def full(*_, event: str, **__) -> None:
            if event == "failed":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(runner, "journal", full)
        with pytest.raises(ParameterError, match="no such figure"):
            self.run_failing_report()

    def test_what_a_killed_writer_left_is_removed(self, finished, run):
        left = [RUN / ".metrics.json.x1y2.tmp", RUN / "checkpoints" / ".tmpinclPe"]
        for file in left:
            file.write_text("half")
        assert run().ran == []
        assert not any(file.exists() for file in left)

    def test_failing_report_is_journalled_and_passed_on(self, finished):
        with pytest.raises(ParameterError, match="no such figure"):
            self.run_failing_report()
        assert journal()[-1]["event"] == "failed"

    @staticmethod
    def run_failing_report() -> None:
        def build_report(folder: Path) -> Path:
            raise ParameterError("no such figure")

        screen = Screen(Console(quiet=True))
        run_study(Study(), RUN.resolve(), screen=screen, build_report=build_report, plan=only("report", force=True))


@pytest.mark.parametrize(
    ("name", "words", "is_memory"),
    [
        ("MemoryError", "", True),
        ("_ArrayMemoryError", "Unable to allocate 8.00 TiB for an array with shape (1099511627776,)", True),
        ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", True),
        ("CellExecutionError", "", True),
        ("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("ValueError", "a memory of no class", False),
    ],
)
def test_advice_on_memory_goes_with_every_library_s_word_for_it(name, words, is_memory):
    error = PapermillExecutionError(0, 1, source="", ename=name, evalue=words, traceback=[])
    assert ("training.batch_size" in runner._cause(error)) == is_memory


class TestLock:
    def test_second_runner_is_refused_with_the_holder(self, project, run):
        RUN.mkdir(parents=True)
        with lock(RUN), pytest.raises(RunLocked) as caught:
            run()
        assert f"in use by process {os.getpid()} on {platform.node()}" in str(caught.value)
        assert "another study.name" in str(caught.value)
        assert not (RUN / "journal.jsonl").exists()

    def test_a_file_system_without_locks_is_not_taken_for_a_second_runner(self, tmp_path, monkeypatch):
        def refuse(*_) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(runner.fcntl, "flock", refuse)
        with pytest.raises(OSError, match="No locks available"), lock(tmp_path):
            pass

    def test_is_free_again_after_an_error(self, tmp_path):
        with pytest.raises(KeyError), lock(tmp_path):
            raise KeyError
        with lock(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()

    def test_file_left_by_a_dead_process_does_not_lock(self, tmp_path):
        (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "elsewhere and much longer than ours" * 9}))
        with lock(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


def test_progress_of_a_running_cell_reaches_the_screen(project, run, monkeypatch):
    """The runner hears a notebook through overridden methods of nbclient: this test fails if they are renamed."""
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_S", 0.0)
    project.write_notebook(
        "01_data_audit",
        "from IPython.display import display\n"
        "mime = 'application/vnd.study.progress+json'\n"
        "handle = display({mime: {'line': 'reading: 1/9'}}, raw=True, display_id=True)\n"
        "handle.update({mime: {'line': 'reading: 9/9'}}, raw=True)",
    )
    lines = run(plan=only("01")).text.splitlines()
    heads = [line.partition(" s · ")[2] for line in lines if " s · " in line]
    assert heads == [
        "starting",
        "cell 1/5, 01_data_audit",
        "cell 2/5, 01_data_audit",
        "cell 3/5, 01_data_audit",
        "cell 4/5, 1 Open",
        "cell 5/5, 2 Work",
        "cell 5/5, 2 Work · reading: 1/9",
        "cell 5/5, 2 Work · reading: 9/9",
    ]


def test_heading_above_ignores_other_lines_with_a_hash():
    cells = [
        nbformat.v4.new_code_cell("# no heading"),
        nbformat.v4.new_markdown_cell("# Title\n\n## 1 Part\n```\n#1 is no heading\n```\ntext"),
        nbformat.v4.new_code_cell("# a comment"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert heading_above(notebook, 0) == "start"
    assert heading_above(notebook, 2) == "1 Part"
