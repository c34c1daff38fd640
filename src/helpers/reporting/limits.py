"""What the results of a run do not show."""

from collections.abc import Iterator, Mapping
from typing import Any

from helpers.reporting.record import RunRecord
from helpers.reporting.start import starting_point
from helpers.reporting.wording import KNOWN_PATIENTS, listed
from helpers.study.caution import caution


def describe_limits(record: RunRecord) -> tuple[str, ...]:
    """Limits that follow from the parameters and artefacts of a run; the notebooks tell those of each step."""
    return tuple(_limits(record))


def _limits(record: RunRecord) -> Iterator[str]:
    study = record.study
    yield "Not a medical device: not for diagnosis or any decision about a patient."
    if record.is_simulated:
        yield f"The cohort is simulated. {caution(study.cohort)}"
        yield (
            "The default settings were chosen on the project's default cohort, by its held-out images too. On that "
            "cohort results may be a little better than on other patients simulated alike."
        )
    if record.tests_known_patients:
        yield KNOWN_PATIENTS
    if noted := [name.replace("_", " ") for name, found in _verdicts(record) if found["status"] in ("warn", "fail")]:
        yield f"The audit found something to note: {listed(noted)}; what it is stands under Study flow."
    yield from _of_external_cohorts(record)
    yield f"Starting point: {starting_point(record).sentence()}"
    if len(study.training.seeds) == 1:
        yield "One training seed: the interval covers the choice of patients, not the chance in training."
    names = {name.lower() for name in study.cohort.class_names.values()}
    if {"compression", "burst"} <= names:
        yield "Class letters follow Yin et al. 2024; in the AO Spine system compression and burst are both of type A."
    yield "The images of Yin et al. 2024 are not available to us, so their published accuracy is not tested here."


def _of_external_cohorts(record: RunRecord) -> Iterator[str]:
    if not (record.metrics and record.metrics["external"]):
        yield (
            "No external test: every test image comes from the same cohort as the training images. Another hospital's "
            "images usually give lower numbers."
        )
    for cohort in record.study.external.external:
        if cohort.times_scored > 1:
            yield (
                f"{cohort.name} was scored {cohort.times_scored} times, and settings were changed after its scores had "
                "been seen: it is no untouched test any more."
            )


def _verdicts(record: RunRecord) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Verdicts of the audit by name, without the one that says what a limit of its own says: simulated images."""
    verdicts = record.audit["verdicts"] if record.audit else {}
    return ((name, found) for name, found in verdicts.items() if name != "simulated")
