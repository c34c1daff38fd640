"""When a stage has to run again: fingerprints of parameters, code and inputs, and hashes of artefacts."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest

from helpers.study import ArtefactError, ParameterError, Study, stages
from helpers.study.artefacts import ARTEFACTS
from helpers.study.stages import (
    STAGES,
    StageRecord,
    find_stage,
    fingerprints,
    input_hash,
    output_hashes,
    read_records,
    remove_outputs,
    why_stale,
    write_records,
)

KEYS = [stage.key for stage in STAGES]


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Stages whose fingerprints differ."""
    return [key for key in KEYS if before[key] != after[key]]


class TestFingerprints:
    @pytest.fixture
    def before(self, project) -> dict[str, str]:
        return fingerprints(Study())

    def test_are_the_same_for_the_same_study(self, before):
        assert fingerprints(Study()) == before

    @pytest.mark.parametrize(
        ("section", "values", "first"),
        [
            ("cohort", {"phantom_seed": 1}, "01_data_audit"),
            ("splits", {"n_folds": 3}, "01_data_audit"),
            ("preprocessing", {"spacing_mm": 1.0}, "02_preprocessing"),
            ("training", {"epochs": 3}, "03_training"),
            ("evaluation", {"n_bootstrap": 100}, "04_evaluation"),
            ("error_analysis", {"n_gallery": 3}, "05_error_analysis"),
            ("study", {"title": "another"}, "report"),
        ],
    )
    def test_a_parameter_changes_its_stage_and_the_later_ones(self, before, section, values, first):
        after = fingerprints(Study.model_validate({section: values}))
        assert changed(before, after) == KEYS[KEYS.index(first) :]

    def test_every_section_belongs_to_one_stage(self):
        assert sorted(name for stage in STAGES for name in stage.sections) == sorted(Study.model_fields)

    @pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.key)
    def test_code_changes_its_stage_and_the_later_ones(self, project, monkeypatch, tmp_path, stage):
        for package in (package for stage in STAGES for package in stage.packages):
            (tmp_path / "code" / package).mkdir(parents=True)
        monkeypatch.setattr(stages, "PACKAGES_FOLDER", tmp_path / "code")
        before = fingerprints(Study())
        for package in stage.packages:
            (tmp_path / "code" / package / "new.py").write_text("x = 1")
        assert changed(before, fingerprints(Study())) == KEYS[KEYS.index(stage.key) :]

    def test_every_package_is_watched_by_one_stage(self):
        packages = {file.parent.name for file in stages.PACKAGES_FOLDER.glob("*/__init__.py")}
        watched = [package for stage in STAGES for package in stage.packages]
        assert len(watched) == len(set(watched))
        assert set(watched) == packages - {"runs", "sweep"}  # these compare finished runs, and are part of none

    def test_compiled_files_are_no_code(self, project, monkeypatch, tmp_path):
        folder = tmp_path / "code" / "study" / "__pycache__"
        folder.mkdir(parents=True)
        monkeypatch.setattr(stages, "PACKAGES_FOLDER", tmp_path / "code")
        before = stages.package_digest("study")
        (folder / "a.pyc").write_bytes(b"x")
        assert stages.package_digest("study") == before

    def test_a_notebook_changes_its_stage_and_the_later_ones(self, project, before):
        project.write_notebook("04_evaluation", "pass")
        assert changed(before, fingerprints(Study())) == KEYS[3:]

    def test_outputs_and_metadata_of_a_notebook_do_not_count(self, project, before):
        file = project.folder / "notebooks" / "03_training.ipynb"
        notebook = nbformat.read(file, as_version=4)
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="seen by hand")]
        notebook.cells[1].execution_count = 7
        notebook.metadata["language_info"] = {"name": "python", "version": "3.13"}
        nbformat.write(notebook, file)
        assert fingerprints(Study()) == before

    def test_missing_notebook_is_named(self, project):
        (project.folder / "notebooks" / "02_preprocessing.ipynb").unlink()
        with pytest.raises(ParameterError, match=r"notebooks/02_preprocessing\.ipynb is missing"):
            fingerprints(Study())

    def test_own_weights_change_training_when_the_file_changes(self, project):
        study = Study.model_validate({"training": {"weights": "mine.pt"}})
        (project.folder / "mine.pt").write_bytes(b"1")
        before = fingerprints(study)
        (project.folder / "mine.pt").write_bytes(b"2")
        assert changed(before, fingerprints(study)) == KEYS[2:]

    @pytest.mark.parametrize("name", ["card", "ablation"])
    def test_a_file_that_the_report_shows_changes_the_report_alone(self, project, name):
        study = Study.model_validate({"study": {name: "shown"}})
        (project.folder / "shown").write_bytes(b"1")
        before = fingerprints(study)
        (project.folder / "shown").write_bytes(b"2")
        assert changed(before, fingerprints(study)) == ["report"]


