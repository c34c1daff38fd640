"""What is said of the methods follows the parameters."""

import pytest

from helpers.reporting.answers import Status
from helpers.study.artefacts import write_json_atomic


@pytest.mark.parametrize(
    ("section", "values", "key", "status", "words"),
    [
        ("splits", {}, "disjoint", Status.REPORTED, "By patient."),
        ("splits", {"split_method": "image_kfold"}, "disjoint", Status.REPORTED, "By image, so that images of one"),
        ("splits", {}, "split_by_patient", Status.REPORTED, "5-fold cross-validation by patient"),
        ("splits", {"split_method": "image_kfold"}, "split_by_patient", Status.ABSENT, "By image"),
        ("splits", {}, "heterogeneity", Status.ABSENT, "Hospitals were not told apart"),
        ("splits", {"split_method": "leave_one_site_out"}, "heterogeneity", Status.REPORTED, "One fold per value"),
        ("splits", {"n_repeats": 3}, "ensembling", Status.REPORTED, "3 draws of the folds"),
        ("training", {}, "ensembling", Status.INAPPLICABLE, "one network predicts each image"),
        ("training", {"seeds": [0, 1]}, "ensembling", Status.REPORTED, "the 2 training seeds of a fold"),
        ("training", {"views": 5}, "ensembling", Status.REPORTED, "5 crops of an image"),
        ("training", {"class_balance": "none"}, "imbalance", Status.ABSENT, "every image counts alike"),
        ("training", {"class_balance": "sampling"}, "imbalance", Status.REPORTED, "every class is equally frequent"),
        ("training", {"input_size": 100}, "crop", Status.REPORTED, "A square of 71.4 mm"),
        ("cohort", {"n_planes": 3, "source": "verse", "labels": "l.csv"}, "one_image", Status.REPORTED, "three neigh"),
        ("evaluation", {"n_bootstrap": 555}, "uncertainty", Status.REPORTED, "variance of 555 bootstrap replicates"),
        ("training", {}, "fairness", Status.REPORTED, "Error rates by age"),
        ("error_analysis", {"n_robustness": 33}, "robustness", Status.REPORTED, "Up to 33 held-out images"),
        ("error_analysis", {"n_saliency": 5}, "explainability", Status.REPORTED, "up to 5 errors"),
        ("cohort", {}, "intended_use", Status.INAPPLICABLE, "no clinical use"),
    ],
)
def test_answers_follow_the_parameters(answers_of, section, values, key, status, words):
    answer = answers_of(**{section: values})[key]
    assert answer.status == status
    assert words in answer.text


def test_a_leak_is_no_proper_division(make_run, answers_of, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "audit.json", lambda audit: audit["verdicts"]["leakage"].update(status="fail"))
    assert answers_of(folder)["split_by_patient"].status == Status.ABSENT


def test_external_cohorts_are_part_of_the_goal(answers_of, real):
    assert "external test on far" in answers_of(external=[{"name": "far", **real}])["goal"].text


def test_random_start_is_never_transfer_learning(answers_of):
    answers = answers_of(training={"weights": "none", "batch_norm": "learned"})
    assert answers["initialisation"].text == "Random start, no transfer learning."
    assert "fine-tuned" not in " ".join(answer.text for answer in answers.values())


def test_weights_are_kept_only_where_a_network_was_trained(make_run, answers_of):
    folder = make_run(notebooks=0)
    assert answers_of(folder)["specification"].status == Status.ABSENT
    write_json_atomic(folder / "model.json", {"parameters": 2, "trainable": 1})
    assert answers_of(folder)["specification"].status == Status.REPORTED


def test_versions_are_those_of_the_run(make_run, answers_of, change_json):
    folder = make_run(notebooks=0)
    change_json(folder / "provenance.json", lambda facts: facts.update(python="3.99.1", packages={"torch": "9.8"}))
    assert answers_of(folder)["software"].text == "Python 3.99.1, torch 9.8."


def test_intended_use_of_patients_is_the_authors(answers_of, real):
    assert answers_of(cohort=real, card={"intended_use": "Triage."})["intended_use"].text == "Triage."
