from pathlib import Path

import pytest

from helpers.study import ParameterError
from helpers.study.runner import RunLocked, lock
from helpers.study.stages import read_records
from helpers.sweep.rows import row_problem, run_rows
from helpers.sweep.variations import load_sweep

FAILURE = "03_training stopped at the cell under “Start”: WeightsError: absent.pt is no file"


@pytest.fixture
def sweep(project):
    return load_sweep("tiny.yaml")


@pytest.fixture
def said(screen):
    return screen.console.file.getvalue


def test_a_row_that_fails_is_told_and_the_others_go_on(sweep, folder, screen, said):
    assert run_rows(sweep, folder, screen=screen) == {"broken": FAILURE}
    trained = [row.name for row in sweep.rows if (folder / row.name / "predictions.parquet").is_file()]
    assert trained == ["reference", "weaker", "fewer", "coarse"]
    assert "WeightsError: absent.pt is no file" in said()


def test_no_row_goes_beyond_training(sweep, folder, screen):
    run_rows(sweep, folder, screen=screen)
    assert list(read_records(folder / "reference")) == ["01_data_audit", "02_preprocessing", "03_training"]


def test_finished_rows_are_not_trained_again_and_failed_ones_are(sweep, folder, screen, said):
    run_rows(sweep, folder, screen=screen)
    before = said()
    run_rows(sweep, folder, screen=screen)
    again = said().removeprefix(before)
    assert again.count("done in") == 0
    assert again.count("failed after") == 1


def test_equal_stages_are_shared_and_other_ones_are_not(sweep, folder, screen):
    run_rows(sweep, folder, screen=screen)
    audit, images = (folder / "reference" / name for name in ("audit.json", "images.npy"))
    assert audit.samefile(folder / "weaker" / "audit.json")
    assert images.samefile(folder / "weaker" / "images.npy")
    assert audit.samefile(folder / "coarse" / "audit.json")
    assert not images.samefile(folder / "coarse" / "images.npy")


def test_stages_are_copied_where_links_are_impossible(sweep, folder, screen, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    run_rows(sweep, folder, screen=screen)
    assert row_problem(sweep.row("weaker"), folder) is None
    assert not (folder / "reference" / "audit.json").samefile(folder / "weaker" / "audit.json")


def test_a_damaged_stage_is_not_taken_over(sweep, folder, screen, said):
    run_rows(sweep, folder, screen=screen, only="reference")
    (folder / "reference" / "audit.json").write_text("changed")
    run_rows(sweep, folder, screen=screen, only="weaker")
    assert said().count("01_data_audit      done in") == 2
    assert row_problem(sweep.row("weaker"), folder) is None


def test_one_row_alone_leaves_the_state_of_the_others(sweep, folder, screen):
    problems = run_rows(sweep, folder, screen=screen, only="weaker")
    assert problems == dict.fromkeys(("reference", "broken", "fewer", "coarse"), "01_data_audit: not run yet")
    run_rows(sweep, folder, screen=screen)
    problems = run_rows(sweep, folder, screen=screen, only="weaker")
    assert problems == {"broken": "03_training stopped: WeightsError: absent.pt is no file"}


def test_a_row_whose_parameters_changed_has_no_result(sweep, folder, screen, project):
    run_rows(sweep, folder, screen=screen)
    text = (project / "tiny.yaml").read_text()
    (project / "tiny.yaml").write_text(text.replace("training.epochs: 1", "training.epochs: 2"))
    changed = load_sweep("tiny.yaml")
    assert row_problem(changed.row("weaker"), folder) == "03_training: parameters, code or inputs changed"
    assert row_problem(changed.row("fewer"), folder) is None


def test_a_torn_notebook_is_named(sweep, folder, screen):
    run_rows(sweep, folder, screen=screen)
    partial = folder / "broken" / "notebooks" / "03_training.partial.ipynb"
    partial.write_text("{")
    assert row_problem(sweep.row("broken"), folder) == (
        "03_training stopped: see runs/tiny/broken/notebooks/03_training.partial.ipynb"
    )


def test_an_unknown_row_and_a_sweep_in_use_change_nothing(sweep, folder, screen):
    with pytest.raises(ParameterError, match="no row 'x'"):
        run_rows(sweep, folder, screen=screen, only="x")
    assert not folder.exists()
    folder.mkdir(parents=True)
    with lock(folder), pytest.raises(RunLocked):
        run_rows(sweep, folder, screen=screen)
    assert [path.name for path in folder.iterdir()] == [".lock"]
