"""Relative paths mean the same from a shell, from papermill and from a notebook opened by hand."""

from pathlib import Path

import pytest

from helpers.study.paths import project_file, project_folder, short_path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("inside", [".", "notebooks", "runs/default/notebooks"])
def test_project_is_found_from_any_folder_inside(project, monkeypatch, inside):
    (project / inside).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(project / inside)
    assert project_folder() == project
    assert project_file("params/default.yaml") == project / "params" / "default.yaml"


def test_outside_a_project_the_working_folder_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_folder() == tmp_path
    assert project_file("a.yaml") == tmp_path / "a.yaml"


def test_absolute_and_home_paths_are_kept(project, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert project_file("/elsewhere/a.csv") == Path("/elsewhere/a.csv")
    assert project_file("~/a.csv") == tmp_path / "home" / "a.csv"


def test_people_read_paths_from_the_project_folder(project):
    assert short_path(project / "runs" / "default") == "runs/default"
    assert short_path("/elsewhere/a.csv") == "/elsewhere/a.csv"
