"""Questions about the images and patients: where they come from, what was left out, and who says what they show."""

from collections.abc import Mapping
from typing import Any

from helpers.reporting.answers.evidence import (
    Answer,
    Evidence,
    Question,
    Status,
    absent,
    inapplicable,
    reported,
    sentences,
)
from helpers.reporting.study_card import StudyCard
from helpers.reporting.wording import counted, listed

AUDIT = "The audit has not run: nothing is known."
DATASHEET = "DATA.md of the project"
VERDICTS = "01/the-verdicts"
ADJUDICATION = {
    "label": "the column `label`",
    "majority": "their majority",
    "unanimous": "unanimity",
    "first": "the first who gave one",
}


def sources(evidence: Evidence) -> Answer:
    """Where the images come from."""
    read = sentences(evidence.methods["Cohort"], first=1)
    if evidence.is_simulated:
        made = f"{read} How images are made stands in {DATASHEET}."
        return _of_mixed(evidence, made, words=evidence.card.site, what="their hospital or collection")
    if not evidence.card.site:
        return Answer(Status.AUTHOR, f"{read} Which hospital or collection they are from is not recorded.", "methods")
    return reported(f"{read} {evidence.card.site}", "methods")


def purpose(evidence: Evidence) -> Answer:
    """Why the cohort was made."""
    if evidence.card.background or not evidence.is_simulated:
        return evidence.from_card("background")
    why = "The images of Yin et al. 2024 are private, and no public set that we know of carries their three labels."
    return reported(f"{why} More stands in {DATASHEET}.")


def subsets(evidence: Evidence) -> Answer:
    """Whether all usable images were used."""
    patients = evidence.study.training.train_patients
    if patients is not None:
        return reported(f"Each network learned from {patients} of its training patients only.", "parameters")
    return reported("Every image that could be used was used.", "flow")


def deidentification(evidence: Evidence) -> Answer:
    """How identifiers were removed."""
    if not evidence.has_patients:
        return inapplicable("The images are simulated: identifiers are numbers.")
    cohorts = [cohort for cohort in evidence.cohorts if cohort.source != "phantom"]
    found = None if evidence.is_simulated else evidence.verdict("privacy")
    audit = f"Audit of the headers: {found['detail']}" if found else ""
    words = evidence.card.deidentification or ""
    if all(cohort.pseudonymise for cohort in cohorts):
        return reported(
            _joined("Identifiers were replaced by keyed hashes in all that is written.", words, audit), VERDICTS
        )
    status = Status.REPORTED if words else Status.AUTHOR
    return Answer(status, _joined(words, "This study did not replace identifiers.", audit), VERDICTS)


def missing_data(evidence: Evidence) -> Answer:
    """What was missing, and what became of it."""
    verdicts = (evidence.verdict("exclusions"), evidence.verdict("pixel_size"))
    found = _joined(*(verdict["detail"] for verdict in verdicts if verdict))
    place = "01/from-the-files-to-the-samples"
    if evidence.is_simulated:
        drawn = _joined("The simulation leaves no value out.", found)
        return _of_mixed(
            evidence, drawn, words=evidence.card.missing_data, what="what was missing in them", place=place
        )
    status = Status.REPORTED if evidence.card.missing_data else Status.AUTHOR
    rule = "A file or row that cannot be used is left out and listed with its reason."
    return Answer(status, _joined(evidence.card.missing_data, rule, found), place)


def acquisition(evidence: Evidence) -> Answer:
    """Scanners and protocol."""
    place = "01/can-the-acquisition-tell-the-class"
    if not evidence.is_simulated:
        return evidence.from_card("acquisition", place=place)
    drawn = f"Simulated scanners, kernels, voltages and slices; their ranges stand in {DATASHEET}."
    return _of_mixed(evidence, drawn, words=evidence.card.acquisition, what="their scanners and protocol", place=place)


def reference_standard(evidence: Evidence) -> Answer:
    """What decides the class."""
    if evidence.is_simulated:
        drawn = f"The class follows from the measured geometry of the drawn vertebra, by the limits in {DATASHEET}."
        return _of_mixed(evidence, drawn, words=evidence.card.reference_standard, what="their reference standard")
    cohort = evidence.study.cohort
    rule = ""
    if cohort.readers:
        rule = f"Labels of {len(cohort.readers)} readers became one by {ADJUDICATION[cohort.adjudication]}."
    status = Status.REPORTED if evidence.card.reference_standard else Status.AUTHOR
    return Answer(status, _joined(evidence.card.reference_standard, rule), "methods")


def reference_rationale(evidence: Evidence) -> Answer:
    """Why this reference standard."""
    if evidence.is_simulated:
        known = f"Labels of drawn shapes are free of error; why their limits lie where they do stands in {DATASHEET}."
        return _of_mixed(evidence, known, words=evidence.card.reference_rationale, what="why their reference standard")
    return evidence.from_card("reference_rationale")


def test_labels(evidence: Evidence) -> Answer:
    """How test images were labelled."""
    same = "Test images are labelled as training images are."
    if evidence.is_simulated:
        return _of_mixed(evidence, same, words=evidence.card.readers, what="how they were labelled")
    status = Status.REPORTED if evidence.card.readers else Status.AUTHOR
    return Answer(status, _joined(same, evidence.card.readers))


