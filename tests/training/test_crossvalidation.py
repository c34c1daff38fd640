import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.study import schemas
from helpers.training import TrainingDataError, cross_validate, load_initialisation, load_network
from helpers.training.crossvalidation import choose_device


@pytest.fixture
def train(samples, splits, tmp_path):
    def call(params, *, report=lambda line: None, splits=splits):
        start = load_initialisation("none", backbone=params.backbone)
        return cross_validate(
            samples, splits, params=params, initialisation=start, spacing_mm=0.5, folder=tmp_path, report=report
        )

    return call


@pytest.fixture
def brief(params):
    return params.model_copy(update={"epochs": 1})


def test_every_sample_is_predicted_by_every_fit_and_tested_once(train, brief, samples, splits):
    result = train(brief.model_copy(update={"seeds": [0, 1]}))
    predictions = schemas.PREDICTIONS.validate(result.predictions)
    assert len(predictions) == 36 * 2 * 2
    tested = predictions[predictions["split"] == "test"]
    assert not tested.duplicated(["sample_id", "seed"]).any()
    assert set(tested["sample_id"]) == set(samples.table["sample_id"])
    given = predictions.merge(splits, on=["sample_id", "fold"], suffixes=("", "_given"))
    assert (given["split"] == given["split_given"]).all()
    schemas.HISTORY.validate(result.history)


def test_finished_fits_are_used_again_until_a_setting_changes(train, brief):
    first = train(brief)
    lines: list[str] = []
    again = train(brief, report=lines.append)
    assert lines == []
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    train(brief.model_copy(update={"dropout": 0.1}), report=lines.append)
    assert any("fold 1" in line and "epoch 1/1" in line for line in lines)


def test_interrupted_between_folds_gives_the_same_predictions(train, brief, tmp_path):
    whole = train(brief)
    (tmp_path / "fold1_seed0.json").unlink()
    resumed = train(brief)
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions)


def test_checkpoint_gives_back_the_stored_logits(train, brief, samples, transform, tmp_path):
    predictions = train(brief.model_copy(update={"precision": "fp32"})).predictions
    network = load_network(tmp_path / "fold1_seed0.safetensors", params=brief, n_classes=3)
    with torch.inference_mode():
        logits = network(transform.plain(samples.images)).numpy()
    stored = predictions[predictions["fold"] == 1].filter(like="logit_").to_numpy()
    np.testing.assert_allclose(logits, stored, atol=1e-4)


def test_foreign_fits_are_removed(train, brief, tmp_path, splits):
    train(brief)
    train(brief, splits=splits[splits["fold"] == 0])
    assert {file.name.split(".")[0] for file in tmp_path.iterdir()} == {"fold0_seed0"}


def test_head_that_does_not_fit_a_checkpoint_is_an_error(train, brief, tmp_path):
    train(brief)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_network(tmp_path / "fold0_seed0.safetensors", params=brief, n_classes=5)


def test_result_files_are_plain_json(train, brief, tmp_path):
    train(brief)
    content = json.loads((tmp_path / "fold0_seed0.json").read_text())
    assert np.asarray(content["logits"]).shape == (36, 3)


def test_asking_for_a_gpu_that_is_absent_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="training.device"):
        choose_device("cuda")


def test_heights_that_nobody_measured_cannot_be_learned(train, brief):
    with pytest.raises(TrainingDataError, match="anterior_ratio, middle_ratio, posterior_ratio"):
        train(brief.model_copy(update={"auxiliary": "heights"}))
