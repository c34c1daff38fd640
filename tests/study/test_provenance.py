"""Provenance says which code, packages, machine and seeds made a run, and names neither person nor path."""

import json
import subprocess
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from helpers.study import Study
from helpers.study.provenance import JOURNAL_FILE, PROVENANCE_FILE, collect_provenance, journal, now, record_provenance


@pytest.fixture
def repository(project) -> Path:
    """The tiny project under git, with one commit."""
    git(project.folder, "init", "--quiet")
    git(project.folder, "add", ".")
    git(project.folder, "commit", "--quiet", "--message", "first")
    return project.folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_commit_and_uncommitted_changes(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert collect_provenance(Study())["git"] == {"commit": commit, "uncommitted_changes": False}
    (repository / "pyproject.toml").write_text("# changed")
    assert collect_provenance(Study())["git"] == {"commit": commit, "uncommitted_changes": True}


def test_files_that_git_does_not_know_are_no_change(repository):
    (repository / "notes.txt").touch()
    assert collect_provenance(Study())["git"]["uncommitted_changes"] is False


def test_without_git_there_is_no_commit(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project.folder))
    assert collect_provenance(Study())["git"] == {"commit": None, "uncommitted_changes": None}


def test_seeds_threads_and_versions(project):
    study = Study.model_validate(
        {
            "cohort": {"phantom_seed": 11},
            "splits": {"split_seed": 12},
            "training": {"seeds": [13, 14], "threads": 3},
            "evaluation": {"seed": 15},
        }
    )
    facts = collect_provenance(study)
    assert facts["seeds"] == {"phantom": 11, "split": 12, "training": [13, 14], "bootstrap": 15}
    assert facts["machine"]["threads"] == 3
    assert facts["packages"]["numpy"] == np.__version__


def test_lock_file_is_identified_by_its_hash(project):
    assert collect_provenance(Study())["requirements_lock_sha256"] is None
    (project.folder / "requirements.lock").write_bytes(b"numpy==2\n")
    assert collect_provenance(Study())["requirements_lock_sha256"] == sha256(b"numpy==2\n").hexdigest()


def test_record_names_no_path_or_person(project):
    record_provenance(project.folder, Study())
    text = (project.folder / PROVENANCE_FILE).read_text(encoding="utf-8")
    assert str(project.folder) not in text
    assert str(Path.home()) + "/" not in text
    assert json.loads(text)["python"].startswith("3.")


def test_journal_grows_line_by_line(tmp_path):
    journal(tmp_path, stage="01_data_audit", event="started", reason="not run yet")
    journal(tmp_path, stage="01_data_audit", event="done", seconds=1.5)
    lines = [json.loads(line) for line in (tmp_path / JOURNAL_FILE).read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["started", "done"]
    assert lines[1]["seconds"] == 1.5
    assert all("time" in line for line in lines)


def test_times_are_utc_to_the_second():
    time = datetime.fromisoformat(now())
    assert time.utcoffset() == timedelta(0)
    assert time.microsecond == 0
