"""Questions about what was done: the question asked, the split, the network, its training and its test."""

from collections.abc import Mapping

from helpers.error_analysis.perturbations import PERTURBATIONS
from helpers.evaluation.metrics import metric_title
from helpers.reporting.answers.evidence import Answer, Evidence, Question, absent, inapplicable, reported, sentences
from helpers.reporting.methods import BALANCE
from helpers.reporting.start import starting_point
from helpers.reporting.summary import network_name, question
from helpers.reporting.wording import class_label, listed
from helpers.study.params import BY_IMAGE

SHOWN_PACKAGES = ("torch", "torchvision", "scikit-learn", "scipy", "numpy", "pandas", "pydicom")
NOT_TRAINED = "This run has not trained a network."
NOT_EVALUATED = "This run has not reached the evaluation."


def title(evidence: Evidence) -> Answer:
    """Whether the study is named as one of deep learning."""
    network = f"{network_name(evidence.record)}, {starting_point(evidence.record).training}"
    return reported(
        f"“{evidence.study.study.title}”; the question names deep learning by a modified {network}.", "summary"
    )


def summary(_: Evidence) -> Answer:
    """Where the short version stands."""
    return reported("The first screen gives the question, the answer with its interval, and the limits.", "summary")


def objectives(evidence: Evidence) -> Answer:
    """The question, and which kind of study answers it."""
    return reported(f"{question(evidence.record)} {_kind(evidence)}", "summary")


def goal(evidence: Evidence) -> Answer:
    """What kind of study it is."""
    return reported(
        f"{_kind(evidence)} It shows what the method can do on these images, for no clinical use.", "methods"
    )


def _kind(evidence: Evidence) -> str:
    names = [cohort.name for cohort in evidence.study.external.external]
    external = f" and external test on {listed(names)}" if names else ""
    return f"Development with internal test{external}."


def intended_use(evidence: Evidence) -> Answer:
    """For whom the model is meant."""
    if evidence.card.intended_use or evidence.has_patients:
        return evidence.from_card("intended_use", place="limits")
    return inapplicable("Research only, on simulated images: no patients are meant and no clinical use.", "limits")


def misuse(_: Evidence) -> Answer:
    """What it must not be used for."""
    return reported("Not a medical device: not for diagnosis or any decision about a patient.", "limits")


def preprocessing(evidence: Evidence) -> Answer:
    """What is done to an image before the network sees it."""
    return reported(evidence.methods["Preprocessing"], "02/resample-crop-cache")


def crop(evidence: Evidence) -> Answer:
    """How the region of interest is cut out."""
    size_mm = evidence.study.training.input_size * evidence.study.preprocessing.spacing_mm
    square = f"A square of {size_mm:.3g} mm around the target vertebra"
    return reported(f"{square}, whose place comes with the data, not from a detector.", "02/what-the-network-sees")


def one_image(evidence: Evidence) -> Answer:
    """How many images a prediction uses."""
    planes = "three neighbouring planes" if evidence.study.cohort.n_planes == 3 else "one image"
    return reported(f"One CT examination and {planes} a vertebra; no other modality or phase.", "methods")


def predictors(evidence: Evidence) -> Answer:
    """What the network is given."""
    return reported(f"{one_image(evidence).text} No clinical variable is used.", "03/what-the-network-sees")


def predictor_readers(_: Evidence) -> Answer:
    """Who judges the predictors."""
    return inapplicable("Predictors are grey values: nobody judges them.")


def partition(evidence: Evidence) -> Answer:
    """How images were divided."""
    return reported(evidence.methods["Partition"], "01/train-validation-test")


def disjoint(evidence: Evidence) -> Answer:
    """At which level the parts share nothing."""
    level = "patient"
    if evidence.study.splits.split_method in BY_IMAGE:
        level = "image, so that images of one patient can lie on both sides"
    found = evidence.verdict("leakage")
    audit = f" Audit: {found['detail']}" if found else " The audit has not run."
    return reported(f"By {level}.{audit}", "01/leakage")


