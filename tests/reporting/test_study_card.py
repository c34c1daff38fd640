"""The study card: strict, all problems at once, and an example that can be copied without claiming anything."""

from pathlib import Path

import pytest

from helpers.reporting.study_card import StudyCard, read_study_card
from helpers.study.params import ParameterError, StudyParams

EXAMPLE = Path(__file__).parents[2] / "params" / "study_card.example.yaml"


@pytest.fixture
def write_card(tmp_path):
    def write(text: str) -> StudyParams:
        file = tmp_path / "card.yaml"
        file.write_text(text, encoding="utf-8")
        return StudyParams(card=str(file))

    return write


def test_a_study_without_a_card_has_an_empty_one():
    assert read_study_card(StudyParams()) == StudyCard()


def test_words_are_kept_and_empty_fields_stay_empty(write_card):
    card = read_study_card(write_card("funding: None.\nethics:\nreaders: >-\n  Two radiologists:\n  8 and 15 years.\n"))
    assert card == StudyCard(funding="None.", readers="Two radiologists: 8 and 15 years.")


def test_all_problems_are_told_at_once_with_their_fields(write_card):
    with pytest.raises(ParameterError) as error:
        read_study_card(write_card("fundng: None.\nethics: 12\nsite: [a, b]\n"))
    message = str(error.value)
    assert "3 problem(s)" in message
    assert "did you mean 'funding'?" in message
    assert "ethics" in message
    assert "site" in message


def test_a_missing_file_is_named():
    with pytest.raises(ParameterError, match=r"nowhere\.yaml: no such parameter file"):
        read_study_card(StudyParams(card="nowhere.yaml"))


def test_example_names_every_field_in_order_and_claims_nothing():
    assert read_study_card(StudyParams(card=str(EXAMPLE))) == StudyCard()
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    named = [line.rstrip(":") for line in lines if line and not line.startswith("#")]
    assert named == list(StudyCard.model_fields)
    explained = [lines[lines.index(f"{name}:") - 1].removeprefix("# ") for name in named]
    assert explained == [field.description for field in StudyCard.model_fields.values()]
