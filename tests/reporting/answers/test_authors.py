"""What authors are asked, and when a simulated cohort spares them the question."""

import pytest

from helpers.reporting.answers import Status
from helpers.reporting.answers.authors import OF_ANY_STUDY, OF_PATIENTS
from helpers.reporting.study_card import StudyCard


def test_questions_are_fields_of_the_card():
    assert set(OF_ANY_STUDY) | set(OF_PATIENTS) <= set(StudyCard.model_fields)


@pytest.mark.parametrize("name", OF_PATIENTS)
def test_simulated_images_raise_no_question_of_patients(answers_of, name):
    assert answers_of()[name].status == Status.INAPPLICABLE


def test_an_external_cohort_of_patients_raises_them(answers_of, real):
    answers = answers_of(external=[{"name": "far", **real}])
    assert {answers[name].status for name in (*OF_ANY_STUDY, *OF_PATIENTS)} == {Status.AUTHOR}


def test_the_author_is_quoted(answers_of, real):
    answers = answers_of(cohort=real, card={"ethics": "Waived, no. 12."})
    assert (answers["ethics"].status, answers["ethics"].text) == (Status.REPORTED, "Waived, no. 12.")
    assert answers["funding"].status == Status.AUTHOR
