"""Where answers come from, and the four ways in which a question can be answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from helpers.reporting.markup import Heading
from helpers.reporting.methods import describe_methods
from helpers.reporting.record import RunRecord
from helpers.reporting.study_card import StudyCard
from helpers.study.params import CohortParams, Study


class Status(StrEnum):
    """How a question is answered; the value is what the report prints."""

    REPORTED = "reported"
    ABSENT = "not done"
    AUTHOR = "author must supply"
    INAPPLICABLE = "does not apply"


@dataclass(frozen=True)
class Answer:
    """One answer.

    Parameters
    ----------
    status
        How the question is answered.
    text
        The answer or the reason in a sentence or two; may be empty where the author has to supply it.
    place
        Where the report shows more: an id of the page such as ``methods``, or number of the notebook and words of a
        heading such as ``04/overall-metrics``.
    """

    status: Status
    text: str = ""
    place: str = ""


Question = Callable[["Evidence"], Answer]


def reported(text: str, place: str = "") -> Answer:
    """An answer that this run gives."""
    return Answer(Status.REPORTED, text, place)


def absent(text: str, place: str = "") -> Answer:
    """What this study did not do."""
    return Answer(Status.ABSENT, text, place)


def inapplicable(text: str, place: str = "") -> Answer:
    """A question that this study does not raise, with the reason."""
    return Answer(Status.INAPPLICABLE, text, place)


@dataclass(frozen=True)
class Evidence:
    """One run, its study card, and the headings of the report that an answer may point to."""

    record: RunRecord
    card: StudyCard
    headings: Sequence[Heading] = field(repr=False)

    @property
    def study(self) -> Study:
        """The parameters."""
        return self.record.study

    @property
    def is_simulated(self) -> bool:
        """Whether the cohort that is trained on is simulated."""
        return self.record.is_simulated

    @property
    def cohorts(self) -> tuple[CohortParams, ...]:
        """The cohort that is trained on, and the external ones."""
        return (self.study.cohort, *self.study.external.external)

    @property
    def has_patients(self) -> bool:
        """Whether any cohort, external ones included, may show patients."""
        return any(cohort.source != "phantom" for cohort in self.cohorts)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Content of metrics.json, empty before the evaluation."""
        return self.record.metrics or {}

    @property
    def audit(self) -> Mapping[str, Any]:
        """Content of audit.json, empty before the audit."""
        return self.record.audit or {}

    @cached_property
    def methods(self) -> Mapping[str, str]:
        """Paragraphs of the methods by their title."""
        return {paragraph.title: paragraph.text for paragraph in describe_methods(self.record)}

    def verdict(self, name: str) -> Mapping[str, Any] | None:
        """A verdict of the audit that was tested, or None."""
        found = self.audit.get("verdicts", {}).get(name)
        return None if found is None or found["status"] == "untested" else found

    def shows(self, place: str) -> bool:
        """Whether the report has a heading for a place in a notebook."""
        return find_heading(place, headings=self.headings) is not None

    def from_card(self, name: str, *, place: str = "") -> Answer:
        """The author's words, or that they are missing."""
        words = getattr(self.card, name)
        return reported(words, place) if words else Answer(Status.AUTHOR, place=place)

    def of_patients(self, name: str, *, place: str = "") -> Answer:
        """The author's words to a question about patients, which a study of simulated images alone does not raise."""
        if getattr(self.card, name) or self.has_patients:
            return self.from_card(name, place=place)
        return inapplicable("The images are simulated: no patient and no reader took part.", place)


def find_heading(place: str, *, headings: Sequence[Heading]) -> Heading | None:
    """Heading of a place such as ``04/overall-metrics``, whatever the number of its section; None if there is none."""
    number, _, words = place.partition("/")
    start, end = f"notebook-{number}-", f"-{words}"
    return next((h for h in headings if words and h.anchor.startswith(start) and h.anchor.endswith(end)), None)


def sentences(text: str, *, first: int) -> str:
    """The first sentences of a paragraph."""
    parts = text.replace(". ", ".\n").splitlines()
    return " ".join(parts[:first])
