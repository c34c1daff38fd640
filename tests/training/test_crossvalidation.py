import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.study import schemas
from helpers.study.engine import open_executor
from helpers.study.params import StudyParams
from helpers.training import (
    Samples,
    TrainingDataError,
    WeightsError,
    cross_validate,
    load_initialisation,
    load_network,
)
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
    file = tmp_path / "fold0_seed0.safetensors"
    with pytest.raises(WeightsError, match=r"(?s)and 5 classes: .*run 03_training again.*size mismatch"):
        load_network(file, params=brief, n_classes=5)
    with pytest.raises(WeightsError, match=r"training\.head_units 32"):
        load_network(file, params=brief.model_copy(update={"head_units": 32}), n_classes=3)


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


def test_stored_maps_are_used_where_stages_are_frozen_and_gone_afterwards(train, params, tmp_path):
    lines: list[str] = []
    params = params.model_copy(update={"frozen_stages": 3, "epochs": 4})
    result = train(params, report=lines.append)
    assert "frozen stages are passed once" in lines[0]
    assert {file.name.split(".")[0] for file in tmp_path.iterdir()} == {"fold0_seed0", "fold1_seed0"}
    schemas.PREDICTIONS.validate(result.predictions)


def test_a_run_that_stops_in_mid_fit_gives_the_same_predictions_with_stored_maps(train, params):
    params = params.model_copy(update={"frozen_stages": 3, "epochs": 4})

    def stop(line):
        if "fold 1" in line and "epoch 3/4" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(params, report=stop)
    lines: list[str] = []
    resumed = train(params, report=lines.append)
    assert not any("fold 0" in line or "epoch 1/" in line for line in lines)
    whole = train(params.model_copy(update={"patience": 6}))  # another digest, the same course
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions)


@pytest.mark.slow
def test_fits_in_other_processes_are_those_of_this_one(samples, splits, params, tmp_path):
    """Memory-mapped images travel as a path; frozen stages are computed once, here."""
    np.save(tmp_path / "images.npy", samples.images)
    samples = Samples(np.load(tmp_path / "images.npy", mmap_mode="r"), samples.table, samples.classes)
    params = params.model_copy(update={"frozen_stages": 3, "epochs": 4, "seeds": [0, 1]})
    given = {
        "params": params, "initialisation": load_initialisation("none", backbone="resnet18"), "spacing_mm": 0.5,
        "report": lambda line: None,
    }  # fmt: skip
    here = cross_validate(samples, splits, folder=tmp_path / "here", **given)
    with open_executor(StudyParams(jobs=2)) as executor:
        elsewhere = cross_validate(samples, splits, folder=tmp_path / "elsewhere", executor=executor, **given)
    pd.testing.assert_frame_equal(here.predictions, elsewhere.predictions)
    pd.testing.assert_frame_equal(here.history, elsewhere.history)


def test_training_patients_that_are_left_out_are_called_unused(train, brief, samples):
    predictions = schemas.PREDICTIONS.validate(train(brief.model_copy(update={"train_patients": 4})).predictions)
    trained = predictions[predictions["split"] == "train"].groupby("fold")["PatientID"].nunique()
    assert (trained == 4).all()
    assert (predictions["split"] == schemas.UNUSED).any()
    assert set(predictions.loc[predictions["split"] == "test", "sample_id"]) == set(samples.table["sample_id"])


def test_shuffled_labels_are_what_networks_learn_and_are_held_against(train, brief, samples):
    seed = 1  # leaves each fold's training part all classes
    predictions = train(brief.model_copy(update={"shuffle_labels": True, "seeds": [seed]})).predictions
    dealt = samples.with_shuffled_labels(seed=seed).table.set_index("sample_id")["label"]
    assert (predictions["y_true"] == predictions["sample_id"].map(dealt)).all()
