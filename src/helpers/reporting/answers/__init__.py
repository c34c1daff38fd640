"""What one run answers to the questions of checklists and cards, each with the place in the report that shows it.

An answer is drawn from the parameters, the audit, the metrics and the study card of this very run. What the run does
not know is never filled in: it is said to be not done, to be left to the author, or not to apply.
"""

from collections.abc import Mapping

from helpers.reporting.answers import authors, cohort, methods, results
from helpers.reporting.answers.evidence import Answer, Evidence, Status

QUESTIONS = {**authors.QUESTIONS, **cohort.QUESTIONS, **methods.QUESTIONS, **results.QUESTIONS}

__all__ = ["QUESTIONS", "Answer", "Evidence", "Status", "answer_questions"]


def answer_questions(evidence: Evidence) -> Mapping[str, Answer]:
    """Answer every question that a checklist or card can ask, by its key."""
    return {key: question(evidence) for key, question in QUESTIONS.items()}
