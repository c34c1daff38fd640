"""Parameters, provenance, times and commands at the end of the report."""

import pytest

from helpers.reporting.appendix import (
    environment_groups,
    moment,
    parameter_file,
    parameter_groups,
    provenance_groups,
    readable,
    rerun_commands,
    stage_rows,
)
from helpers.reporting.record import read_run
from helpers.study import Study


def test_every_parameter_is_listed_with_its_value(make_run):
    record = read_run(make_run(notebooks=0, training={"epochs": 77}))
    listed = {(group.title, row.name): row.value for group in parameter_groups(record) for row in group.rows}
    sections = {name: values for name, values in record.study.model_dump().items() if name != "external"}
    assert set(listed) == {(section, name) for section, values in sections.items() for name in values}
    assert listed["training", "epochs"] == "77"


def test_external_cohorts_are_listed_by_what_is_their_own(make_run):
    cohort = {"name": "far", "source": "images", "folder": "there", "mm_per_px": 0.5}
    groups = {group.title: group.rows for group in parameter_groups(read_run(make_run(notebooks=0, external=[cohort])))}
    listed = {row.name: row.value for row in groups["external cohort far"]}
    assert listed == {"name": "far", "source": "images", "folder": "there", "mm_per_px": "0.5"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "not set"),
        (True, "yes"),
        (0.001, "0.001"),
        ([0, 1], "0, 1"),
        ({"A": "compression"}, "A: compression"),
        ({}, "none"),
        ("ct", "ct"),
    ],
)
def test_readable(value, expected):
    assert readable(value) == expected


def test_moment_is_utc():
    assert moment("2026-01-02T03:04:05+02:00") == "2026-01-02 01:04 UTC"
    assert moment(None) == "not recorded"


def test_provenance_names_commit_and_seeds_and_the_environment_machine_and_versions(make_run, change_json):
    folder = make_run(notebooks=0)
    git = {"commit": "abc123", "uncommitted_changes": True}
    change_json(folder / "provenance.json", lambda content: content.update(git=git))
    groups = {group.title: {row.name: row.value for row in group.rows} for group in provenance_groups(read_run(folder))}
    assert groups["code"]["commit"] == "abc123, with changes that were not committed"
    assert groups["seeds"]["split"] == str(Study().splits.split_seed)
    around = {
        group.title: {row.name: row.value for row in group.rows} for group in environment_groups(read_run(folder))
    }
    assert list(around) == ["machine", "language", "packages"]
    assert around["machine"]["threads"] == str(Study().training.threads)
    assert "torch" in around["packages"]


def test_times_of_the_finished_stages_in_order(make_run):
    rows = stage_rows(read_run(make_run(notebooks=2)))
    assert [(row.name, row.value, row.remark) for row in rows] == [
        ("Data audit", "1 min 05 s", "2026-01-02 03:04 UTC"),
        ("Preprocessing", "2 min 05 s", "2026-01-02 03:04 UTC"),
    ]


def test_commands_repeat_the_commit_and_the_run(make_run, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "provenance.json", lambda content: content.update(git={"commit": "abc123"}))
    record = read_run(folder)
    commands = [line for line in rerun_commands(record).splitlines() if not line.startswith("#")]
    assert commands[:2] == ["git checkout abc123", "make study PARAMS=runs/fabricated/params.yaml"]
    assert parameter_file(record) == (folder / "params.yaml").read_text(encoding="utf-8")


def test_hand_run_has_no_commit_to_check_out(make_run):
    folder = make_run(notebooks=0)
    (folder / "provenance.json").unlink()
    record = read_run(folder)
    assert provenance_groups(record) == environment_groups(record) == ()
    assert "git checkout" not in rerun_commands(record)
    assert "make study PARAMS=runs/fabricated/params.yaml" in rerun_commands(record)
