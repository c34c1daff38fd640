"""Checklists and cards filled from a run: CLAIM 2024, TRIPOD+AI, METRICS, a model card and a datasheet.

Which form asks what stands in `questionnaires/`, in our own short words; `helpers.reporting.answers` answers. The
numbers of CLAIM were compared with the checklist of its authors' companion site, those and the weights of METRICS with
table 1 of the article and an independent copy of it. The original checklist of TRIPOD+AI could not be read: its
numbers were compared with one independent copy.

Sources
-------
CLAIM 2024: Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300.
TRIPOD+AI: Collins et al., BMJ 2024;385:e078378.
METRICS: Kocak et al., Insights into Imaging 2024;15:8.
Model card: Mitchell et al., FAT* 2019. Datasheet: Gebru et al., Communications of the ACM 2021;64(12).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

import yaml
from pydantic import Field

from helpers.reporting.answers import Answer, Evidence, Status, answer_questions
from helpers.reporting.answers.evidence import find_heading
from helpers.reporting.markup import Heading
from helpers.reporting.record import RunRecord
from helpers.reporting.study_card import read_study_card
from helpers.study.parameter_files import validate
from helpers.study.params import Section

QUESTIONNAIRES = Path(__file__).parent / "questionnaires"
CHECKLISTS = ("claim", "tripod_ai", "metrics")
CARDS = ("model_card", "datasheet")
JUDGED = "author must judge"
# Anchors of the page that are no headings of a notebook, with the words of a link to them.
PARTS_OF_THE_PAGE = {
    "summary": "Summary",
    "flow": "Study flow",
    "methods": "Methods",
    "limits": "Limits",
    "checklists": "Checklists",
    "parameters": "Parameters",
    "provenance": "Provenance",
    "environment": "Environment",
    "run-again": "How to run this again",
}


class Condition(Section):
    """What a form asks about the kind of study before it asks the items that hang on it."""

    asks: str
    holds: bool
    why: str


class Item(Section):
    """One question of a form.

    `judged` marks an item that asks how good something is: the answer is shown, but only a person can say yes to it.
    """

    number: str = ""
    asks: str
    answer: str
    weight: float = Field(0.0, ge=0, le=1)
    condition: Optional[str] = None
    judged: bool = False


class Part(Section):
    """Items under a common heading."""

    title: str
    items: list[Item] = Field(min_length=1)


class Form(Section):
    """A checklist or card as published, without answers."""

    title: str
    anchor: str
    source: str
    doi: str
    conditions: dict[str, Condition] = {}
    sections: list[Part] = Field(min_length=1)


@dataclass(frozen=True)
class FilledItem:
    """One question with its answer: status in words, text, and a link into the report with its words."""

    number: str
    asks: str
    status: str
    text: str
    href: str = ""
    where: str = ""


@dataclass(frozen=True)
class FilledForm:
    """A form of one run: its conditions in sentences, its sections of filled items, and a sentence on the outcome."""

    title: str
    anchor: str
    source: str
    doi: str
    conditions: tuple[str, ...]
    sections: Mapping[str, tuple[FilledItem, ...]]
    outcome: str


def filled_forms(record: RunRecord, *, headings: Sequence[Heading]) -> dict[str, tuple[FilledForm, ...]]:
    """`checklists` and `cards` of a run; `headings` are those of the report's notebooks.

    Raises
    ------
    ParameterError
        If the study names a study card that cannot be used.
    """
    card = read_study_card(record.study.study)
    answers = answer_questions(Evidence(record, card, headings))
    return {
        kind: tuple(fill_form(read_form(name), answers=answers, headings=headings) for name in names)
        for kind, names in (("checklists", CHECKLISTS), ("cards", CARDS))
    }


@cache
def read_form(name: str) -> Form:
    """Read one of `questionnaires/`."""
    content = yaml.safe_load((QUESTIONNAIRES / f"{name}.yaml").read_text(encoding="utf-8"))
    return validate(Form, content, origin=name)


def fill_form(form: Form, *, answers: Mapping[str, Answer], headings: Sequence[Heading]) -> FilledForm:
    """Put the answers of a run into a form.

    Parameters
    ----------
    form
        The questions.
    answers
        As `answer_questions` gives them.
    headings
        Headings of the report's notebooks, for the links.
    """
    filled = {
        part.title: tuple(_fill(item, form=form, answers=answers, headings=headings) for item in part.items)
        for part in form.sections
    }
    conditions = tuple(
        f"{condition.asks}: {'yes' if condition.holds else 'no'}, {condition.why}"
        for condition in form.conditions.values()
    )
    outcome = " ".join(_outcome(form, filled))
    return FilledForm(form.title, form.anchor, form.source, form.doi, conditions, filled, outcome)


def _fill(item: Item, *, form: Form, answers: Mapping[str, Answer], headings: Sequence[Heading]) -> FilledItem:
    condition = form.conditions.get(item.condition or "")
    if condition is not None and not condition.holds:
        return FilledItem(item.number, item.asks, Status.INAPPLICABLE, f"{condition.why.capitalize()}.")
    answer = answers[item.answer]
    href, where = link(answer.place, headings=headings)
    return FilledItem(item.number, item.asks, _status(item, answer), answer.text, href, where)


def _status(item: Item, answer: Answer) -> str:
    if item.judged and answer.status == Status.INAPPLICABLE:
        return Status.ABSENT
    return JUDGED if item.judged and answer.text else answer.status


def link(place: str, *, headings: Sequence[Heading]) -> tuple[str, str]:
    """Address and words of a link to a place of the report; both empty where the report does not show it.

    A notebook without the heading is linked as a whole.
    """
    if place in PARTS_OF_THE_PAGE:
        return f"#{place}", PARTS_OF_THE_PAGE[place]
    notebook = f"notebook-{place.partition('/')[0]}"
    whole = next((heading for heading in headings if heading.anchor == notebook), None)
    heading = find_heading(place, headings=headings) or whole
    return (f"#{heading.anchor}", heading.text) if place and heading else ("", "")


def _outcome(form: Form, sections: Mapping[str, tuple[FilledItem, ...]]) -> Iterator[str]:
    """How many items are answered how and, where items have weights, the score that follows."""
    items = [item for part in sections.values() for item in part]
    counts = Counter(item.status for item in items)
    yield f"{len(items)} items: {', '.join(f'{status} {count}' for status, count in counts.most_common())}."
    weights = {item.number: item.weight for part in form.sections for item in part.items if item.weight}
    if weights:
        yield _score(items, weights=weights)


def _score(items: Sequence[FilledItem], *, weights: Mapping[str, float]) -> str:
    """Range of the score: its ends are a no and a yes to every item that is left to a person."""
    applicable = sum(weights[item.number] for item in items if item.status != Status.INAPPLICABLE)
    sure = sum(weights[item.number] for item in items if item.status == Status.REPORTED)
    left = sum(weights[item.number] for item in items if item.status in (Status.AUTHOR, JUDGED))
    low, high = (f"{100 * share / applicable:.0f} %" for share in (sure, sure + left))
    return f"Score by the published weights: from {low} (items left to the author not met) to {high} (all of them met)."
