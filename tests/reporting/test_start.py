"""The starting point is called by its right name."""

import pytest

from helpers.reporting.record import read_run
from helpers.reporting.start import Start, starting_point
from helpers.study.artefacts import write_json_atomic


@pytest.mark.parametrize(
    ("weights", "says", "never"),
    [
        ("none", "random start", "fine-tuned"),
        ("ct", "CT-derived initialisation", "ImageNet"),
        ("imagenet", "ImageNet", "CT-derived"),
        ("phantom", "trained on simulated CT", "file"),
        ("weights/mine.safetensors", "mine.safetensors", "ImageNet"),
    ],
)
def test_name_from_the_parameters(make_run, weights, says, never):
    start = starting_point(read_run(make_run(notebooks=0, training={"weights": weights, "batch_norm": "learned"})))
    assert says in start.name
    assert says in start.training
    assert never not in f"{start.name} {start.training}"


def test_random_start_denies_transfer_learning(make_run):
    start = starting_point(read_run(make_run(notebooks=0, training={"weights": "none", "batch_norm": "learned"})))
    assert start.name == "random start, no transfer learning"


def test_what_training_recorded_wins_over_the_parameters(make_run):
    folder = make_run(notebooks=0, training={"weights": "local/resnet50.pth"})
    recorded = {"name": "imagenet", "note": "Photographs, not CT.", "licence": "BSD-3-Clause"}
    write_json_atomic(folder / "model.json", {"initialisation": recorded})
    start = starting_point(read_run(folder))
    assert start.name == "ImageNet weights"
    assert start.sentence() == "ImageNet weights. Photographs, not CT. Licence: BSD-3-Clause."


def test_name_is_not_said_twice():
    start = Start("CT-derived initialisation", "fine-tuned", "CT-derived initialisation: an inflated network.")
    assert start.sentence() == "CT-derived initialisation: an inflated network."


def test_recorded_random_start_is_one_sentence(make_run):
    folder = make_run(notebooks=0, training={"weights": "none", "batch_norm": "learned"})
    recorded = {"name": "none", "note": "Random start: no transfer learning.", "licence": "not applicable"}
    write_json_atomic(folder / "model.json", {"initialisation": recorded})
    assert starting_point(read_run(folder)).sentence() == "random start, no transfer learning."
