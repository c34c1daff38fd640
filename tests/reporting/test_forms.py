"""Checklists and cards: numbering as published, answers that exist, links that lead somewhere, words escaped."""

import pytest
from bs4 import BeautifulSoup

from helpers.reporting import build_report
from helpers.reporting.answers import QUESTIONS, Answer, Status
from helpers.reporting.forms import CARDS, CHECKLISTS, JUDGED, Form, fill_form, link, read_form
from helpers.reporting.markup import Heading
from helpers.study.parameter_files import validate

# Items with letters, as the checklist of TRIPOD+AI has them.
LETTERS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}
HEADINGS = (Heading(2, "4 · Evaluation", "notebook-04"), Heading(3, "3 · Overall", "notebook-04-3-overall"))


@pytest.fixture(scope="module")
def soup(complete_report):
    return BeautifulSoup(complete_report.read_text(encoding="utf-8"), "html.parser")


def items_of(form: Form) -> list:
    return [item for part in form.sections for item in part.items]


def form_of(*items: dict, **conditions: dict) -> Form:
    content = {"title": "T", "anchor": "t", "source": "S", "doi": "10.1/x", "conditions": conditions}
    return validate(Form, content | {"sections": [{"title": "all", "items": list(items)}]}, origin="test")


def statuses(form: Form, answers: dict) -> list[str]:
    filled = fill_form(form, answers=answers, headings=())
    return [item.status for part in filled.sections.values() for item in part]


class TestPublishedForms:
    @pytest.mark.parametrize(("name", "number"), [("claim", 44), ("metrics", 30)])
    def test_are_numbered_without_gap(self, name, number):
        assert [item.number for item in items_of(read_form(name))] == [str(n) for n in range(1, number + 1)]

    def test_tripod_ai_has_27_items_and_their_letters(self):
        expected = [f"{number}{letter}" for number in range(1, 28) for letter in LETTERS.get(number, ("",))]
        assert [item.number for item in items_of(read_form("tripod_ai"))] == expected

    def test_weights_of_metrics_add_up_to_one(self):
        weights = [item.weight for item in items_of(read_form("metrics"))]
        assert min(weights) > 0
        assert sum(weights) == pytest.approx(1, abs=2e-3)  # they are published with four decimals

    def test_every_question_can_be_answered_and_every_answer_is_asked_for(self):
        asked = {item.answer for name in (*CHECKLISTS, *CARDS) for item in items_of(read_form(name))}
        assert asked == set(QUESTIONS)

    def test_conditions_of_items_exist(self):
        form = read_form("metrics")
        assert {item.condition for item in items_of(form)} - {None} <= set(form.conditions)


class TestFill:
    def test_an_item_whose_condition_does_not_hold_is_left_out_with_the_reason(self):
        condition = {"asks": "features", "holds": False, "why": "none are used"}
        form = form_of({"asks": "a", "answer": "x", "condition": "3"}, **{"3": condition})
        (item,) = fill_form(form, answers={"x": Answer(Status.REPORTED, "yes")}, headings=()).sections["all"]
        assert (item.status, item.text) == (Status.INAPPLICABLE, "None are used.")

    def test_what_asks_for_a_judgement_is_never_said_to_be_met(self):
        form = form_of(*({"asks": "a", "answer": key, "judged": True} for key in "abc"))
        answers = {
            "a": Answer(Status.REPORTED, "Two readers."),
            "b": Answer(Status.AUTHOR),
            "c": Answer(Status.INAPPLICABLE, "No reader."),
        }
        assert statuses(form, answers) == [JUDGED, Status.AUTHOR, Status.ABSENT]

    def test_score_lies_between_no_and_yes_to_what_is_left_to_people(self):
        condition = {"asks": "features", "holds": False, "why": "none"}
        items = (
            {"number": "1", "asks": "a", "answer": "done", "weight": 0.3},
            {"number": "2", "asks": "b", "answer": "author", "weight": 0.1},
            {"number": "3", "asks": "c", "answer": "absent", "weight": 0.1},
            {"number": "4", "asks": "d", "answer": "done", "weight": 0.5, "condition": "1"},
        )
        answers = {"done": Answer(Status.REPORTED), "author": Answer(Status.AUTHOR), "absent": Answer(Status.ABSENT)}
        outcome = fill_form(form_of(*items, **{"1": condition}), answers=answers, headings=()).outcome
        assert "from 60 % " in outcome
        assert " to 80 % " in outcome

    def test_no_score_without_weights(self):
        form = form_of({"asks": "a", "answer": "x"})
        assert fill_form(form, answers={"x": Answer(Status.REPORTED)}, headings=()).outcome == "1 items: reported 1."


class TestLink:
    def test_leads_to_the_section(self):
        assert link("04/overall", headings=HEADINGS) == ("#notebook-04-3-overall", "3 · Overall")

    def test_leads_to_the_notebook_where_it_has_no_such_section(self):
        assert link("04/curves", headings=HEADINGS) == ("#notebook-04", "4 · Evaluation")

    def test_is_left_out_where_the_report_has_neither(self):
        assert link("05/errors", headings=HEADINGS) == ("", "")
        assert link("", headings=HEADINGS) == ("", "")


class TestPage:
    def test_holds_every_item_of_every_form(self, soup):
        for name in (*CHECKLISTS, *CARDS):
            form = read_form(name)
            table = soup.find(id=form.anchor).find_next("table")
            asked = [row.find("th", scope="row").get_text() for row in table.select("tbody tr") if row.find("td")]
            assert asked == [item.asks for item in items_of(form)]

    def test_cites_every_source(self, soup):
        dois = {a["href"] for a in soup.find_all("a", href=True) if a["href"].startswith("https://doi.org/")}
        assert {f"https://doi.org/{read_form(name).doi}" for name in (*CHECKLISTS, *CARDS)} <= dois

    def test_links_of_answers_lead_somewhere(self, soup):
        links = [a["href"][1:] for a in soup.select("table.form td a")]
        assert len(links) > 50
        assert all(soup.find(id=anchor) for anchor in links)

    def test_words_of_the_authors_are_shown_and_escaped(self, make_run, tmp_path, hostile):
        (tmp_path / "card.yaml").write_text(f"funding: 'None {hostile}'\n", encoding="utf-8")
        folder = make_run(notebooks=1, study={"name": "fabricated", "card": str(tmp_path / "card.yaml")})
        text = build_report(folder).read_text(encoding="utf-8")
        assert hostile not in text
        assert text.count("None &lt;script&gt;") == 3  # CLAIM, TRIPOD+AI and the datasheet
        assert str(tmp_path) not in text