def split_by_patient(evidence: Evidence) -> Answer:
    """Whether the division is by patient, reproducible and free of leaks."""
    found = evidence.verdict("leakage")
    if evidence.study.splits.split_method in BY_IMAGE or found is None or found["status"] != "pass":
        return absent(disjoint(evidence).text, "01/leakage")
    return reported(f"{partition(evidence).text} {found['detail']}", "01/leakage")


def architecture(evidence: Evidence) -> Answer:
    """The network."""
    return reported(sentences(evidence.methods["Model"], first=3), "03/the-modified-network")


def specification(evidence: Evidence) -> Answer:
    """Where all of the model can be found."""
    if evidence.record.model is None:
        return absent(NOT_TRAINED)
    text = "Every parameter is in this report; the run folder keeps the weights of each fold in `checkpoints/`."
    return reported(text, "parameters")


def software(evidence: Evidence) -> Answer:
    """Packages and their versions."""
    facts = evidence.record.provenance
    if not facts:
        return absent("Versions were not recorded.", "provenance")
    packages = [f"{name} {facts['packages'][name]}" for name in SHOWN_PACKAGES if name in facts["packages"]]
    return reported(f"Python {facts['python']}, {listed(packages)}.", "environment")


def initialisation(evidence: Evidence) -> Answer:
    """What the weights were before training."""
    start = sentences(starting_point(evidence.record).sentence(), first=1)
    return reported(f"{start[0].upper()}{start[1:].rstrip('.')}.", "03/where-the-network-starts")


def training(evidence: Evidence) -> Answer:
    """How it was trained."""
    return reported(sentences(evidence.methods["Training"], first=3), "03/training")


def architecture_and_training(evidence: Evidence) -> Answer:
    """The network, its training and its internal test."""
    first = sentences(evidence.methods["Partition"], first=1)
    return reported(f"{evidence.methods['Model'].partition('. ')[0]}. {first}", "03/training")


def selection(evidence: Evidence) -> Answer:
    """How the model was chosen."""
    if evidence.record.model is None:
        return absent(NOT_TRAINED)
    return reported(
        "Of each training the epoch with the best validation loss was kept; test images decided nothing in this run. "
        "How the project's default settings were chosen stands under Limits.",
        "03/how-the-fits-went",
    )


def ensembling(evidence: Evidence) -> Answer:
    """Whether several predictions are averaged."""
    study = evidence.study
    averaged = [
        words
        for words, used in {
            f"the {len(study.training.seeds)} training seeds of a fold": len(study.training.seeds) > 1,
            f"{study.training.views} crops of an image": study.training.views > 1,
            f"{study.splits.n_repeats} draws of the folds": _is_repeated(evidence),
            "all folds, for external cohorts": bool(study.external.external),
        }.items()
        if used
    ]
    if not averaged:
        return inapplicable("None: one network predicts each image.", "methods")
    return reported(f"Averaged: {listed(averaged)}.", "methods")


def _is_repeated(evidence: Evidence) -> bool:
    splits = evidence.study.splits
    return splits.split_method == "patient_kfold" and splits.n_repeats > 1


def performance_measures(evidence: Evidence) -> Answer:
    """Which measures are reported."""
    if not evidence.metrics:
        return absent(NOT_EVALUATED)
    shown = listed([metric_title(name) for name in evidence.metrics["overall"]])
    each = "sensitivity, specificity, predictive values and AUROC"
    return reported(f"Confusion matrix. Overall: {shown}. Of each class: {each}.", "04/overall-metrics")


def uncertainty(evidence: Evidence) -> Answer:
    """How intervals were found."""
    paragraph = evidence.methods["Evaluation"]
    return reported(paragraph[paragraph.index("Intervals are") :], "methods")


def robustness(evidence: Evidence) -> Answer:
    """Whether changed images were tried."""
    place = "05/what-it-withstands"
    if not evidence.shows(place):
        return absent("Not in the notebooks of this run.")
    number = evidence.study.error_analysis.n_robustness
    changes = listed([change.name for change in PERTURBATIONS])
    return reported(f"Up to {number} held-out images were changed step by step: {changes}.", place)


