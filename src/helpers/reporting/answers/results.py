"""Questions about what came out: performance inside and outside the cohort, errors, calibration and limits."""

from collections.abc import Iterator, Mapping
from typing import Any

from helpers.evaluation import headline
from helpers.evaluation.baselines import HEIGHTS
from helpers.evaluation.summary import percent_with_interval
from helpers.reporting.answers.evidence import Answer, Evidence, Question, absent, inapplicable, reported
from helpers.reporting.answers.methods import NOT_EVALUATED
from helpers.reporting.wording import basis, class_label, counted, listed, percent

MAJORITY = "the most frequent class"


def internal_test(evidence: Evidence) -> Answer:
    """The result on held-out images of the cohort."""
    if not evidence.metrics:
        return absent(NOT_EVALUATED)
    return reported(headline(evidence.metrics), "04/the-result-in-one-sentence")


def diagnostic(evidence: Evidence) -> Answer:
    """Sensitivity and specificity."""
    if not evidence.metrics:
        return absent(NOT_EVALUATED)
    fracture = evidence.metrics.get("fracture_vs_normal")
    if not fracture:
        return reported(f"Sensitivity: {listed(list(_sensitivities(evidence.metrics)))}.", "04/class-by-class")
    pair = f"sensitivity {percent_with_interval(fracture['sensitivity'])}, "
    pair += f"specificity {percent_with_interval(fracture['specificity'])}"
    return reported(f"Fracture against normal: {pair}.", "04/class-by-class")


def _sensitivities(metrics: Mapping[str, Any]) -> Iterator[str]:
    names = metrics["cohort"]["class_names"]
    for key, found in metrics["per_class"].items():
        yield f"{class_label(key, names)} {percent_with_interval(found['sensitivity'])}"


def external_test(evidence: Evidence) -> Answer:
    """Whether images of other cohorts were scored."""
    return _external(evidence, names=list(evidence.metrics.get("external", {})))


def test_at_another_hospital(evidence: Evidence) -> Answer:
    """Whether images of patients elsewhere were scored; a second simulated cohort does not count."""
    real = {cohort.name for cohort in evidence.study.external.external if cohort.source != "phantom"}
    return _external(evidence, names=[name for name in evidence.metrics.get("external", {}) if name in real])


def _external(evidence: Evidence, *, names: list[str]) -> Answer:
    if not evidence.metrics:
        return absent(NOT_EVALUATED)
    if not names:
        return absent("None: nothing is known of images from elsewhere.", "limits")
    tested = [f"{name} ({basis(evidence.metrics['external'][name])})" for name in names]
    return reported(f"Scored, never trained on: {listed(tested)}.", "04/external-cohorts")


def external_differences(evidence: Evidence) -> Answer:
    """How images of the test differ from those of the training."""
    if not evidence.study.external.external:
        return inapplicable("Training and test images are of one cohort.")
    return reported("Read, scaled and windowed alike; audited side by side.", "01/external-cohorts")


def calibration(evidence: Evidence) -> Answer:
    """Whether probabilities are as good as they say."""
    place = "04/as-sure-as-it-is-right"
    found = evidence.metrics.get("calibration")
    if not found:
        return absent("Calibration was not measured in this run.")
    error = found.get("as trained", {}).get("all classes", {}).get("calibration_error", {}).get("estimate")
    first = "Calibration curves, slope and intercept, Brier score"
    if error is not None:
        first = f"{first}; expected calibration error as trained, mean over classes, {error:.3f}"
    return reported(f"{first}.", place)


def failures(evidence: Evidence) -> Answer:
    """What became of wrong answers."""
    if not evidence.metrics:
        return absent(NOT_EVALUATED)
    counts = evidence.metrics["confusion"]["counts"]
    total = sum(map(sum, counts))
    wrong = total - sum(row[index] for index, row in enumerate(counts))
    return reported(
        f"{wrong} of {counted(total, 'image')} are wrong; shown by kind and by confidence.", "05/errors-by-kind"
    )


def between_sites(evidence: Evidence) -> Answer:
    """How results differ between hospitals, where folds are hospitals."""
    if evidence.study.splits.split_method != "leave_one_site_out":
        return absent("Hospitals were not told apart; folds are shown one by one.", "04/fold-by-fold")
    return _by_fold(evidence)


def _by_fold(evidence: Evidence) -> Answer:
    shares = [found["accuracy"]["estimate"] for found in evidence.metrics.get("per_fold", {}).values()]
    if not shares:
        return absent(NOT_EVALUATED)
    low, high = (percent(round(share, 3)) for share in (min(shares), max(shares)))
    return reported(f"Accuracy by fold from {low} to {high}.", "04/fold-by-fold")


def baseline(evidence: Evidence) -> Answer:
    """What simple rivals reach."""
    return _rival(evidence, name=MAJORITY, missing="No simple model was compared.")


def measurements(evidence: Evidence) -> Answer:
    """What measuring the vertebra reaches."""
    return _rival(evidence, name=HEIGHTS, missing="The network was not compared with measuring or with readers.")


def _rival(evidence: Evidence, *, name: str, missing: str) -> Answer:
    rows = evidence.metrics.get("comparisons", {}).get("accuracy", [])
    found = next((row for row in rows if row["rival"] == name), None)
    if found is None:
        return absent(missing)
    return reported(
        f"Accuracy of {name}: {percent(round(found['rival_value'], 3))}; of the network on the same images: "
        f"{percent(round(found['model_value'], 3))}.",
        "04/better-than-what-needs-no-network",
    )


def limits(_: Evidence) -> Answer:
    """What the study cannot show."""
    return reported("Listed in this report, and at the end of each notebook.", "limits")


def implications(evidence: Evidence) -> Answer:
    """What follows for practice."""
    if evidence.has_patients or evidence.card.interpretation:
        return evidence.from_card("interpretation", place="limits")
    return reported("None for practice: the images are simulated.", "limits")


QUESTIONS: Mapping[str, Question] = {
    question.__name__: question
    for question in (
        internal_test, diagnostic, external_test, test_at_another_hospital, external_differences, calibration,
        failures, between_sites, baseline, measurements, limits, implications,
    )
}  # fmt: skip
