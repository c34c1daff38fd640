"""Places of the report, and when a question is left to the author."""

from hypothesis import given
from hypothesis import strategies as st

from helpers.reporting.answers import QUESTIONS, Status
from helpers.reporting.answers.evidence import find_heading, sentences
from helpers.reporting.forms import PARTS_OF_THE_PAGE
from helpers.reporting.markup import Heading

HEADINGS = (
    Heading(2, "1 · Audit", "notebook-01"),
    Heading(3, "7 · Leakage", "notebook-01-7-leakage"),
    Heading(3, "2 · Leakage", "notebook-02-2-leakage"),
)


def test_a_heading_is_found_whatever_its_number():
    assert find_heading("02/leakage", headings=HEADINGS).text == "2 · Leakage"
    assert find_heading("03/leakage", headings=HEADINGS) is None
    assert find_heading("methods", headings=HEADINGS) is None


@given(st.integers(1, 9), st.lists(st.text("abc", min_size=1), min_size=1, max_size=6))
def test_first_sentences_are_a_beginning_of_the_paragraph(first, words):
    paragraph = ". ".join(words)
    begun = sentences(paragraph, first=first)
    assert paragraph.startswith(begun)
    assert begun.count(". ") <= first - 1


def test_decimals_do_not_end_a_sentence():
    assert sentences("Cut to 0.714 mm. Then more.", first=1) == "Cut to 0.714 mm."


def test_every_place_is_a_section_of_the_notebooks_or_of_the_page(answers_of, headings):
    places = {answer.place for answer in answers_of().values()} - {""}
    places |= {"04/as-sure-as-it-is-right", "04/better-than-what-needs-no-network", "04/external-cohorts"}
    lost = [p for p in places if p not in PARTS_OF_THE_PAGE and find_heading(p, headings=headings) is None]
    assert lost == []


def test_a_run_that_has_only_begun_says_so(make_run, answers_of):
    folder = make_run(notebooks=0)
    for name in ("metrics.json", "audit.json", "provenance.json"):
        (folder / name).unlink()
    answers = answers_of(folder)
    assert set(answers) == set(QUESTIONS)
    for key in ("internal_test", "external_test", "participants", "parts", "calibration", "software", "selection"):
        assert answers[key].status == Status.ABSENT
