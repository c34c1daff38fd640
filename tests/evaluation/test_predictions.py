import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from helpers.evaluation.predictions import PredictionsError, fold_predictions, out_of_fold, training_predictions

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0]])


@pytest.fixture
def frame(make_predictions):
    return make_predictions("ABC", LOGITS)


def test_probabilities_are_softmax_of_logits(frame):
    table = out_of_fold(frame, classes="ABC")
    assert list(table) == ["sample_id", "PatientID", "y_true", "y_pred", "p_A", "p_B", "p_C"]
    np.testing.assert_allclose(table[["p_A", "p_B", "p_C"]], softmax(LOGITS, axis=1), rtol=1e-6)
    assert table["y_pred"].tolist() == ["A", "B", "C"]


def test_seeds_are_averaged_as_probabilities_not_as_logits(make_predictions):
    first, second = np.array([[10.0, 0.0]]), np.array([[0.0, 1.0]])
    both = pd.concat([make_predictions("A", rows, classes="AB", seed=s) for s, rows in enumerate((first, second))])
    table = out_of_fold(both, classes="AB")
    expected = (softmax(first, axis=1) + softmax(second, axis=1)) / 2
    np.testing.assert_allclose(table[["p_A", "p_B"]], expected, rtol=1e-6)
    assert len(table) == 1


def test_sample_tested_in_two_folds_becomes_one_row_but_two_fold_rows(make_predictions):
    both = pd.concat([make_predictions("ABC", LOGITS, fold=fold) for fold in (0, 1)])
    assert len(out_of_fold(both, classes="ABC")) == 3
    assert fold_predictions(both, classes="ABC")["fold"].tolist() == [0, 0, 0, 1, 1, 1]


def test_only_rows_of_the_split_are_used(make_predictions, frame):
    training = make_predictions("ABC", -LOGITS, split="train", fold=1)
    everything = pd.concat([frame, training])
    pd.testing.assert_frame_equal(out_of_fold(everything, classes="ABC"), out_of_fold(frame, classes="ABC"))
    assert training_predictions(everything, classes="ABC")["y_pred"].tolist() == ["C", "C", "A"]


def test_no_training_rows_give_an_empty_table_with_all_columns(frame):
    table = training_predictions(frame, classes="ABC")
    assert table.empty
    assert list(table) == ["fold", "sample_id", "PatientID", "y_true", "y_pred", "p_A", "p_B", "p_C"]


def test_extreme_logits_stay_finite(make_predictions):
    table = out_of_fold(make_predictions("A", [[3e38, -3e38]], classes="AB"), classes="AB")
    assert table[["p_A", "p_B"]].to_numpy().tolist() == [[1.0, 0.0]]


def test_equal_probabilities_go_to_the_first_class_in_reporting_order(make_predictions):
    tied = make_predictions("A", [[1.0, 1.0, 1.0]])
    assert out_of_fold(tied, classes="ABC")["y_pred"].tolist() == ["A"]
    assert out_of_fold(tied, classes="CAB")["y_pred"].tolist() == ["C"]


def test_result_is_identical_to_the_bit_in_any_row_order(study_predictions):
    shuffled = study_predictions.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        out_of_fold(study_predictions, classes="ABC"), out_of_fold(shuffled, classes="ABC"), check_exact=True
    )


def test_input_is_left_as_it_was(study_predictions):
    before = study_predictions.copy()
    out_of_fold(study_predictions, classes="ABC")
    pd.testing.assert_frame_equal(study_predictions, before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="logit_B"), ["logit_B", "cohort.class_names", "notebook 03"]),
        (lambda f: f.drop(columns="PatientID"), ["PatientID", "notebook 03"]),
        (lambda f: f.assign(logit_D=0.0), ["logit_D", "add the class"]),
        (lambda f: f.assign(y_true=["A", "Z", "C"]), ["'Z'", "s1", "cohort.class_names"]),
        (lambda f: f.assign(logit_C=[0.0, np.nan, 0.0]), ["logit_C", "nan", "s1", "learning_rate"]),
        (lambda f: f.assign(logit_A=[0.0, 0.0, -np.inf]), ["logit_A", "-inf", "s2"]),
        (lambda f: pd.concat([f, f.iloc[[1]]]), ["'s1'", "2 rows", "fold 0", "seed 0"]),
        (lambda f: pd.concat([f, f.iloc[[0]].assign(split="train")]), ["'s0'", "['test', 'train']"]),
        (lambda f: f.assign(PatientID=["p", None, "q"]), ["'PatientID'", "row 1"]),
        (lambda f: pd.concat([f, f.iloc[[0]].assign(seed=1, y_true="B")]), ["'s0'", "y_true", "['A', 'B']"]),
        (lambda f: pd.concat([f, f.iloc[[0]].assign(seed=1, PatientID="x")]), ["'s0'", "PatientID", "['s0', 'x']"]),
        (lambda f: f.assign(split="train"), ["'test'", "notebook 03"]),
        (lambda f: f.iloc[:0], ["'test'"]),
    ],
)
def test_bad_table_is_refused_by_name_and_remedy(frame, change, words):
    with pytest.raises(PredictionsError) as caught:
        out_of_fold(change(frame), classes="ABC")
    for word in words:
        assert word in str(caught.value)


def test_one_class_is_refused(make_predictions):
    with pytest.raises(PredictionsError, match="fewer than two classes"):
        out_of_fold(make_predictions("A", [[1.0]], classes="A"), classes="A")
