import fcntl

import pytest
import yaml

from helpers.runs.listing import BY_HAND, COMPLETE, OTHER_VERSION, OUTDATED, list_runs


@pytest.fixture
def listed(make_run, tmp_path, monkeypatch):
    """A run, and a function that lists it afresh; its fingerprints are those that it has recorded."""
    stages = [f"{number:02d}" for number in range(1, 6)]
    monkeypatch.setattr("helpers.runs.listing.fingerprints", lambda study: dict.fromkeys(stages_of(folder), "f"))
    folder = make_run("base")
    assert len(stages_of(folder)) == len(stages) + 1

    def again():
        (found,) = list_runs(tmp_path / "runs")
        return found

    return folder, again


def stages_of(folder) -> list[str]:
    return list(yaml.safe_load((folder / "stages.json").read_text()))


def test_a_finished_run(listed):
    folder, again = listed
    found = again()
    assert (found.name, found.state, found.source) == ("base", COMPLETE, "phantom")
    assert (found.n_samples, found.n_patients) == (48, 24)
    assert found.finished == "2026-01-02T03:04:05+00:00"
    assert 0 < found.accuracy["estimate"] < 1


def test_other_code_or_parameters_make_it_outdated(listed, change_json):
    folder, again = listed
    change_json(folder / "stages.json", lambda records: records["report"].update(fingerprint="g"))
    assert again().state == OUTDATED


def test_how_far_an_unfinished_run_came(listed, change_json):
    folder, again = listed
    change_json(folder / "stages.json", lambda records: [records.pop(key) for key in ("05_error_analysis", "report")])
    assert again().state == "before 05"
    (folder / "notebooks" / "03_training.partial.ipynb").touch()
    assert again().state == "stopped at 03"
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert again().state == "running 03"
    assert again().state == "stopped at 03"


def test_a_run_made_by_hand(listed):
    folder, again = listed
    (folder / "stages.json").unlink()
    assert (again().state, again().finished) == (BY_HAND, None)


@pytest.mark.parametrize(("file", "text"), [("params.yaml", "studdy: {}\n"), ("stages.json", '{"01": {"new": 1}}')])
def test_a_run_of_another_version_is_listed_without_numbers(listed, file, text):
    folder, again = listed
    (folder / file).write_text(text)
    assert (again().state, again().n_samples) == (OTHER_VERSION, None)


@pytest.mark.parametrize("text", ["{", '{"overall": {}}', "[]"])
def test_metrics_that_cannot_be_read_are_left_out(listed, text):
    folder, again = listed
    (folder / "metrics.json").write_text(text)
    assert again().accuracy is None


def test_a_folder_with_parameters_alone(listed):
    folder, again = listed
    (folder / "cohort.parquet").unlink()
    assert again().n_samples is None


def test_rows_of_sweeps_are_listed_too_and_other_folders_are_not(make_run, tmp_path):
    make_run("ablation/random")
    (tmp_path / "runs" / "empty").mkdir()
    assert [found.name for found in list_runs(tmp_path / "runs")] == ["ablation/random"]
    assert list_runs(tmp_path / "absent") == []
