"""Parameters: which values fit together, and what is said of those that do not."""

import pytest

from helpers.study import CohortParams, ParameterError, Study, TrainingParams, load_study
from helpers.study.parameter_files import validate


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "", ".hidden", "my run"])
def test_study_name_cannot_leave_the_runs_folder(complaint, name):
    assert "study.name: String should match pattern" in complaint(f"study: {{name: {name!r}}}")


class TestConsistency:
    def test_normal_class_must_be_a_class(self, complaint):
        message = complaint("cohort: {class_names: {F: fracture, N: normal}}")
        assert "normal_class 'C' is not a key of class_names ['F', 'N']" in message

    def test_label_values_must_lead_to_classes(self, complaint):
        assert "label_values maps to ['D']" in complaint("cohort: {label_values: {healthy: D}}")

    @pytest.mark.parametrize("keys", ["{A: one}", "{A: one, 'B C': two}", "{A: one, logit_B: two}"])
    def test_class_keys_name_columns(self, complaint, keys):
        assert "class_names needs two or more keys" in complaint(f"cohort: {{class_names: {keys}, normal_class: A}}")

    @pytest.mark.parametrize("source", ["dicom", "verse"])
    def test_own_volumes_need_a_labels_table(self, complaint, source):
        assert f"labels is needed when source is '{source}'" in complaint(f"cohort: {{source: {source}}}")

    def test_input_cannot_exceed_the_cached_image(self, complaint):
        message = complaint("training: {input_size: 256}\npreprocessing: {image_size: 192}")
        assert "training.input_size 256 exceeds preprocessing.image_size 192" in message


@pytest.mark.parametrize("value", [True, "3", 3.0, None])
def test_whole_numbers_are_not_converted(value):
    with pytest.raises(ParameterError, match="epochs"):
        validate(TrainingParams, {"epochs": value}, origin="test")


def test_sections_cannot_be_changed_later():
    with pytest.raises(ValueError, match="frozen"):
        TrainingParams().epochs = 3


class TestExternal:
    def test_a_list_of_cohorts_is_read_and_written_as_a_list(self, tmp_path):
        file = tmp_path / "a.yaml"
        file.write_text("external:\n  - {name: site2, source: images, folder: far}\n")
        study = load_study(file)
        assert [cohort.name for cohort in study.external.external] == ["site2"]
        again = validate(Study, study.model_dump(), origin="dump")
        assert again == study
        assert isinstance(study.model_dump()["external"], list)

    def test_a_problem_is_named_as_the_file_has_it(self):
        with pytest.raises(ParameterError, match=r"external\.0\.sorce: unknown name; did you mean 'source'"):
            validate(Study, {"external": [{"name": "a", "sorce": "images"}]}, origin="x")

    def test_two_cohorts_of_one_name_are_refused(self):
        cohort = {"name": "a", "source": "images", "folder": "b"}
        with pytest.raises(ParameterError, match="the same name: a, a"):
            validate(Study, {"external": [cohort, cohort]}, origin="x")

    def test_classes_are_those_of_the_study_or_a_fracture_of_unknown_kind(self):
        classes = {"C": "normal", "fracture": "any fracture"}
        cohort = {"name": "a", "source": "images", "folder": "b", "class_names": classes}
        assert validate(Study, {"external": [cohort]}, origin="x").external.external[0].class_names == classes
        cohort["class_names"] = {"C": "normal", "F": "fracture"}
        with pytest.raises(
            ParameterError, match=r"external cohort a: class_names has \['F'\]; they must be among A, B"
        ):
            validate(Study, {"external": [cohort]}, origin="x")


class TestCohort:
    def test_a_window_is_given_whole_or_not_at_all(self):
        with pytest.raises(ParameterError, match="belong together"):
            validate(CohortParams, {"image_window_center": 300.0}, origin="x")

    def test_adjudication_needs_readers(self):
        with pytest.raises(ParameterError, match="needs two or more columns in readers"):
            validate(CohortParams, {"adjudication": "majority", "readers": ["one"]}, origin="x")


def test_a_random_start_has_no_statistics_to_keep():
    with pytest.raises(ValueError, match=r"training\.batch_norm"):
        TrainingParams(weights="none", batch_norm="frozen")
    TrainingParams(weights="none", batch_norm="learned")
    TrainingParams(weights="none", frozen_stages=5)  # a network of random filters under a learned head
