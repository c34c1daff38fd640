"""The console command `study`: exit statuses, messages, and what each subcommand does.

The project is a tiny one with notebooks that need no second; its report is built by a stand-in, since reports have
tests of their own.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import cli, reporting
from helpers import sweep as rooms
from helpers.study import Study
from helpers.study.artefacts import record_study
from helpers.study.stages import STAGES

KEYS = [stage.key for stage in STAGES]
PARAMS = "study: {name: tiny}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with five notebooks that do nothing, and a parameter file `tiny.yaml`."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "tiny.yaml").write_text(PARAMS)
    for key in KEYS[:-1]:
        write_notebook(tmp_path, key, "pass")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(reporting, "build_report", build_report)
    return tmp_path


def write_notebook(project: Path, key: str, work: str) -> None:
    cells = [
        new_code_cell("run_dir = 'runs/default'", metadata={"tags": ["parameters"]}),
        new_markdown_cell("## 1 Work"),
        new_code_cell(work),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), project / "notebooks" / f"{key}.ipynb")


def build_report(run_folder: Path) -> Path:
    report = run_folder / "report.html"
    report.write_text("<title>stand-in</title>")
    return report


class TestRun:
    def test_runs_all_and_ends_with_the_path_of_the_report(self, project, capsys):
        assert cli.main(["run", "tiny.yaml"]) == 0
        out, err = capsys.readouterr()
        lines = out.splitlines()
        assert lines[0] == "Study 'tiny' in runs/tiny"
        assert lines[-1] == "Report: runs/tiny/report.html"
        assert [key for key in KEYS if any(f"{key:<18} done in" in line for line in lines)] == KEYS
        assert "\x1b" not in out
        assert (project / "runs" / "tiny" / "report.html").is_file()

        assert cli.main(["run", "tiny.yaml"]) == 0
        assert capsys.readouterr().out.count("up to date") == len(KEYS)

    def test_one_stage_with_changed_parameters(self, project, capsys):
        assert cli.main(["run", "tiny.yaml", "--only", "report", "--set", "training.epochs=3", "--force"]) == 0
        assert "report             done in" in capsys.readouterr().out
        assert "epochs: 3" in (project / "runs" / "tiny" / "params.yaml").read_text()

    def test_failing_cell_gives_message_and_status(self, project, capsys):
        write_notebook(project, "02_preprocessing", "1 / 0")
        assert cli.main(["run", "tiny.yaml", "--only", "preprocessing"]) == 1
        out, err = capsys.readouterr()
        assert "02_preprocessing   failed after" in out
        assert "02_preprocessing stopped at the cell under “1 Work”" in err
        assert "ZeroDivisionError: division by zero" in err
        assert "runs/tiny/notebooks/02_preprocessing.partial.ipynb" in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["absent.yaml"], "absent.yaml: no such parameter file"),
            (["tiny.yaml", "--set", "training.epoch=3"], "training.epoch: unknown name; did you mean 'epochs'?"),
            (["tiny.yaml", "--set", "epochs=3"], "write it as section.name=value"),
            (["tiny.yaml", "--only", "06"], "no stage '06'; stages: 01_data_audit"),
            (["tiny.yaml", "--from", "x"], "no stage 'x'; stages: 01_data_audit"),
        ],
    )
    def test_wrong_arguments_change_nothing(self, project, capsys, arguments, message):
        assert cli.main(["run", *arguments]) == 1
        assert message in capsys.readouterr().err
        assert not (project / "runs").exists()

    def test_from_and_only_exclude_each_other(self, project, capsys):
        with pytest.raises(SystemExit) as caught:
            cli.main(["run", "tiny.yaml", "--from", "01", "--only", "02"])
        assert caught.value.code == 2
        assert "not allowed with argument --from" in capsys.readouterr().err

    def test_control_c_stops_with_130_and_keeps_the_finished_stages(self, project):
        os.mkfifo(project / "started")
        write_notebook(
            project, "02_preprocessing", "import threading\nopen('started', 'w').close()\nthreading.Event().wait()"
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "helpers.cli", "run", "tiny.yaml"],
            cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored by what starts in the background
        )  # fmt: skip
        try:
            (project / "started").read_text()  # blocks until the cell runs
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130
        assert "01_data_audit      done" in output
        assert "Stopped. What is finished is kept" in output
        assert "02_preprocessing   stopped after" in output
        assert "Traceback" not in output
        assert '"event": "failed"' in (project / "runs" / "tiny" / "journal.jsonl").read_text().splitlines()[-1]

    def test_a_folder_that_must_not_be_written_in_is_told_without_a_traceback(self, project, capsys):
        (project / "runs").symlink_to("/sys")  # refuses everybody, also root
        assert cli.main(["run", "tiny.yaml"]) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"study: {project}/runs/tiny: ")
        assert "put the project" in message
        assert "the same command goes on" in message


class TestCheck:
    def test_valid_file(self, project, capsys):
        assert cli.main(["check", "tiny.yaml"]) == 0
        assert capsys.readouterr().out == "tiny.yaml: valid; study 'tiny'\n"
        assert not (project / "runs").exists()

    def test_all_problems_at_once(self, project, capsys):
        (project / "bad.yaml").write_text("training: {epoch: 1, dropout: 2}\nsplit: {}\n")
        assert cli.main(["check", "bad.yaml"]) == 1
        err = capsys.readouterr().err
        assert "bad.yaml: 3 problem(s)" in err
        assert all(part in err for part in ("training.epoch", "training.dropout", "did you mean 'splits'?"))

    @pytest.mark.parametrize("command", ["check", "run"])
    def test_a_missing_ablation_is_told_before_anything_runs(self, project, capsys, command):
        (project / "tiny.yaml").write_text("study: {name: tiny, ablation: none.parquet}\n")
        assert cli.main([command, "tiny.yaml"]) == 1
        assert "study.ablation: none.parquet is missing" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["check", "run"])
    def test_a_wrong_study_card_is_told_before_anything_runs(self, project, capsys, command):
        (project / "tiny.yaml").write_text("study: {name: tiny, card: card.yaml}\n")
        (project / "card.yaml").write_text("fundng: none\n")
        assert cli.main([command, "tiny.yaml"]) == 1
        assert "study.card: card.yaml: 1 problem(s)" in capsys.readouterr().err
        assert not (project / "runs").exists()

    def test_missing_folder_and_labels_of_an_own_cohort(self, project, capsys):
        text = "cohort: {source: images, folder: mine, labels: mine/labels.csv}\n"
        (project / "own.yaml").write_text(text)
        assert cli.main(["check", "own.yaml"]) == 1
        assert "own.yaml: cohort.folder: mine does not exist" in capsys.readouterr().err
        (project / "mine").mkdir()
        assert cli.main(["check", "own.yaml"]) == 1
        assert "own.yaml: cohort.labels: mine/labels.csv does not exist" in capsys.readouterr().err
        (project / "mine" / "labels.csv").touch()
        assert cli.main(["check", "own.yaml"]) == 1
        assert "mine/labels.csv" in capsys.readouterr().err

    def test_what_the_labels_hold_is_told_before_anything_is_read(self, project, capsys):
        (project / "mine").mkdir()
        for name in ("a.png", "b.png"):
            (project / "mine" / name).touch()
        rows = ["file,PatientID,label", "a.png,1,A", "b.png,2,normal", "lost.png,3,A", "b.png,2,X"]
        (project / "mine" / "labels.csv").write_text("\n".join(rows))
        (project / "own.yaml").write_text("cohort: {source: images, folder: mine, labels: mine/labels.csv}\n")
        assert cli.main(["check", "own.yaml", "--set", "cohort.class_names={A: wedge, C: normal}"]) == 0
        told = capsys.readouterr().out
        assert "cohort: 2 labelled images in order (A wedge 1, C normal 1); not in order: file_missing 1, unk" in told
        assert "for example lost.png: row 4: 'lost.png' does not exist" in told

        assert cli.main(["check", "own.yaml"]) == 1
        message = "cohort: no image is labelled B (burst); take out of class_names what this cohort lacks"
        assert message in capsys.readouterr().err

    def test_a_cohort_that_cannot_be_simulated(self, project, capsys):
        assert cli.main(["check", "tiny.yaml", "--set", "cohort.phantom_levels=[L1, L2, L3, L9]"]) == 1
        assert "cohort.phantom_levels: ('L1', 'L2', 'L3', 'L9'); give at least 4 of T11" in capsys.readouterr().err

    def test_weights_that_are_neither_known_nor_a_file(self, project, capsys):
        assert cli.main(["check", "tiny.yaml", "--set", "training.weights=imagnet"]) == 1
        assert (
            "training.weights: 'imagnet' is no file, and none of ct, imagenet, phantom, none" in capsys.readouterr().err
        )
        assert cli.main(["check", "tiny.yaml", "--set", "training.weights=IMAGENET1K_V1"]) == 0
        (project / "mine.pt").touch()
        assert cli.main(["check", "tiny.yaml", "--set", "training.weights=mine.pt"]) == 0


class TestStatus:
    def test_says_for_each_stage_why_it_has_to_run(self, project, capsys):
        assert cli.main(["run", "tiny.yaml", "--only", "01"]) == 0
        capsys.readouterr()
        assert cli.main(["status", "tiny"]) == 0
        rows = {row.split("│")[1].strip(): row for row in capsys.readouterr().out.splitlines() if "│" in row}
        assert list(rows) == KEYS
        assert "up to date" in rows["01_data_audit"]
        assert all("not run yet" in rows[key] for key in KEYS[1:])

    def test_a_stage_that_stopped_is_told_from_one_that_never_ran(self, project, capsys):
        assert cli.main(["run", "tiny.yaml", "--only", "01"]) == 0
        (project / "runs" / "tiny" / "notebooks" / "02_preprocessing.partial.ipynb").touch()
        capsys.readouterr()
        assert cli.main(["status", "tiny"]) == 0
        assert "stopped before its end" in capsys.readouterr().out

    def test_changed_notebook(self, project, capsys):
        assert cli.main(["run", "tiny.yaml", "--only", "01"]) == 0
        write_notebook(project, "01_data_audit", "None")
        assert cli.main(["status", "runs/tiny"]) == 0
        assert "parameters, code or inputs changed" in capsys.readouterr().out

    @pytest.mark.parametrize("command", ["status", "report"])
    def test_unknown_run_is_named(self, project, capsys, command):
        assert cli.main([command, "absent"]) == 1
        assert "no run called 'absent': runs lie in runs/" in capsys.readouterr().err


def test_report_is_built_again(project, capsys):
    record_study(project / "runs" / "tiny", Study())
    assert cli.main(["report", "tiny"]) == 0
    assert capsys.readouterr().out == "Report: runs/tiny/report.html\n"
    assert (project / "runs" / "tiny" / "report.html").is_file()


@pytest.mark.parametrize(
    ("folder", "message"), [("runs", "nothing is overwritten"), ("new", "cohort.parquet is missing")]
)
def test_export_needs_a_finished_run_and_a_new_folder(project, capsys, folder, message):
    record_study(project / "runs" / "tiny", Study())
    assert cli.main(["export", "tiny", "--out", folder]) == 1
    assert message in capsys.readouterr().err
    assert not (project / "new").exists()


class TestSweep:
    @pytest.fixture
    def sweep(self, project, monkeypatch):
        """A sweep of two rows in `sweep.yaml`; sweep(problems) makes its training end like that."""
        text = "name: two\nbase: tiny.yaml\nrows:\n  first: {reason: as the study has it}\n"
        (project / "sweep.yaml").write_text(f"{text}  second: {{set: {{training.epochs: 2}}, reason: fewer epochs}}\n")

        def end_with(problems: dict[str, str]) -> None:
            monkeypatch.setattr(rooms, "run_rows", lambda *_, **__: problems)
            monkeypatch.setattr(rooms, "write_sweep", lambda sweep, folder, **_: folder / "sweep.html")

        return end_with

    @pytest.mark.parametrize(
        ("problems", "arguments", "status"),
        [
            ([], [], 0),
            (["second"], [], 0),
            (["second"], ["--strict"], 1),
            (["first", "second"], [], 1),
            (["second"], ["--only", "second"], 1),
            (["second"], ["--only", "first", "--strict"], 0),
        ],
    )
    def test_exit_status_tells_whether_all_or_any_failed(self, sweep, capsys, problems, arguments, status):
        sweep(dict.fromkeys(problems, "went wrong"))
        assert cli.main(["sweep", "sweep.yaml", *arguments]) == status
        assert capsys.readouterr().out == "Sweep: runs/two/sweep.html\n"

    def test_status_trains_nothing(self, sweep, project, capsys):
        assert cli.main(["sweep", "sweep.yaml", "--status"]) == 0
        out = capsys.readouterr().out
        assert out.count("01_data_audit: not run yet") == 2
        assert "training.epochs: 2" in out
        assert not (project / "runs").exists()

    def test_a_wrong_file_is_named(self, project, capsys):
        (project / "bad.yaml").write_text("name: two\nbase: tiny.yaml\nrows: {only: {reason: one row is none}}\n")
        assert cli.main(["sweep", "bad.yaml"]) == 1
        assert "bad.yaml: 1 problem(s)" in capsys.readouterr().err


class TestPhantom:
    def test_writes_the_asked_images_and_tells_where(self, project, capsys):
        command = ["phantom", "--out", "sim", "-A", "2", "-B", "1", "-C", "1", "--plane", "coronal", "--seg"]
        assert cli.main(command) == 0
        (cohort,) = (project / "sim").iterdir()
        labels = pd.read_csv(cohort / "labels.csv")
        assert labels["label"].value_counts().to_dict() == {"A": 2, "B": 1, "C": 1}
        assert labels["PatientID"].nunique() == 2
        for folder, suffix in (("DICOM", "dcm"), ("SEG", "dcm"), ("masks", "png")):
            assert len(list((cohort / folder).rglob(f"*.{suffix}"))) == 4, folder
        assert f"4 images of 2 patients: sim/{cohort.name}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-A", "-1"], "images['A']"),
            (["--patients", "5000"], "patients: 5000"),
            (["--patients", "0"], "patients: 0"),
            (["--workers", "0"], "workers: 0"),
            (["--scanner-by-class", "2"], "scanner_by_class: 2.0"),
        ],
    )
    def test_what_cannot_be_simulated_is_named(self, project, capsys, arguments, message):
        assert cli.main(["phantom", "--out", "sim", *arguments]) == 1
        assert message in capsys.readouterr().err
        assert not (project / "sim").exists()


def test_second_runner_is_refused(project, capsys):
    from helpers.study.runner import lock

    (project / "runs" / "tiny").mkdir(parents=True)
    with lock(project / "runs" / "tiny"):
        assert cli.main(["run", "tiny.yaml"]) == 1
    assert f"runs/tiny is in use by process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run"]])
def test_wrong_commands_show_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: study" in capsys.readouterr().err
