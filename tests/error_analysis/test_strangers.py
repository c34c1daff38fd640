import numpy as np
import pandas as pd
import pytest
from torch import nn

from helpers.error_analysis.embedding import FeatureSpace
from helpers.error_analysis.other_views import VIEWS
from helpers.error_analysis.strangers import (
    STRANGERS,
    Novelty,
    novelty_table,
    planted,
    planted_groups,
    warn_of_strangers,
)
from helpers.study import EvaluationParams, PreprocessingParams

PARAMS = EvaluationParams(n_bootstrap=200)
WINDOW = (0.0, 2000.0)


@pytest.fixture(scope="module")
def known(held_out, trained) -> Novelty:
    return Novelty.of(held_out, predictions=trained[1])


def test_score_is_the_cosine_distance_to_the_tenth_neighbour_or_the_last(known):
    training = known.space.features[known.space.rows("train")].astype(float)
    asked = known.space.features[:2].astype(float)
    norms = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(training, axis=1)
    expected = np.sort(1 - asked @ training.T / norms, axis=1)[:, min(10, len(training)) - 1]
    np.testing.assert_allclose(known.score(known.space.features[:2]), expected, atol=1e-3)


def test_threshold_lets_most_validation_images_pass(known):
    scores = known.score(known.space.features[known.space.rows("validation")])
    assert (scores > known.threshold).sum() == 1  # 5 % of four images, between the last two


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 32, 32), np.int16), ((2, 3, 32, 32), np.int16), ((1, 32, 32), np.uint8)]
)
def test_strangers_keep_shape_and_type_and_differ(kind, shape, dtype):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    window = (127.5, 255.0) if dtype == np.uint8 else WINDOW
    found = planted(pixels, kind=kind, window=window)
    assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
    assert (found != pixels).any()


def test_black_for_white_and_back_is_the_image():
    pixels = np.random.default_rng(0).integers(-900, 900, (2, 8, 8)).astype(np.int16)
    twice = planted(planted(pixels, kind="black for white", window=WINDOW), kind="black for white", window=WINDOW)
    np.testing.assert_allclose(twice, pixels, atol=1)


def test_mri_shows_fat_and_marrow_bright_and_cortical_bone_and_air_dark():
    hu = np.array([[[-1000, -100, 40, 180, 600, 900]]], dtype=np.int16)
    air, fat, muscle, marrow, cortex, metal = planted(hu, kind="MRI-like contrast", window=(250, 1400)).ravel()
    assert fat > marrow > muscle > cortex
    assert muscle > air
    assert metal <= cortex


def test_texture_has_the_falling_spectrum_of_photographs():
    pixels = np.zeros((4, 128, 128), dtype=np.int16)
    pictures = planted(pixels, kind="photograph-like texture", window=WINDOW).astype(float)
    power = (np.abs(np.fft.fft2(pictures - pictures.mean((1, 2), keepdims=True))) ** 2).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    band = (frequency > 0.02) & (frequency < 0.2)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert -4 < slope < -1.5


def test_table_holds_every_group_with_its_images(known):
    groups = {"elsewhere": (np.zeros((3, 36, 36), dtype=np.uint8), pd.Series(["a", "b", "c"]))}
    groups["turned"] = (np.zeros((4, 36, 36), dtype=np.int16), pd.Series(["p0", "p0", "p1", "p1"]))
    table = novelty_table(known, groups=groups, params=PARAMS).set_index("images")
    assert list(table.index) == ["held-out images of the study", "elsewhere", "turned"]
    assert table["number"].tolist() == [6, 3, 4]
    assert table.loc["held-out images of the study", "AUROC"] == "–"
    assert table["AUROC"].iloc[1:].str.match(r"^[01]\.\d{3}").all()


def test_planted_groups_are_like_the_cached_images(known, monkeypatch):
    monkeypatch.setattr("helpers.error_analysis.strangers.VIEWED", 1)
    groups = planted_groups(known, n=4, preprocessing=PreprocessingParams(spacing_mm=2.0, image_size=36))
    assert list(groups) == [*STRANGERS, *VIEWS]
    assert {images.shape[1:] for images, _ in groups.values()} == {(36, 36)}
    assert {images.dtype for images, _ in groups.values()} == {np.dtype(np.int16)}
    assert [len(whose) for _, whose in groups.values()] == [4] * len(STRANGERS) + [1] * len(VIEWS)


def test_what_lies_far_from_training_is_warned_of_and_what_lies_near_is_not():
    """Features around one direction are known; the opposite direction is strange."""
    rng = np.random.default_rng(0)
    features = np.array([1.0, 0.0]) + rng.normal(0, 0.05, (60, 2))
    table = pd.DataFrame({"PatientID": [f"p{i}" for i in range(60)]})
    table["split"] = ["train"] * 20 + ["validation"] * 20 + ["test"] * 20
    space = FeatureSpace(table, features, nn.Identity(), None)
    shown = {"far": -features[:20], "near": features[:20]}
    novelty = Novelty.within(space)
    warned = {name: (novelty.score(found) > novelty.threshold).mean() for name, found in shown.items()}
    assert warned["far"] == 1
    assert warned["near"] <= 0.15


def test_a_strange_external_cohort_is_warned_of_and_a_familiar_one_is_not():
    table = pd.DataFrame(
        {
            "images": ["held-out images of the study", "noise", "external cohort near", "external cohort far"],
            "share with a warning": ["0.05", "1.00", "0.07", "0.80"],
            "unlike the training images": [False, True, False, True],
        }
    )
    words = warn_of_strangers(table, names=["near", "far"])
    assert words.startswith("**Warning:** images of external cohort far are unlike")
    assert "near" not in words
    assert warn_of_strangers(table, names=[]) == ""
