import pytest

from helpers.reporting.record import RunRecord, read_run
from helpers.runs.settings import Difference, environment_differences, parameter_differences


@pytest.fixture
def records(two_runs) -> tuple[RunRecord, ...]:
    return tuple(map(read_run, two_runs))


def test_only_parameters_that_differ_are_named_and_never_the_names_of_the_studies(records):
    assert parameter_differences(*records) == (
        Difference("training.weights", "ct", "<script>.pt"),
        Difference("training.epochs", "16", "3"),
    )
    assert parameter_differences(records[0], records[0]) == ()


def test_folders_of_somebody_stay_out(make_run):
    ours = read_run(make_run("ours", cohort={"source": "dicom", "folder": "/home/ann/a", "labels": "a.csv"}))
    theirs = read_run(make_run("theirs", cohort={"source": "dicom", "folder": "/home/bob/b", "labels": "a.csv"}))
    assert parameter_differences(ours, theirs) == (Difference("cohort.folder", "…/a", "…/b"),)


def test_versions_machine_and_commit_but_not_the_time(make_run, change_json):
    ours, theirs = make_run("ours"), make_run("theirs")

    def elsewhere(facts: dict) -> None:
        facts["recorded"], facts["seeds"] = "2020-01-01T00:00:00+00:00", {}
        facts["machine"]["threads"] = 9
        facts["packages"]["numpy"] = "1.0"
        facts["packages"].pop("torch")

    change_json(theirs / "provenance.json", elsewhere)
    found = {row.name: row.second for row in environment_differences(read_run(ours), read_run(theirs))}
    assert found == {"machine.threads": "9", "packages.numpy": "1.0", "packages.torch": "–"}