def explainability(evidence: Evidence) -> Answer:
    """Whether the network was asked where it looks."""
    place = "05/where-it-looks"
    if not evidence.shows(place):
        return absent("Not in the notebooks of this run.")
    number = evidence.study.error_analysis.n_saliency
    return reported(f"LayerCAM maps of up to {number} errors and as many right answers.", place)


def fairness(evidence: Evidence) -> Answer:
    """Whether groups of patients were compared."""
    place = "05/for-whom-it-fails"
    if not evidence.shows(place):
        return absent("Groups of patients were not compared.")
    return reported("Error rates by age, sex and level where the data name them, with Holm's correction.", place)


def input_quality(evidence: Evidence) -> Answer:
    """What happens to images that are poor or strange."""
    place = "05/strangers"
    if not evidence.shows(place):
        return absent("The network answers whatever image it is given.")
    return reported("A distance to the training images warns of strange ones; what it notices was measured.", place)


def imbalance(evidence: Evidence) -> Answer:
    """What was done about rare classes."""
    balance = evidence.study.training.class_balance
    if balance == "none":
        return absent("Nothing: every image counts alike in the loss.", "methods")
    return reported(f"Cross-entropy {BALANCE[balance]}; probabilities were not corrected for it.", "methods")


def heterogeneity(evidence: Evidence) -> Answer:
    """How differences between hospitals were dealt with."""
    if evidence.study.splits.split_method == "leave_one_site_out":
        return reported(sentences(evidence.methods["Partition"], first=1), "04/fold-by-fold")
    return absent("Hospitals were not told apart; intervals treat each patient as a cluster.", "methods")


def output(evidence: Evidence) -> Answer:
    """What the model gives."""
    names = evidence.study.cohort.class_names
    classes = listed([class_label(key, names) for key in names])
    return reported(f"A probability of each class ({classes}); the most probable one is the answer.", "methods")


def prediction(evidence: Evidence) -> Answer:
    """How a prediction comes about."""
    rule = sentences(evidence.methods["Evaluation"], first=1)
    return reported(f"Logits become probabilities by softmax. {rule}", "methods")


def updating(evidence: Evidence) -> Answer:
    """Whether the model was updated after its evaluation."""
    none = "No model was updated after its evaluation."
    if "after scaling" not in evidence.metrics.get("calibration", {}):
        return inapplicable(none)
    return inapplicable(f"{none} What scaling by a temperature would do is shown.", "04/as-sure-as-it-is-right")


def user(_: Evidence) -> Answer:
    """What a user has to do."""
    return reported("The user gives the image and the place of the vertebra in it; nothing else is asked.", "methods")


def guidelines(_: Evidence) -> Answer:
    """Which guidelines the report follows."""
    return reported("CLAIM 2024 and TRIPOD+AI are filled in here.", "checklists")


def technical_details(_: Evidence) -> Answer:
    """Where the details stand."""
    return reported("Parameters, versions, code of the notebooks and the commands are in this report.", "parameters")


def version(evidence: Evidence) -> Answer:
    """Which code and when."""
    git = (evidence.record.provenance or {}).get("git") or {}
    commit = f"commit {git['commit'][:12]}" if git.get("commit") else "commit not recorded"
    return reported(f"Run “{evidence.study.study.name}”, {commit}; code under Apache-2.0.", "provenance")


def rerun(_: Evidence) -> Answer:
    """How to do it again."""
    return reported("Commands stand at the end of this report.", "run-again")


QUESTIONS: Mapping[str, Question] = {
    ask.__name__: ask
    for ask in (
        title, summary, objectives, goal, intended_use, misuse, preprocessing, crop, one_image, predictors,
        predictor_readers, partition, disjoint, split_by_patient, architecture, specification, software,
        initialisation, training, architecture_and_training, selection, ensembling, performance_measures,
        uncertainty, robustness, explainability, fairness, input_quality, imbalance, heterogeneity, output,
        prediction, updating, user, guidelines, technical_details, version, rerun,
    )
}  # fmt: skip
