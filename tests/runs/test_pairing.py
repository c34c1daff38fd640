import numpy as np
import pandas as pd
import pytest

from helpers.evaluation import comparison, out_of_fold
from helpers.runs.numbers import metrics_by_place
from helpers.runs.pairing import changed_answers, on_shared_samples, overlap, paired_differences
from helpers.runs.side import open_side
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200, severity_order=["C", "A", "B"])


@pytest.fixture
def sides(two_runs):
    return tuple(map(open_side, two_runs))


@pytest.fixture
def differences(sides):
    tables = on_shared_samples(*(side.answers for side in sides))
    return paired_differences(*tables, classes=list("ABC"), normal_class="C", params=PARAMS)


@pytest.mark.parametrize("measure", ["accuracy", "balanced_accuracy", "macro_auroc", "brier"])
def test_differences_are_those_of_the_paired_comparison(sides, differences, measure):
    expected = comparison.compare(*(side.answers for side in sides), measure=measure, params=PARAMS).difference
    found = differences["overall", measure]
    assert (found.estimate, found.ci_low, found.ci_high) == pytest.approx(
        (expected.estimate, expected.ci_low, expected.ci_high)
    )


def test_every_main_metric_has_its_difference(sides, differences):
    first, second = (metrics_by_place(side.record.metrics) for side in sides)
    main = {place for place in first if place[0] in ("overall", "per_class", "fracture_vs_normal")}
    assert set(differences) == main
    for place in main:
        assert differences[place].estimate == pytest.approx(first[place]["estimate"] - second[place]["estimate"])


def test_without_a_normal_class_or_an_order_their_metrics_are_left_out(sides):
    table = sides[0].answers
    params = EvaluationParams(n_bootstrap=100)
    found = paired_differences(table, table, classes=list("ABC"), normal_class=None, params=params)
    assert {place[0] for place in found} == {"overall", "per_class"}
    assert ("overall", "weighted_kappa") not in found
    assert all(metric.estimate == 0 for metric in found.values())


def cohort(**changes: list) -> pd.DataFrame:
    facts = {"sample_id": ["a", "b", "c"], "PatientID": ["1", "1", "2"], "label": ["A", "B", "C"]}
    return pd.DataFrame(facts | {"pixel_sha256": ["x", "y", "z"]} | changes)


@pytest.mark.parametrize(
    "changes", [{"label": ["A", "A", "C"]}, {"PatientID": ["1", "3", "2"]}, {"pixel_sha256": ["x", "-", "z"]}]
)
def test_another_label_patient_or_picture_is_another_sample(changes):
    found = overlap(cohort(), cohort(**changes))
    assert (found.shared, found.changed, found.is_same_cohort) == (("a", "c"), ("b",), False)


def test_samples_of_one_cohort_only():
    found = overlap(cohort(), cohort(sample_id=["a", "d", "c"]))
    assert (found.shared, found.only_first, found.only_second) == (("a", "c"), ("b",), ("d",))
    assert overlap(cohort(), cohort().sample(frac=1, random_state=0)).is_same_cohort


def test_changed_answers_say_who_is_right():
    def answers(predicted: str) -> pd.DataFrame:
        return pd.DataFrame({"sample_id": list("wxyz"), "PatientID": "1", "y_true": "A", "y_pred": list(predicted)})

    found = changed_answers(answers("AABA"), answers("ABCA"))
    assert found[["sample_id", "first", "second", "right"]].to_numpy().tolist() == [
        ["x", "A", "B", "first"],
        ["y", "B", "C", "neither"],
    ]


def test_rows_are_taken_in_one_order(sides):
    ours, theirs = on_shared_samples(sides[0].answers.iloc[::-1], sides[1].answers.iloc[5:])
    assert np.array_equal(ours["sample_id"], theirs["sample_id"])
    assert len(ours) == len(sides[0].answers) - 5


def test_answers_are_averaged_over_folds(two_runs):
    predictions = pd.read_parquet(two_runs[0] / "predictions.parquet")
    assert open_side(two_runs[0]).answers.equals(out_of_fold(predictions, classes=list("ABC")))
