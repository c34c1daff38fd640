"""Questions that the authors answer in the study card, and no run can."""

from collections.abc import Mapping
from functools import partial

from helpers.reporting.answers.evidence import Answer, Evidence, Question

# Each is a field of the study card.
OF_ANY_STUDY = (
    "abstract",
    "background",
    "protocol",
    "patient_involvement",
    "interpretation",
    "next_steps",
    "code_availability",
    "model_availability",
    "funding",
    "conflicts",
    "contact",
)
OF_PATIENTS = (
    "inequalities",
    "design",
    "site",
    "inclusion_dates",
    "eligibility",
    "treatment",
    "reference_interval",
    "readers",
    "blinding",
    "ethics",
    "registration",
)


def _from_card(evidence: Evidence, *, name: str) -> Answer:
    return evidence.from_card(name)


def _of_patients(evidence: Evidence, *, name: str) -> Answer:
    return evidence.of_patients(name)


QUESTIONS: Mapping[str, Question] = {
    **{name: partial(_from_card, name=name) for name in OF_ANY_STUDY},
    **{name: partial(_of_patients, name=name) for name in OF_PATIENTS},
}
