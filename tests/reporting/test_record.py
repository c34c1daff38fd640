"""Reading a run folder: complete, incomplete, damaged, or no run at all."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

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
    absent, provenance = record.missing()
    assert absent == "Not executed in this run: 03_training, 04_evaluation, 05_error_analysis."
    assert provenance.startswith("provenance.json is not there")


def test_an_artefact_that_an_executed_notebook_should_have_left_is_named(make_run):
    folder = make_run()
    (folder / "metrics.json").unlink()
    assert "metrics.json is not there: notebook 04_evaluation writes it." in read_run(folder).missing()


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


def test_a_torn_partial_notebook_is_left_out_and_told(make_run):
    folder = make_run(notebooks=3)
    (folder / "notebooks" / "02_preprocessing.partial.ipynb").write_text("{}", encoding="utf-8")
    record = read_run(folder)
    assert list(record.notebooks) == ["01_data_audit"]
    assert any("02_preprocessing (preprocessing) stopped before its end" in line for line in record.missing())


def stop(folder, key, *, started):
    """Leave a notebook as one that failed at `started` leaves it."""
    failed = new_output("error", ename="LeakageError", evalue="the splits leak", traceback=[])
    banner = new_markdown_cell("An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]})
    cells = [banner, new_markdown_cell("# Audit"), new_code_cell("check()", outputs=[failed])]
    notebook = new_notebook(cells=cells, metadata={"papermill": {"start_time": started}})
    nbformat.write(notebook, folder / "notebooks" / f"{key}.partial.ipynb")


def test_a_stage_that_stopped_is_shown_and_nothing_of_earlier_runs(make_run):
    folder = make_run()
    stop(folder, "01_data_audit", started="2020-01-01T00:00:00.000000")
    record = read_run(folder)
    assert record.stopped == "01_data_audit"
    assert list(record.notebooks) == ["01_data_audit"]
    assert [cell.source for cell in record.notebooks["01_data_audit"].cells] == ["# Audit", "check()"]
    assert record.audit is not None  # written by the notebook before it stopped
    assert record.metrics is None
    (line,) = (line for line in record.missing() if "01_data_audit" in line)
    assert line == "Notebook 01_data_audit (data audit) stopped before its end: LeakageError: the splits leak"


def test_an_audit_from_before_the_stop_is_left_out(make_run):
    folder = make_run()
    stop(folder, "01_data_audit", started="2999-01-01T00:00:00.000000")
    assert read_run(folder).audit is None