def agreement(evidence: Evidence) -> Answer:
    """How far readers agree."""
    place = "01/who-is-in-it"
    found = evidence.verdict("agreement")
    if found:
        return reported(found["detail"], place)
    if not evidence.has_patients:
        return inapplicable("The images are simulated: no reader labelled them.")
    return absent("One label per image is given: how far readers agree is not known.", place)


def sample_size(evidence: Evidence) -> Answer:
    """How the number of patients came about."""
    place = "04/how-many-patients-would-be-enough"
    cohort = evidence.study.cohort
    if evidence.card.sample_size:
        return reported(evidence.card.sample_size, place)
    if evidence.is_simulated:
        asked = f"{counted(sum(cohort.phantom_images.values()), 'image')} of "
        asked += f"{counted(cohort.phantom_patients, 'patient')} were asked for"
        return reported(f"{asked}; no power analysis was made before.", place)
    return Answer(Status.AUTHOR, place=place)


def participants(evidence: Evidence) -> Answer:
    """From files to samples."""
    flow = evidence.audit.get("flow")
    if not flow:
        return absent(AUDIT)
    first, last = flow[0], flow[-1]
    used = f"{counted(last['n_samples'], 'image')} of {counted(last['n_patients'], 'patient')}"
    return reported(f"{counted(first['n_files'], 'file')} in the folder; {used} used.", "flow")


def parts(evidence: Evidence) -> Answer:
    """How many patients each step used."""
    folds = evidence.audit.get("split_manifest", {}).get("parts")
    if not folds:
        return absent(AUDIT)
    name, counts = next(iter(folds.items()))
    shares = [f"{part}: {_part(counts[part])}" for part in ("train", "validation", "test") if part in counts]
    return reported(f"{_part_name(name)} – {listed(shares)}.", "01/train-validation-test")


def demographics(evidence: Evidence) -> Answer:
    """Age and sex of those in each part."""
    place = "01/who-is-in-it"
    rows = evidence.audit.get("tables", {}).get("table_one_by_split")
    if not rows:
        return absent("No table of who is in which part was written.", place)
    names = list(dict.fromkeys(row["variable"] for row in rows if row["variable"] not in ("images", "patients")))
    if not {"age (years)", "sex"} & set(names):
        return absent("The data name neither age nor sex.", place)
    drawn = " All are drawn by the simulation." if evidence.is_simulated else ""
    return reported(f"By class and by part: {listed(names)}.{drawn}", place)


def confounding(evidence: Evidence) -> Answer:
    """Whether the acquisition, age or sex tells the class."""
    found = [verdict for name in ("confounds", "demographics") if (verdict := evidence.verdict(name))]
    place = "01/can-the-acquisition-tell-the-class"
    if not found:
        return absent("The data hold no acquisition, age or sex to test.", place)
    return reported(_joined(*(verdict["detail"] for verdict in found)), place)


def composition(evidence: Evidence) -> Answer:
    """Which classes the cohort holds."""
    return reported(sentences(evidence.methods["Cohort"], first=3), "methods")


def data_availability(evidence: Evidence) -> Answer:
    """Where the data can be had."""
    if evidence.card.data_availability or evidence.has_patients:
        return evidence.from_card("data_availability")
    return reported("`study phantom` and every run draw the same images again from the seed.", "run-again")


def availability(evidence: Evidence) -> Answer:
    """Where code, networks and data can be had."""
    card = evidence.card
    found = [f"Data: {answer.text}" if (answer := data_availability(evidence)).text else ""]
    found += [f"{what}: {words}" if words else "" for what, words in _shared(card).items()]
    status = Status.REPORTED if all(found) else Status.AUTHOR
    return Answer(status, _joined(*found), "run-again")


def _shared(card: StudyCard) -> dict[str, str | None]:
    return {"Code": card.code_availability, "Model": card.model_availability}


def _of_mixed(evidence: Evidence, simulated: str, *, words: str | None, what: str, place: str = "methods") -> Answer:
    """What holds of a simulated cohort, and what the author says of the real ones beside it."""
    if not evidence.has_patients:
        return reported(_joined(simulated, words), place)
    if words:
        return reported(f"Simulated images: {simulated} External cohorts: {words}", place)
    return Answer(Status.AUTHOR, f"Simulated images: {simulated} External cohorts: {what}.", place)


def _joined(*texts: str | None) -> str:
    return " ".join(text for text in texts if text)


def _part(counts: Mapping[str, Any]) -> str:
    return f"{counted(counts['n_samples'], 'image')} of {counted(counts['n_patients'], 'patient')}"


def _part_name(name: str) -> str:
    return f"Fold {name.rpartition('_')[2]}"


QUESTIONS: Mapping[str, Question] = {
    question.__name__: question
    for question in (
        sources, purpose, subsets, deidentification, missing_data, acquisition, reference_standard, reference_rationale,
        test_labels, agreement, sample_size, participants, parts, demographics, confounding, composition,
        data_availability, availability,
    )
}  # fmt: skip