class TestInputFiles:
    @pytest.fixture
    def study(self, project) -> Study:
        (project.folder / "mine" / "sub").mkdir(parents=True)
        (project.folder / "mine" / "sub" / "a.png").write_bytes(b"1")
        (project.folder / "labels.csv").write_text("file,label\n")
        return Study.model_validate({"cohort": {"source": "images", "folder": "mine", "labels": "labels.csv"}})

    def test_new_file_changes_all(self, project, study):
        before = fingerprints(study)
        (project.folder / "mine" / "b.png").touch()
        assert changed(before, fingerprints(study)) == KEYS

    def test_changed_file_changes_all(self, project, study):
        file = project.folder / "mine" / "sub" / "a.png"
        before = fingerprints(study)
        file.write_bytes(b"2")
        os.utime(file, ns=(1, 1))
        assert changed(before, fingerprints(study)) == KEYS

    def test_changed_labels_change_all(self, project, study):
        before = fingerprints(study)
        (project.folder / "labels.csv").write_text("file,label\na.png,A\n")
        assert changed(before, fingerprints(study)) == KEYS

    def test_missing_folder_and_labels_are_left_to_the_audit_to_explain(self, project, study):
        before = fingerprints(study)
        shutil.rmtree(project.folder / "mine")
        (project.folder / "labels.csv").unlink()
        assert changed(before, fingerprints(study)) == KEYS

    def test_files_of_the_simulated_cohort_do_not_count(self, project):
        before = fingerprints(Study())
        (project.folder / "data").mkdir()
        (project.folder / "data" / "x.dcm").touch()
        assert fingerprints(Study()) == before


class TestFindStage:
    @pytest.mark.parametrize("name", ["03", "03_training", "training"])
    def test_by_number_name_or_both(self, name):
        assert find_stage(name).key == "03_training"

    def test_report(self):
        assert find_stage("report").key == "report"
        assert not find_stage("report").is_notebook

    @pytest.mark.parametrize("name", ["3", "", "06", "train"])
    def test_other_names_are_refused_with_the_list(self, name):
        with pytest.raises(ParameterError, match="stages: 01_data_audit, 02_preprocessing, .*report"):
            find_stage(name)


class TestOutputs:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "notebooks" / "03_training.ipynb").write_text("executed")
        (tmp_path / "predictions.parquet").write_text("1")
        (tmp_path / "checkpoints" / "deep").mkdir(parents=True)
        (tmp_path / "checkpoints" / "deep" / "a.safetensors").write_text("2")
        (tmp_path / "metrics.json").write_text("3")
        return tmp_path

    @pytest.fixture
    def record(self, folder) -> StageRecord:
        stage = find_stage("training")
        return StageRecord("f", output_hashes(stage, folder), 1.0, "now", input_hash(stage, folder))

    def test_are_the_notebook_and_the_artefacts(self, folder):
        assert set(output_hashes(find_stage("training"), folder)) == {
            "checkpoints/deep/a.safetensors",
            "notebooks/03_training.ipynb",
            "predictions.parquet",
        }

    def test_unchanged_stage_is_up_to_date(self, folder, record):
        assert why_stale(find_stage("training"), folder, record=record, fingerprint="f") is None

    def test_stage_without_record_has_not_run(self, folder):
        assert why_stale(find_stage("training"), folder, record=None, fingerprint="f") == "not run yet"

    def test_other_fingerprint(self, folder, record):
        reason = why_stale(find_stage("training"), folder, record=record, fingerprint="g")
        assert reason == "parameters, code or inputs changed"

    @pytest.mark.parametrize("name", ["predictions.parquet", "checkpoints/deep/a.safetensors"])
    @pytest.mark.parametrize("how", ["change", "remove"])
    def test_changed_or_removed_artefact(self, folder, record, name, how):
        (folder / name).write_text("tampered") if how == "change" else (folder / name).unlink()
        reason = why_stale(find_stage("training"), folder, record=record, fingerprint="f")
        assert reason == "its artefacts were changed or removed since"

    def test_changed_artefact_of_an_earlier_stage(self, folder, record):
        (folder / "images.npy").write_text("other images")
        reason = why_stale(find_stage("training"), folder, record=record, fingerprint="f")
        assert reason == "artefacts of earlier stages changed"

    def test_executed_notebooks_of_earlier_stages_are_inputs_of_the_report_only(self, folder):
        before = {stage.key: input_hash(stage, folder) for stage in STAGES}
        (folder / "notebooks" / "03_training.ipynb").write_text("executed a second later")
        after = {stage.key: input_hash(stage, folder) for stage in STAGES}
        assert changed(before, after) == ["report"]

    def test_later_artefacts_are_no_inputs(self, folder, record):
        (folder / "metrics.json").write_text("4")
        assert input_hash(find_stage("training"), folder) == record.inputs

    def test_removal_takes_all_of_the_stage_and_nothing_else(self, folder):
        remove_outputs(find_stage("training"), folder)
        assert output_hashes(find_stage("training"), folder) == {}
        assert not (folder / "checkpoints").exists()
        assert (folder / "metrics.json").read_text() == "3"

    def test_every_artefact_belongs_to_the_outputs_of_its_stage(self, tmp_path):
        for artefact in ARTEFACTS.values():
            file = tmp_path / artefact.file / ("x" if artefact.file.endswith("/") else "")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        found = [name for stage in STAGES for name in output_hashes(stage, tmp_path)]
        assert len(found) == len(set(found)) == len(ARTEFACTS)


class TestRecords:
    def test_are_read_back(self, tmp_path):
        records = {"01_data_audit": StageRecord("f", {"audit.json": "00"}, 1.5, "2026-01-01T00:00:00+00:00", "i")}
        write_records(tmp_path, records)
        assert read_records(tmp_path) == records

    def test_new_run_has_none(self, tmp_path):
        assert read_records(tmp_path) == {}

    @pytest.mark.parametrize("text", ["{", "[]", '{"01_data_audit": {"unknown": 1}}', '{"01_data_audit": 3}'])
    def test_damaged_file_is_named_with_the_way_out(self, tmp_path, text):
        (tmp_path / "stages.json").write_text(text)
        with pytest.raises(ArtefactError, match=r"stages\.json is damaged .*: remove it"):
            read_records(tmp_path)
