"""Methods in sentences follow the parameters."""

import pytest

from helpers.reporting.methods import N_SHIFTED_VIEWS, describe_methods
from helpers.reporting.record import read_run
from helpers.study.artefacts import write_json_atomic
from helpers.training.augmentation import STRETCH_RANGE, VIEW_SHIFTS


def methods_of(folder) -> dict[str, str]:
    return {paragraph.title: paragraph.text for paragraph in describe_methods(read_run(folder))}


@pytest.mark.parametrize(
    ("section", "values", "title", "words"),
    [
        ("splits", {"n_folds": 7}, "Partition", "7-fold cross-validation by patient"),
        ("splits", {"validation_fraction": 0.2}, "Partition", "20 % of the training patients"),
        ("splits", {"split_method": "image_holdout", "test_images": 33}, "Partition", "holdout of 33 images"),
        ("splits", {"split_method": "image_kfold"}, "Partition", "5-fold cross-validation by image, without regard to"),
        ("splits", {"n_repeats": 3}, "Partition", "every image is tested 3 times"),
        (
            "splits",
            {"split_method": "patient_holdout", "test_fraction": 0.3},
            "Partition",
            "holdout of 30 % of the pat",
        ),
        ("splits", {"split_method": "leave_one_site_out"}, "Partition", "One fold per value of `site`"),
        ("splits", {"split_method": "temporal"}, "Partition", "The latest 20 % of the patients"),
        ("splits", {"split_method": "predefined"}, "Partition", "The split was given with the labels."),
        ("splits", {"merge_linked_patients": True}, "Partition", "share a study or an image were kept together"),
        ("preprocessing", {"spacing_mm": 0.4, "image_size": 200}, "Preprocessing", "0.4 mm per pixel and cut to 200 ×"),
        ("training", {"window_center": 40.0, "window_width": 400.0}, "Preprocessing", "centre 40 and width 400 HU"),
        (
            "training",
            {"backbone": "resnet18", "weights": "none", "batch_norm": "learned"},
            "Model",
            "ResNet-18 was trained from a random start.",
        ),
        ("training", {"frozen_stages": 0}, "Model", "No stage was frozen."),
        ("training", {"frozen_stages": 2}, "Model", "stem and stage 1"),
        ("training", {"learning_rate": 0.002, "backbone_rate_factor": 0.25}, "Training", "0.0005 for the backbone"),
        ("training", {"epochs": 4, "patience": 1}, "Training", "At most 4 epochs; training stopped after 1 epoch"),
        ("training", {"epochs": 1, "patience": 3}, "Training", "1 epoch, and the best epoch was kept"),
        ("training", {"seeds": [3, 5]}, "Training", "2 training seeds (3 and 5)"),
        ("training", {"rotation_deg": 11.0}, "Augmentation", "±11°"),
        ("training", {"intensity": "image"}, "Preprocessing", "the darkest 1 % and the brightest 0.5 %"),
        ("training", {"blur_mm": 0.9}, "Augmentation", "a Gaussian of up to σ = 0.9 mm"),
        ("training", {"edge_share": 0.2}, "Augmentation", "20% of them ended in black above or below"),
        ("training", {"gamma": 0.25}, "Augmentation", "a random power from 0.8 to 1.25"),
        ("training", {"ema_decay": 0.99}, "Training", "moving average of the trained one (decay 0.99 per step)"),
        ("training", {"auxiliary": "heights", "auxiliary_weight": 0.7}, "Model", "(Huber loss, weight 0.7)"),
        ("training", {"views": 5}, "Augmentation", "means over 5 crops, the plain one and others that are shifted by"),
        ("training", {"views": 6}, "Augmentation", "others that are shifted or scaled by half as much."),
        (
            "evaluation",
            {"n_bootstrap": 555, "confidence": 0.9},
            "Evaluation",
            "90 % intervals from the variance of 555",
        ),
    ],
)
def test_parameters_appear_in_the_sentences(make_run, section, values, title, words):
    folder = make_run(notebooks=0, **{section: values})
    assert words in methods_of(folder)[title]


def test_random_start_is_never_transfer_learning(make_run):
    text = " ".join(methods_of(make_run(notebooks=0, training={"weights": "none", "batch_norm": "learned"})).values())
    assert "fine-tuned" not in text
    assert "transfer" not in text


def test_numbers_of_the_cohort_come_from_the_metrics(make_run):
    methods = methods_of(make_run(n_patients=30, notebooks=0))
    assert "Held-out predictions: 60 images of 30 patients." in methods["Cohort"]


def test_averaging_is_mentioned_only_for_several_seeds(make_run):
    assert "averaged over seeds" not in methods_of(make_run(notebooks=0))["Evaluation"]


def test_size_of_the_model_comes_from_model_json(make_run):
    folder = make_run(notebooks=0)
    write_json_atomic(folder / "model.json", {"parameters": 25_600_000, "trainable": 1_234_567})
    assert "1.2 million of 25.6 million parameters were trained." in methods_of(folder)["Model"]


def test_users_images_are_not_called_simulated(make_run):
    cohort = {"source": "images", "labels": "labels.csv"}
    methods = methods_of(make_run(notebooks=0, cohort=cohort))
    assert "simulated" not in methods["Cohort"]
    assert "Identifiers were replaced by keyed hashes." in methods["Cohort"]
    assert "8-bit images" in methods["Preprocessing"]


def test_volumes_are_said_to_be_cut_and_external_cohorts_to_be_scored(make_run):
    cohort = {"source": "verse", "labels": "labels.csv", "plane": "coronal", "n_planes": 3}
    external = [{"name": "far", "source": "images", "folder": "there"}]
    text = methods_of(make_run(notebooks=0, cohort=cohort, external=external))["Cohort"]
    assert "coronal plane and its neighbours at 2 mm, as three channels," in text
    assert "crush was not taken for burst" in text
    assert "External cohorts (far) were audited and preprocessed in the same way and only scored." in text


def test_what_is_switched_off_is_not_mentioned(make_run):
    text = " ".join(methods_of(make_run(notebooks=0)).values())
    extras = ("stretched", "Gaussian", "power", "moving average", "Huber", "crops")
    assert not [word for word in extras if word in text]
    assert "Test images were not changed." in text


def test_constants_of_the_input_transform_are_those_in_words():
    assert STRETCH_RANGE == (0.01, 1 - 0.005)
    assert len(VIEW_SHIFTS) == N_SHIFTED_VIEWS
