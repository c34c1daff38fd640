"""Parameter files: what a user may write, and what is said about each way to get it wrong."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.study import ParameterError, Study, TrainingParams, load_study, read_parameters
from helpers.study.parameter_files import validate
from helpers.study.params import EvaluationParams

WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]))


def test_empty_file_means_all_defaults(load):
    assert load("") == Study()


def test_section_with_all_lines_commented_out_means_its_defaults(load):
    assert load("training:\n  # epochs: 3\nevaluation:\n  confidence: 0.9\n").training == TrainingParams()


def test_values_are_taken_from_their_sections(load):
    study = load("study: {name: mine}\ntraining: {epochs: 3, learning_rate: 1}\nevaluation: {seed: 4}")
    assert (study.study.name, study.training.epochs, study.evaluation.seed) == ("mine", 3, 4)
    assert study.training.learning_rate == 1.0


def test_all_problems_are_listed_at_once_with_path_and_nearest_name(complaint):
    message = complaint(
        "trainig: {}\n"
        "training: {epoch: 3, batch_size: 1, dropout: high, seeds: [0, -1]}\n"
        "splits: {n_folds: 3.0}\n"
        "cohort: {source: nifti}\n"
    )
    assert "7 problem(s)" in message
    assert "trainig: unknown name; did you mean 'training'?" in message
    assert "training.epoch: unknown name; did you mean 'epochs'?" in message
    assert "training.batch_size: Input should be greater than or equal to 2, got 1" in message
    assert "training.dropout: Input should be a valid number, got 'high'" in message
    assert "training.seeds.1: Input should be greater than or equal to 0, got -1" in message
    assert "splits.n_folds: Input should be a valid integer, got 3.0" in message
    assert "cohort.source: Input should be 'phantom', 'dicom', 'images', 'verse' or 'rsna', got 'nifti'" in message


def test_message_begins_with_the_file(complaint, tmp_path):
    assert complaint("training: {epochs: 0}").startswith(str(tmp_path / "study.yaml"))


def test_unknown_name_without_a_near_one_lists_the_valid_names(complaint):
    message = complaint("evaluation: {xyzzy: 1}")
    assert (
        "evaluation.xyzzy: unknown name; valid names: n_bootstrap, confidence, seed, prevalences, severity_order"
        in message
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("training: {learning_rate: 1e-4}", "write 1.0e-4)"),
        ("training: {learning_rate: 1.5E-4}", None),
        ("training: {window_width: 15e2}", "write 15.0e+2)"),
        ("training: {window_width: 1.5e3}", "write 1.5e+3)"),
    ],
)
def test_number_that_yaml_reads_as_text(load, complaint, text, hint):
    if hint is None:
        assert load(text).training.learning_rate == 1.5e-4
    else:
        assert f"YAML reads it as text: {hint}" in complaint(text)


def test_every_suggested_spelling_is_accepted(load):
    study = load("training: {learning_rate: 1.0e-4, window_width: 15.0e+2, window_center: 1.5e+3}")
    assert (study.training.learning_rate, study.training.window_width) == (1e-4, 1500.0)
    assert study.training.window_center == 1500.0


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("cohort: {normal_class: no}", "cohort.normal_class"),
        ("cohort: {label_values: {no: C}}", "cohort.label_values.False"),
        ("cohort: {label_values: {healthy: no}}", "cohort.label_values.healthy"),
    ],
)
def test_a_bare_no_where_text_is_meant(complaint, text, path):
    message = complaint(text)
    assert f"{path}: Input should be a valid string, got False (YAML reads yes, no, on and off" in message
    assert "put the word in quotes" in message


def test_quoted_words_and_numbers_are_labels(load):
    mapping = load("""cohort: {label_values: {"no": C, "01": A, 0123: B, 7: B, 1:30: A}}""").cohort.label_values
    assert mapping == {"no": "C", "01": "A", "0123": "B", "7": "B", "1:30": "A"}


def test_leading_zero_is_neither_octal_nor_dropped(complaint):
    message = complaint("splits: {split_seed: 0123}")
    assert "splits.split_seed: Input should be a valid integer, got '0123'" in message
    assert "leading zero: write the number without" in message


def test_decimal_as_label_is_to_be_quoted(complaint):
    assert "got 1.5 (put the number in quotes)" in complaint("cohort: {label_values: {x: 1.5}}")


def test_duplicate_key_is_named_with_its_line(complaint):
    message = complaint("training:\n  epochs: 3\n  epochs: 4\n")
    assert "line 3: 'epochs' is given twice" in message


def test_duplicate_section_is_refused(complaint):
    assert "'training' is given twice" in complaint("training: {epochs: 3}\ntraining: {dropout: 0.1}\n")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("training: [", "not readable as YAML"),
        ("- training", "expected sections such as `training:`, got list"),
        ("just words", "expected sections such as `training:`, got str"),
        ("? [a, b]\n: 1", "not readable as YAML"),
        ("study: !!python/object:os.system {}", "not readable as YAML"),
    ],
)
def test_file_that_holds_no_sections(complaint, text, part):
    assert part in complaint(text)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"absent\.yaml: no such parameter file"):
        load_study(tmp_path / "absent.yaml")


def test_file_in_another_encoding_is_named(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("study: {title: Wirbelkörper}".encode("latin-1"))
    with pytest.raises(ParameterError, match=r"latin\.yaml: not UTF-8"):
        load_study(file)


def test_byte_order_mark_of_a_windows_editor_is_no_matter(tmp_path):
    file = tmp_path / "bom.yaml"
    file.write_bytes("study: {title: Wirbelkörper}".encode("utf-8-sig"))
    assert load_study(file).study.title == "Wirbelkörper"


class TestOverrides:
    def test_replace_a_value_of_the_file(self, load):
        study = load("training: {epochs: 3, dropout: 0.1}", overrides=["training.epochs=5"])
        assert (study.training.epochs, study.training.dropout) == (5, 0.1)

    def test_add_a_section_and_read_the_value_as_yaml(self, load):
        study = load("", overrides=["training.seeds=[1, 2]", "cohort.normal_class=null", "study.title=a=b"])
        assert study.training.seeds == [1, 2]
        assert study.cohort.normal_class is None
        assert study.study.title == "a=b"

    def test_the_last_one_counts(self, load):
        assert load("", overrides=["training.epochs=5", "training.epochs=6"]).training.epochs == 6

    def test_problems_name_the_parameter(self, complaint):
        assert "training.epcohs: unknown name; did you mean 'epochs'?" in complaint("", overrides=["training.epcohs=3"])

    @pytest.mark.parametrize("text", ["epochs=3", "training.epochs", "training.epochs:3", "a.b.c=3"])
    def test_other_forms_are_explained(self, complaint, text):
        message = complaint("", overrides=[text])
        assert text in message
        assert "section.name=value" in message

    def test_value_that_is_no_yaml_is_named(self, complaint):
        assert "--set training.seeds=[1" in complaint("", overrides=["training.seeds=[1"])


class TestParametersCell:
    def test_reads_the_section_out_of_a_namespace(self):
        namespace = {"n_bootstrap": 500, "confidence": 0.9, "seed": 3, "run_dir": "runs/x", "pandas": object()}
        assert read_parameters(EvaluationParams, namespace) == EvaluationParams(n_bootstrap=500, confidence=0.9, seed=3)

    def test_wrong_value_is_named(self):
        with pytest.raises(ParameterError, match=r"parameters cell: 1 problem.*\n  - confidence: .*got 95"):
            read_parameters(EvaluationParams, {"confidence": 95})


@settings(deadline=None)
@given(
    epochs=st.integers(1, 1000),
    rate=st.floats(1e-12, 1.0),
    title=WORDS,
    labels=st.dictionaries(WORDS, st.sampled_from("ABC")),
)
def test_a_dumped_study_is_read_back_unchanged(tmp_path_factory, epochs, rate, title, labels):
    study = validate(
        Study,
        {
            "study": {"title": title},
            "cohort": {"label_values": labels},
            "training": {"epochs": epochs, "learning_rate": rate},
        },
        origin="test",
    )
    file = tmp_path_factory.mktemp("dumped") / "params.yaml"
    file.write_text(yaml.safe_dump(study.model_dump(), allow_unicode=True), encoding="utf-8")
    assert load_study(file) == study
