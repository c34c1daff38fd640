"""The commands `study list`, `study compare` and `study verify`: exit statuses, messages, files."""

from pathlib import Path

import pytest

from helpers import cli


@pytest.fixture
def project(make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the runs `first`, `second`, and `other` of other classes."""
    for name in ("notebooks", "pyproject.toml"):
        (tmp_path / name).mkdir()
    make_run("first")
    make_run("second", noise=3.0)
    make_run("other", cohort={"class_names": {"A": "a", "B": "b", "C": "c"}, "normal_class": "C"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("helpers.runs.listing.fingerprints", lambda study: {})
    return tmp_path


def test_list(project, capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["first", "other", "second"]
    assert all("complete" in line for line in lines[-3:])


def test_compare_takes_names_and_folders_and_writes_a_page(project, capsys):
    assert cli.main(["compare", "first", str(project / "runs" / "second"), "--html", "pages/a.html"]) == 0
    out = capsys.readouterr().out
    assert "are answered differently" in out
    assert out.splitlines()[-1] == "Page: pages/a.html"
    assert "--html pages/a.html" in (project / "pages" / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "first", "nothing"], "no run called 'nothing'"),
        (["compare", "first", "other"], "the two runs have different classes"),
        (["verify", "nothing"], "no run called 'nothing'"),
        (["verify", "first", "--against", "nothing.json"], "nothing.json is no metrics.json of this version"),
    ],
)
def test_a_question_that_cannot_be_answered_ends_with_2(project, capsys, arguments, message):
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_a_run_that_has_no_result_yet_is_named(project, capsys):
    (project / "runs" / "second" / "metrics.json").unlink()
    assert cli.main(["compare", "first", "second"]) == 2
    assert "runs/second is not complete. metrics.json is not there" in capsys.readouterr().err


def test_verify_says_yes_or_no_by_its_exit_status(project, capsys):
    released = "runs/first/metrics.json"
    assert cli.main(["verify", "first", "--against", released]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "first: verified"
    assert cli.main(["verify", "second"]) == 0
    assert cli.main(["verify", "second", "--against", released]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "second: NOT verified"
