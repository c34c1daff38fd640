import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.evaluation import evaluate
from helpers.evaluation.questions import (
    BURST,
    FRACTURE,
    HIGH_SENSITIVITY,
    HIGH_SPECIFICITY,
    MOST_PROBABLE,
    RULES,
    WANTED,
    YOUDEN,
    clinical_questions,
    sensitive_cut,
    specific_cut,
    youden_cut,
)
from helpers.evaluation.scores import ScoredCohort
from helpers.evaluation.threshold import best_cuts
from helpers.study import EvaluationParams

PAIRS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=30).filter(
    lambda pairs: len({positive for positive, _ in pairs}) == 2
)


def columns(pairs):
    positive, scores = (np.array(column) for column in zip(*pairs, strict=True))
    return scores / 10, positive.astype(bool)


def shares(scores, positive, cut):
    called = scores >= cut
    return called[positive].mean(), (~called[~positive]).mean()


@given(PAIRS)
def test_no_other_threshold_does_better_under_its_rule(pairs):
    scores, positive = columns(pairs)
    others = [shares(scores, positive, cut) for cut in np.arange(-0.05, 1.1, 0.1)]
    found = {name: shares(scores, positive, rule(scores, positive)) for name, rule in RULES.items()}
    assert sum(found[YOUDEN]) == pytest.approx(max(map(sum, others)))
    assert found[HIGH_SENSITIVITY][0] >= WANTED
    assert found[HIGH_SENSITIVITY][1] == max(spec for sens, spec in others if sens >= WANTED)
    assert found[HIGH_SPECIFICITY][1] >= WANTED
    assert found[HIGH_SPECIFICITY][0] == max(sens for sens, spec in others if spec >= WANTED)


@settings(deadline=None)
@given(PAIRS)
def test_thresholds_are_those_of_the_external_cohorts(pairs):
    scores, positive = columns(pairs)
    ids = [str(number) for number in range(len(scores))]
    table = pd.DataFrame({"is_fracture": positive, "score": scores, "sample_id": ids, "PatientID": ids})
    cohort = ScoredCohort(table, (), EvaluationParams(n_bootstrap=100))
    for name, rule in RULES.items():
        carried = best_cuts(cohort, rule=name)[0]
        assert shares(scores, positive, rule(scores, positive)) == shares(scores, positive, carried), name


def test_separated_scores_are_parted_half_way():
    scores, positive = np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True])
    for rule in (youden_cut, sensitive_cut, specific_cut):
        assert rule(scores, positive) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("names", "normal", "expected"),
    [
        ({"A": "compression", "B": "burst", "C": "normal"}, "C", {FRACTURE: ("A", "B"), BURST: ("B",)}),
        ({"x": "Incomplete burst", "y": "Complete burst", "z": "other"}, None, {BURST: ("x", "y")}),
        ({"f": "fracture", "n": "normal"}, "n", {FRACTURE: ("f",)}),
    ],
)
def test_questions_are_those_that_the_classes_can_answer(names, normal, expected):
    assert clinical_questions(names, normal_class=normal) == expected


@pytest.fixture(scope="module")
def validated(study_predictions):
    """Each fold's training rows serve as its validation rows."""
    return study_predictions.replace({"split": {"train": "validation"}})


@pytest.fixture(scope="module")
def answered(validated, class_names):
    return evaluate(validated, class_names=class_names, normal_class="C", n_bootstrap=100, prevalences=[0.05])


def test_most_probable_class_gives_the_numbers_of_the_confusion_matrix(answered):
    for question, metrics in ((FRACTURE, answered.fracture_vs_normal), (BURST, answered.per_class["B"])):
        point = answered.questions[question].points[MOST_PROBABLE]
        assert dict(point.thresholds) == {}
        for name in ("sensitivity", "specificity", "ppv", "npv", "f1"):
            assert point.metrics[name].estimate == pytest.approx(metrics[name].estimate)


def test_thresholds_come_from_validation_and_are_applied_in_their_own_fold(answered, validated):
    point = answered.questions[BURST].points[YOUDEN]
    rows = validated.assign(score=_burst_score(validated))
    called = []
    for fold, part in rows.groupby("fold"):
        known, tested = (part[part["split"] == split] for split in ("validation", "test"))
        cut = youden_cut(known["score"].to_numpy(), (known["y_true"] == "B").to_numpy())
        assert point.thresholds[fold] == pytest.approx(cut)
        called.append(tested.assign(called=tested["score"] >= cut))
    called = pd.concat(called)
    bursts = called[called["y_true"] == "B"]
    assert point.metrics["sensitivity"].estimate == pytest.approx(bursts["called"].mean())
    assert "ppv_at_0.05" in point.metrics


def test_labels_of_test_images_do_not_move_a_threshold(validated, class_names, answered):
    keys = np.where(validated["split"] == "test", "C", validated["y_true"])
    # a sample has one label in all folds: give the tested copy a name of its own
    names = validated["sample_id"].where(validated["split"] != "test", "t" + validated["sample_id"])
    changed = validated.assign(y_true=keys, sample_id=names)
    other = evaluate(changed, class_names=class_names, normal_class="C", n_bootstrap=100)
    for rule in RULES:
        expected = answered.questions[FRACTURE].points[rule].thresholds
        assert other.questions[FRACTURE].points[rule].thresholds == expected


def test_without_validation_there_is_no_threshold_and_the_reason_is_said(evaluation):
    question = evaluation.questions[FRACTURE]
    assert list(question.points) == [MOST_PROBABLE]
    assert question.missing.startswith("no thresholds: validation of fold 0, 1, 2 lacks")


def _burst_score(rows):
    powers = np.exp(rows[["logit_A", "logit_B", "logit_C"]].to_numpy(dtype=float))
    return powers[:, 1] / powers.sum(axis=1)
