"""Reading a run folder: complete, incomplete, damaged, or no run at all."""

import pytest

from helpers.reporting import ReportError
from helpers.reporting.record import read_run
from helpers.study import ArtefactError


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ReportError, match=r"not a run folder \(no params.yaml\).*study run"):
        read_run(tmp_path)


def test_console_command_catches_report_errors():
    assert issubclass(ReportError, ArtefactError)


def test_missing_pieces_are_named(make_run):
    folder = make_run(notebooks=2)
    (folder / "metrics.json").unlink()
    (folder / "provenance.json").unlink()
    record = read_run(folder)
    assert list(record.notebooks) == ["01_data_audit", "02_preprocessing"]
    assert [line.split(" ")[:2] for line in record.missing()] == [
        ["Notebook", "03_training"],
        ["Notebook", "04_evaluation"],
        ["Notebook", "05_error_analysis"],
        ["model.json", "is"],
        ["metrics.json", "is"],
        ["provenance.json", "is"],
    ]


@pytest.mark.parametrize("name", ["metrics.json", "audit.json", "provenance.json"])
@pytest.mark.parametrize("content", ["{broken", "[1]"])
def test_damaged_json_is_named(make_run, name, content):
    folder = make_run(notebooks=0)
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=name):
        read_run(folder)


def test_json_of_another_version_is_named(make_run, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "metrics.json", lambda content: content.pop("overall"))
    with pytest.raises(ReportError, match=r"metrics.json lacks overall: run notebook 04_evaluation again"):
        read_run(folder)


@pytest.mark.parametrize("content", ['{"01_data_audit": {"unknown": 1}}', "["])
def test_damaged_stage_records_are_named(make_run, content):
    folder = make_run(notebooks=0)
    (folder / "stages.json").write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match="stages.json is damaged"):
        read_run(folder)


def test_damaged_notebook_is_named(make_run):
    folder = make_run(notebooks=1)
    (folder / "notebooks" / "01_data_audit.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(ReportError, match="01_data_audit.ipynb is not a readable notebook.*run 01_data_audit again"):
        read_run(folder)


def test_partial_notebooks_are_left_out(make_run):
    folder = make_run(notebooks=1)
    (folder / "notebooks" / "02_preprocessing.partial.ipynb").write_text("{}", encoding="utf-8")
    assert list(read_run(folder).notebooks) == ["01_data_audit"]
