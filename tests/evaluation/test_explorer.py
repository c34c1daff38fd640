import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from helpers.evaluation import evaluate
from helpers.evaluation.explorer import START, answers_at, explore_threshold, in_words
from helpers.evaluation.questions import BURST, FRACTURE, MOST_PROBABLE

SCORE, IS_FRACTURE = np.array([0.1, 0.5, 0.9, 0.2, 0.6]), np.array([True, True, True, False, False])


def test_counts_by_hand():
    assert answers_at(SCORE, IS_FRACTURE, threshold=0.5).tolist() == [[2, 1], [1, 1]]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.floats(0, 1))
def test_counts_are_those_of_scikit_learn(images, threshold):
    score, is_fracture = (np.array(column) for column in zip(*images, strict=True))
    expected = confusion_matrix(is_fracture, score >= threshold, labels=[True, False])
    np.testing.assert_array_equal(answers_at(score, is_fracture, threshold=threshold), expected)


def test_the_sentence_has_both_shares():
    assert in_words(np.array([[3, 1], [2, 8]]), threshold=0.25) == (
        "Called a fracture from a probability of 0.25 on: 3 of 4 fractures are found (sensitivity 75.0 %), and 8 of 10 "
        "normal images are left alone (specificity 80.0 %)."
    )


def test_the_slider_moves_the_figure_and_its_words(evaluation):
    live = explore_threshold(evaluation)
    before = live.view.value
    assert f"{START:.2f}" in before
    live.controls["threshold"].value = 1.0
    assert "probability of 1.00 on: 0 of" in live.view.value
    assert live.view.value != before
    live.controls["threshold"].value = 0.0
    assert "(specificity 0.0 %)" in live.view.value
    live.controls["threshold"].value = START
    assert live.view.value == before


def test_with_two_classes_one_half_is_the_most_probable_class(make_study):
    frame = make_study(seed=4).drop(columns="logit_B").query("y_true != 'B'")
    result = evaluate(frame, class_names={"A": "fracture", "C": "normal"}, normal_class="C", n_bootstrap=50)
    assert BURST not in result.questions
    found = result.questions[FRACTURE].points[MOST_PROBABLE].metrics
    text = explore_threshold(result).view.value
    assert f"(sensitivity {100 * found['sensitivity'].estimate:.1f} %)" in text
    assert f"(specificity {100 * found['specificity'].estimate:.1f} %)" in text


@pytest.mark.parametrize(("labels", "normal"), [("AABB", "C"), ("CCCC", "C"), ("AABC", None)])
def test_without_both_kinds_it_is_a_sentence(make_answers, class_names, labels, normal):
    result = evaluate(make_answers(labels, labels), class_names=class_names, normal_class=normal, n_bootstrap=20)
    assert "no threshold to move" in explore_threshold(result).data
