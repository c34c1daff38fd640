"""What was looked at before the answer may be believed: the audit's verdicts in words, and six checks that sum them up.

The six are leakage, privacy, confounds, labels, calibration and the external test. Each links to where the report
shows it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from helpers.evaluation.summary import FEW_PATIENTS
from helpers.reporting.markup import Heading, slug
from helpers.reporting.record import RunRecord
from helpers.reporting.wording import basis, counted, listed

STATUS_WORDS = {"fail": "problem found", "warn": "to note", "untested": "not tested", "pass": "no problem found"}
STATUS_MARKS = {"fail": "✗", "warn": "!", "untested": "?", "pass": "✓"}
STATUS_ORDER = {status: rank for rank, status in enumerate(STATUS_WORDS)}
FIRST_VERDICT = "leakage"
CALIBRATION_ANCHOR, EXTERNAL_ANCHOR = "results-calibration", "results-external"

# Verdicts behind each check, and what may be said where all of them hold.
CHECKS = {
    "leakage": (("leakage",), "No patient, study, series or image lies in two parts of one fold."),
    "privacy": (
        ("privacy", "burned_in_text", "file_names"),
        "No identifier of a person found in headers, pixels or file names.",
    ),
    "confounds": (
        ("confounds", "demographics"),
        "Models of the acquisition, and of age and sex, tell the class hardly better than chance.",
    ),
    "labels": (("agreement", "label_conflicts"), "Readers agree, and no image carries two labels."),
}
# What a verdict asks, as the end of "Not tested: ".
ASKS = {
    "leakage": "whether training and test share anything",
    "privacy": "identifiers in headers",
    "burned_in_text": "text in the pixels",
    "file_names": "file names",
    "confounds": "whether the acquisition tells the class",
    "demographics": "whether age and sex tell the class",
    "agreement": "whether readers agree",
    "label_conflicts": "whether an image carries two labels",
}


@dataclass(frozen=True)
class Verdict:
    """One verdict of the audit in words, with a link to where the report shows it."""

    name: str
    status: str
    word: str
    mark: str
    checked: str
    found: int
    detail: str
    href: str

    @property
    def is_loud(self) -> bool:
        """Whether it is shown unfolded: all but what holds and what could not be tested, and leakage always."""
        return self.status not in ("pass", "untested") or self.name == FIRST_VERDICT


@dataclass(frozen=True)
class Check:
    """One of the six checks of the first screen: its status, word and sign, a sentence, and a link."""

    name: str
    status: str
    word: str
    mark: str
    text: str
    href: str

    @classmethod
    def of(cls, name: str, status: str, text: str, *, href: str = "", word: str = "") -> "Check":
        """A check with the usual sign and word of its status; one that this version does not know stays as it is."""
        said = word or STATUS_WORDS.get(status, status)
        return cls(name, status, said, STATUS_MARKS.get(status, "?"), text, href)


def audit_verdicts(record: RunRecord, *, headings: Sequence[Heading]) -> tuple[Verdict, ...]:
    """All verdicts in words: leakage first, then problems, notes, what could not be tested, and what holds.

    Parameters
    ----------
    record
        The run.
    headings
        Headings of the data audit, for the links.
    """
    if not record.audit:
        return ()
    verdicts = [
        Verdict(
            name=name.replace("_", " "),
            status=verdict["status"],
            word=STATUS_WORDS.get(verdict["status"], verdict["status"]),
            mark=STATUS_MARKS.get(verdict["status"], "?"),
            checked=verdict["checked"],
            found=verdict["found"],
            detail=verdict["detail"],
            href=section_for(name, headings=headings),
        )
        for name, verdict in record.audit["verdicts"].items()
    ]
    return tuple(sorted(verdicts, key=lambda v: (v.name != FIRST_VERDICT, _severity(v.status))))


def _severity(status: str) -> int:
    """Rank of a status, the worst first; an unknown one is taken for the worst."""
    return STATUS_ORDER.get(status, -1)


def section_for(verdict: str, *, headings: Sequence[Heading]) -> str:
    """Link to the section of the data audit whose heading shares most words with a verdict's name.

    Returns
    -------
    A fragment such as `#notebook-01-leakage`: the section on verdicts, or the notebook's start, if no heading fits.
    Empty without headings.
    """
    words = {_stem(word) for word in slug(verdict.replace("_", " ")).split("-")}
    matches = [(len(words & {_stem(word) for word in slug(heading.text).split("-")}), heading) for heading in headings]
    shared, best = max(matches, key=lambda match: match[0], default=(0, None))
    if best is None:
        return ""
    if not shared and verdict != "verdicts":
        return section_for("verdicts", headings=headings)
    return f"#{best.anchor if shared else headings[0].anchor}"


def _stem(word: str) -> str:
    return word[:5]


def six_checks(record: RunRecord, *, headings: Sequence[Heading]) -> tuple[Check, ...]:
    """The checks of the first screen.

    Parameters
    ----------
    record
        The run.
    headings
        Headings of the data audit, for the links.
    """
    return (*_audit_checks(record, headings=headings), _calibration(record), _external(record))


def _audit_checks(record: RunRecord, *, headings: Sequence[Heading]) -> Iterator[Check]:
    given = record.audit["verdicts"] if record.audit else {}
    for name, (members, holds) in CHECKS.items():
        found = {member: given[member] for member in members if member in given}
        if not found:
            yield _untested(name, "The audit does not say." if given else "No finished audit: nothing is known of it.")
            continue
        worst = min(found, key=lambda member: _severity(found[member]["status"]))
        status, word = found[worst]["status"], ""
        # where one of the verdicts is missing, the sentence for all of them would say too much
        all_hold = status == "pass" and len(found) == len(members)
        text = holds if all_hold else _of_verdict(found[worst])
        holding = [verdict["checked"] for verdict in found.values() if verdict["status"] == "pass"]
        if status == "untested" and holding:
            unknown = [ASKS[member] for member, verdict in found.items() if verdict["status"] == "untested"]
            word, text = "partly tested", f"{' '.join(holding)} Not tested: {listed(unknown)}."
        yield Check.of(name, status, text, href=section_for(worst, headings=headings), word=word)


def _untested(name: str, why: str, *, href: str = "") -> Check:
    return Check.of(name, "untested", why, href=href)


def _of_verdict(verdict: Mapping[str, Any]) -> str:
    return verdict["checked"] if verdict["status"] == "pass" else first_sentence(verdict["detail"])


def first_sentence(text: str) -> str:
    """Text up to its first full stop before a space."""
    head, stop, _ = text.partition(". ")
    return f"{head}." if stop else text


def _calibration(record: RunRecord) -> Check:
    """Whether the probabilities that a reader would see, those after scaling, are further off than chance."""
    found = (record.metrics or {}).get("calibration")
    if not found:
        return _untested("calibration", "Probabilities were not held against how often they are right.")
    error = found["after scaling"]["answer given"]["calibration_error"]
    if error["estimate"] is None:
        return _untested("calibration", str(error["note"]), href=f"#{CALIBRATION_ANCHOR}")
    by_chance = _is_by_chance(error)
    if by_chance and error["n_patients"] < FEW_PATIENTS:
        few = f"{basis(error)}: too few to tell miscalibration from chance."
        return _untested("calibration", few, href=f"#{CALIBRATION_ANCHOR}")
    off = f"After scaling, probabilities are off by {100 * error['estimate']:.1f} points on average"
    text = f"{off}, {'no more' if by_chance else 'more'} than chance explains."
    names = record.study.cohort.class_names
    of_classes = [names[key] for key in names if not _is_by_chance(found["after scaling"][key]["calibration_error"])]
    if of_classes:
        text += f" Asked of single classes, those of {listed(of_classes)} are off by more than chance."
    is_sound = by_chance and not of_classes
    return Check.of("calibration", "pass" if is_sound else "warn", text, href=f"#{CALIBRATION_ANCHOR}")


def _is_by_chance(error: Mapping[str, Any]) -> bool:
    """Whether a calibration error can be chance; one that could not be measured is no evidence against that."""
    return error["estimate"] is None or str(error["note"]).startswith("no more than chance")


def _external(record: RunRecord) -> Check:
    found = (record.metrics or {}).get("external") or {}
    if not found:
        return _untested("external test", "All test images come from the cohort that was trained on.", href="#limits")
    images = listed([f"{counted(cohort['n_samples'], 'image')} of {name}" for name, cohort in found.items()])
    text = f"Scored on {images}: its numbers stand under Results."
    return Check.of("external test", "pass", text, href=f"#{EXTERNAL_ANCHOR}", word="done")
