"""The run folder: whole files or none, checked tables, and data that only walk forward."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.study import (
    ArtefactError,
    CohortParams,
    EvaluationParams,
    ParameterError,
    Run,
    SplitParams,
    Study,
    TrainingParams,
    load_study,
    open_run,
)
from helpers.study.artefacts import ARTEFACTS, PARAMS_FILE, record_study, write_atomic, write_json_atomic
from helpers.study.stages import STAGES

SPLITS = pd.DataFrame({"sample_id": ["a", "b"], "fold": [0, 0], "split": ["train", "test"]})


def at(folder: Path, stage: str | None) -> Run:
    return Run(folder, stage=stage)


class TestAtomicWriting:
    def test_content_replaces_the_old_file_without_traces(self, tmp_path):
        file = tmp_path / "made" / "a.bin"
        write_atomic(file, lambda stream: stream.write(b"old"))
        write_atomic(file, lambda stream: stream.write(b"new"))
        assert file.read_bytes() == b"new"
        assert list(file.parent.iterdir()) == [file]

    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
    def test_failing_writer_leaves_the_old_file_and_no_temporary_one(self, tmp_path, failure):
        file = tmp_path / "a.bin"
        file.write_bytes(b"old")

        def write(stream):
            stream.write(b"half")
            raise failure

        with pytest.raises(failure):
            write_atomic(file, write)
        assert file.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [file]

    def test_a_full_disk_is_named_with_what_to_do(self, tmp_path):
        file = tmp_path / "a.bin"
        file.write_bytes(b"old")

        def write(stream):
            stream.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(OSError, match="No space left on device; free some space.*the same command.*a.bin"):
            write_atomic(file, write)
        assert file.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [file]

    def test_files_are_readable_by_others(self, tmp_path):
        write_atomic(tmp_path / "a.bin", lambda stream: stream.write(b""))
        assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_json_has_no_word_for_nan(self, tmp_path, value):
        with pytest.raises(ValueError, match="JSON"):
            write_json_atomic(tmp_path / "a.json", {"x": value})
        assert not list(tmp_path.iterdir())

    def test_equal_json_content_gives_equal_bytes(self, tmp_path):
        write_json_atomic(tmp_path / "a.json", {"b": 1, "a": "ä"})
        write_json_atomic(tmp_path / "b.json", {"a": "ä", "b": 1})
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")

    def test_array_gets_its_name_only_when_it_is_complete(self, tmp_path):
        run = at(tmp_path, "02_preprocessing")
        with run.new_array("images", shape=(2, 3), dtype="int16") as array:
            array[:] = 7
            assert not (tmp_path / "images.npy").exists()
        loaded = run.read_array("images")
        np.testing.assert_array_equal(loaded, np.full((2, 3), 7, dtype="int16"))
        assert not loaded.flags.writeable

    def test_failing_array_leaves_the_old_one(self, tmp_path):
        run = at(tmp_path, "02_preprocessing")
        with run.new_array("images", shape=(1,), dtype="int16") as array:
            array[:] = 1
        with pytest.raises(ZeroDivisionError), run.new_array("images", shape=(2,), dtype="int16") as array:
            array[0] = 1 // 0
        assert run.read_array("images").tolist() == [1]
        assert [file.name for file in tmp_path.iterdir()] == ["images.npy"]

    def test_an_array_that_the_disk_cannot_hold_is_refused_before_it_is_filled(self, tmp_path, monkeypatch):
        def refuse(descriptor: int, start: int, length: int) -> None:
            assert (start, length) == (0, 128 + 6 * 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "posix_fallocate", refuse)
        run = at(tmp_path, "02_preprocessing")
        with pytest.raises(OSError, match="free some space"), run.new_array("images", shape=(2, 3), dtype="int16"):
            pytest.fail("the block must not begin")
        assert not list(tmp_path.iterdir())


class TestStageIsolation:
    def test_every_artefact_belongs_to_a_notebook(self):
        notebooks = {stage.key for stage in STAGES if stage.is_notebook}
        assert {artefact.stage for artefact in ARTEFACTS.values()} == notebooks

    @pytest.mark.parametrize("name", ARTEFACTS)
    def test_only_the_owner_writes_and_only_later_stages_read(self, tmp_path, name):
        owner = ARTEFACTS[name].stage
        asked = f"{name}/part.bin" if ARTEFACTS[name].file.endswith("/") else name
        for stage in (stage.key for stage in STAGES if stage.is_notebook):
            run = at(tmp_path, stage)
            if stage == owner:
                assert run.output(asked) == run.path(asked)
            else:
                with pytest.raises(ArtefactError, match=f"{asked} belongs to {owner}, .* by {stage}"):
                    run.output(asked)
            if stage < owner:
                with pytest.raises(ArtefactError, match=f"written by {owner}, later than {stage}"):
                    run.path(asked)
            else:
                assert run.path(asked).is_relative_to(tmp_path)

    def test_a_run_without_stage_reads_everything_and_writes_nothing(self, tmp_path):
        run = at(tmp_path, None)
        assert run.path("errors") == tmp_path / "errors.parquet"
        with pytest.raises(ArtefactError, match="belongs to"):
            run.output("errors")

    @pytest.mark.parametrize(
        "name", ["nonsense", "tables", "metrics/x", "tables/../metrics", "tables//elsewhere/x", "../x"]
    )
    def test_names_that_are_no_artefacts(self, tmp_path, name):
        with pytest.raises(ArtefactError, match="no artefact .* known: cohort, splits"):
            at(tmp_path, None).path(name)

    def test_table_in_a_folder_artefact(self, tmp_path):
        at(tmp_path, "04_evaluation").write_table("tables/confusion", pd.DataFrame({"A": [1]}))
        assert (tmp_path / "tables" / "confusion.parquet").is_file()
        assert at(tmp_path, "05_error_analysis").read_table("tables/confusion")["A"].tolist() == [1]


class TestTables:
    def test_are_read_back_as_they_were_written(self, tmp_path):
        run = at(tmp_path, "01_data_audit")
        run.write_table("splits", SPLITS)
        pd.testing.assert_frame_equal(run.read_table("splits"), SPLITS)

    def test_violation_names_table_file_column_and_value_and_writes_nothing(self, tmp_path):
        with pytest.raises(ArtefactError, match=r"splits \(splits\.parquet\)") as caught:
            at(tmp_path, "01_data_audit").write_table("splits", SPLITS.assign(split=["train", "holdout"]))
        assert "split " in str(caught.value)
        assert "holdout" in str(caught.value)
        assert not list(tmp_path.iterdir())

    def test_violation_is_found_when_reading_too(self, tmp_path):
        SPLITS.assign(fold=[0, -1]).to_parquet(tmp_path / "splits.parquet")
        with pytest.raises(ArtefactError, match="splits.parquet"):
            at(tmp_path, "03_training").read_table("splits")

    @pytest.mark.parametrize(
        ("name", "read"), [("splits", "read_table"), ("audit", "read_json"), ("images", "read_array")]
    )
    def test_missing_artefact_names_the_notebook_that_writes_it(self, tmp_path, name, read):
        with pytest.raises(ArtefactError, match=f"is missing: run notebook {ARTEFACTS[name].stage}"):
            getattr(at(tmp_path, None), read)(name)

    @pytest.mark.parametrize(
        ("name", "read"), [("splits", "read_table"), ("audit", "read_json"), ("images", "read_array")]
    )
    def test_damaged_artefact_names_file_and_remedy(self, tmp_path, name, read):
        (tmp_path / ARTEFACTS[name].file).write_bytes(b"not what it says")
        with pytest.raises(ArtefactError, match=rf"{ARTEFACTS[name].file} is damaged .* run notebook"):
            getattr(at(tmp_path, None), read)(name)

    def test_arrays_are_never_unpickled(self, tmp_path):
        np.save(tmp_path / "images.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(ArtefactError, match="damaged"):
            at(tmp_path, None).read_array("images")

    def test_json_is_read_back(self, tmp_path):
        at(tmp_path, "01_data_audit").write_json("audit", {"n": 3})
        assert at(tmp_path, "04_evaluation").read_json("audit") == {"n": 3}


class TestOpenRun:
    def test_first_notebook_makes_the_run_folder_and_records_its_parameters(self, tmp_path):
        folder = tmp_path / "alone"
        run = open_run(str(folder), CohortParams(phantom_seed=9), SplitParams(n_folds=3), stage="01_data_audit")
        assert run.stage == "01_data_audit"
        assert run.study == Study.model_validate(
            {"study": {"name": "alone"}, "cohort": {"phantom_seed": 9}, "splits": {"n_folds": 3}}
        )

    def test_later_notebook_refuses_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(ArtefactError, match=r"not a run folder \(no params.yaml\): run 01_data_audit"):
            open_run(str(tmp_path), EvaluationParams(), stage="04_evaluation")
        assert not list(tmp_path.iterdir())

    def test_notebook_run_on_its_own_leaves_the_values_used_beside_its_artefacts(self, tmp_path):
        record_study(tmp_path, Study.model_validate({"splits": {"n_folds": 7}}))
        open_run(str(tmp_path), TrainingParams(epochs=3), stage="03_training")
        recorded = load_study(tmp_path / PARAMS_FILE)
        assert (recorded.training.epochs, recorded.splits.n_folds) == (3, 7)

    def test_unchanged_parameters_do_not_touch_the_file(self, tmp_path):
        record_study(tmp_path, Study())
        before = (tmp_path / PARAMS_FILE).stat().st_ino
        open_run(str(tmp_path), EvaluationParams(), stage="04_evaluation")
        assert (tmp_path / PARAMS_FILE).stat().st_ino == before

    def test_values_that_do_not_fit_the_run_are_explained(self, tmp_path):
        record_study(tmp_path, Study())
        with pytest.raises(ParameterError, match="training.input_size 500 exceeds preprocessing.image_size"):
            open_run(str(tmp_path), TrainingParams(input_size=500), stage="03_training")

    def test_folder_name_that_cannot_name_a_study(self, tmp_path):
        with pytest.raises(ParameterError, match="my run: 1 problem"):
            open_run(str(tmp_path / "my run"), CohortParams(), stage="01_data_audit")

    def test_relative_folder_is_taken_from_the_project(self, tmp_path, monkeypatch):
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "pyproject.toml").touch()
        monkeypatch.chdir(tmp_path / "notebooks")
        run = open_run("runs/x", CohortParams(), SplitParams(), stage="01_data_audit")
        assert run.folder == tmp_path / "runs" / "x"
        assert repr(run) == "Run('runs/x', stage='01_data_audit')"

    def test_a_run_of_another_version_is_refused_with_a_way_out(self, tmp_path):
        (tmp_path / PARAMS_FILE).write_text("training: {optimiser: sgd}\n")
        for use in (lambda: Run(tmp_path).study, lambda: open_run(str(tmp_path), SplitParams(), stage="01_data_audit")):
            with pytest.raises(ArtefactError) as caught:
                use()
            for words in (str(tmp_path), "training.optimiser: unknown name", "give `study run`", "provenance.json"):
                assert words in str(caught.value)

    def test_what_is_no_section_is_refused(self, tmp_path):
        with pytest.raises(ParameterError, match="Study is not a section"):
            open_run(str(tmp_path), Study(), stage="01_data_audit")


def test_metrics_file_holds_plain_json(tmp_path):
    at(tmp_path, "04_evaluation").write_json("metrics", {"accuracy": {"estimate": 0.5}})
    assert json.loads((tmp_path / "metrics.json").read_text())["accuracy"]["estimate"] == 0.5


def test_a_folder_artefact_is_named_with_its_slash(tmp_path):
    run = Run(tmp_path, stage="03_training")
    assert run.output("checkpoints/") == tmp_path / "checkpoints"
    assert run.output("checkpoints/fold0.json") == tmp_path / "checkpoints" / "fold0.json"
    for name in ("checkpoints", "predictions/"):
        with pytest.raises(ArtefactError, match="no artefact"):
            run.output(name)
