import dataclasses

import pytest

from helpers.evaluation import EvaluationError, consistency_checks, require_passed


@pytest.fixture
def cohort(evaluation):
    return evaluation.samples[["sample_id", "PatientID", "y_true"]].rename(columns={"y_true": "label"})


def failed(evaluation, cohort):
    checks = consistency_checks(evaluation, cohort=cohort)
    return checks.loc[~checks["holds"], "check"].tolist()


def test_sound_evaluation_passes_every_check(evaluation, cohort):
    checks = consistency_checks(evaluation, cohort=cohort)
    assert checks["holds"].all()
    assert len(checks) == 6
    require_passed(checks)


def test_cohort_samples_that_are_never_held_out_are_counted(evaluation, cohort):
    larger = cohort.merge(cohort.assign(sample_id=cohort["sample_id"] + "x"), how="outer")
    checks = consistency_checks(evaluation, cohort=larger)
    assert checks["holds"].all()
    assert f"{len(cohort)} cohort samples are never held out" in checks["detail"].tolist()


def test_sample_unknown_to_the_cohort_is_found(evaluation, cohort):
    assert "every evaluated sample is in the cohort" in failed(evaluation, cohort.iloc[1:])


@pytest.mark.parametrize("column", ["label", "PatientID"])
def test_label_or_patient_that_differs_from_the_cohort_is_found(evaluation, cohort, column):
    cohort.loc[0, column] = "other"
    assert failed(evaluation, cohort) == ["labels and patients are those of the cohort"]


def test_confusion_that_lost_a_sample_is_found(evaluation, cohort):
    broken = dataclasses.replace(evaluation, confusion=evaluation.confusion - 1)
    assert failed(broken, cohort) == ["confusion rows add up to the class sizes"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"estimate": 0.123}, "accuracy equals scikit-learn's"),
        ({"ci_high": 1.2}, "estimates and limits lie within their range"),
        ({"ci_low": 0.5, "ci_high": 0.5}, "no interval has zero width"),
    ],
)
def test_altered_number_is_found(evaluation, cohort, change, check):
    accuracy = dataclasses.replace(evaluation.overall["accuracy"], **change)
    broken = dataclasses.replace(evaluation, overall={**evaluation.overall, "accuracy": accuracy})
    assert failed(broken, cohort) == [check]


def test_failed_check_stops_by_name(evaluation, cohort):
    checks = consistency_checks(evaluation, cohort=cohort.iloc[1:])
    with pytest.raises(EvaluationError, match="every evaluated sample is in the cohort"):
        require_passed(checks)
