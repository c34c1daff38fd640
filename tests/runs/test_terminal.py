import io
from dataclasses import replace

import pytest
from rich.console import Console

from helpers.runs import terminal
from helpers.runs.comparison import compare_runs
from helpers.runs.listing import ListedRun
from helpers.runs.pairing import Overlap
from helpers.runs.verification import verify_run

COLUMNS = 80


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=COLUMNS, highlight=False)


@pytest.fixture(scope="module")
def found(two_runs):
    return compare_runs(*two_runs)


def said(console: Console) -> list[str]:
    """What was printed, line by line; no line is longer than the terminal is wide."""
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= COLUMNS for line in lines)
    return [line.rstrip() for line in lines]


def test_a_run_fits_on_one_line(console):
    accuracy = {"estimate": 0.9040, "ci_low": 0.8763, "ci_high": 0.926}
    day = "2026-11-23T00:06:14+00:00"
    runs = [
        ListedRun("transfer_xvertseg", day, "stopped at 03", "phantom", 5200, 1733, accuracy),
        ListedRun("old", None, "other version"),
        ListedRun("tiny", day, "complete", "images", 3, 1, accuracy | {"ci_low": None}),
        ListedRun("odd", day, "complete", "images", 3, 1, accuracy | {"estimate": None}),
    ]
    terminal.print_runs(runs, console)
    *_, first, second, third, fourth = said(console)
    assert " ".join(first.split()) == (
        "transfer_xvertseg 2026-11-23 stopped at 03 phantom 5200 (1733) 90.4 (87.6–92.6)"
    )
    assert second.split() == ["old", "–", "other", "version", "–", "–", "–"]
    assert third.endswith(" 90.4")
    assert fourth.endswith(" –")


def test_no_run_yet(console):
    terminal.print_runs([], console)
    assert "There is no run yet" in said(console)[0]


def test_a_comparison_says_all_that_differs(found, console):
    terminal.print_comparison(found, console)
    lines = said(console)
    for title in ("Cohorts", "Parameters that differ", "Environment that differs", "Metrics", "Notebooks"):
        assert title in lines
    assert "training.epochs   16     3" in lines
    assert lines[lines.index("Environment that differs") + 1] == "none"
    accuracy = next(line for line in lines if line.startswith("Accuracy "))
    assert accuracy.count("(") == 1
    assert " to " in accuracy
    assert "01_data_audit: Of 3 cells, 0 differ in source and 1 in outputs." in lines
    assert any(" of 48 images are answered differently" in line for line in lines)


def test_long_lists_of_answers_are_cut(found, console, monkeypatch):
    monkeypatch.setattr(terminal, "MAX_ROWS", 2)
    terminal.print_comparison(found, console)
    assert f"{len(found.answers) - 2} more are not shown; --html FILE shows them with their images." in said(console)


def test_equal_answers_need_no_table(found, console):
    terminal.print_comparison(replace(found, answers=found.answers[:0]), console)
    assert not any(line.startswith("sample ") for line in said(console))


def test_runs_that_are_not_paired_show_both_intervals(found, console):
    apart = replace(found, n_tested=0, overlap=Overlap((), ("S00",), (), ()))
    terminal.print_comparison(apart, console)
    lines = said(console)
    assert next(line for line in lines if line.startswith("Accuracy ")).count("(") == 2
    assert "Answers that changed" not in lines


def test_a_verification_that_holds(two_runs, console):
    terminal.print_verification(verify_run(two_runs[0]), console, against=None)
    text = " ".join(said(console))
    assert "of metrics.json follow from the predictions." in text
    assert "have the hashes that were recorded" in text
    assert text.endswith("first: verified")


def test_a_verification_that_does_not(make_run, change_json, console, monkeypatch):
    monkeypatch.setattr(terminal, "MAX_ROWS", 1)
    released = make_run("released") / "metrics.json"
    folder = make_run("fresh", noise=3.0)
    change_json(folder / "metrics.json", lambda content: content["overall"]["accuracy"].update(estimate=0.5))
    (folder / "images.npy").unlink()
    terminal.print_verification(verify_run(folder, against=released), console, against="released.json")
    lines = said(console)
    text = " ".join(lines)
    assert lines[0].startswith("1 of ")
    assert lines[0].endswith("values do not follow from the predictions:")
    assert any(line.startswith("overall.accuracy.estimate") for line in lines)
    assert "2 of" in text
    assert "and 1 more" in text
    assert "are exactly those of released.json" in text
    assert "outside" in text
    assert lines[-1] == "fresh: NOT verified"


def test_a_run_without_hashes_says_so(make_run, console):
    folder = make_run("base")
    (folder / "stages.json").unlink()
    terminal.print_verification(verify_run(folder, against=folder / "metrics.json"), console, against="itself")
    text = " ".join(said(console))
    assert "No hashes of files were recorded" in text
    assert "farthest apart" not in text
