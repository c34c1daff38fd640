import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from helpers.study import ParameterError, Run, Study, load_study
from helpers.study.artefacts import record_study
from helpers.training import build_model, load_initialisation, model_card, register_weights
from helpers.training import registry as module
from helpers.training import weights as weights_module
from helpers.training.weights import WeightsError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where registered weights go during a test."""
    for each in (module, weights_module):
        monkeypatch.setattr(
            each, "phantom_weights", lambda backbone: tmp_path / f"weights/phantom_{backbone}.safetensors"
        )
    return tmp_path / "weights"


@pytest.fixture
def network(params):
    return build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone=params.backbone))


def predictions() -> pd.DataFrame:
    """Two folds and seeds of 12 images, two a patient; fold 0 with seed 4 is right in 3 of its 4 test images."""
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{i:02d}" for i in range(12)],
            "PatientID": [f"p{i // 2}" for i in range(12)],
            "y_true": ["A", "B", "C"] * 4,
        }
    )
    fits = []
    for fold, seed in [(0, 4), (1, 4), (0, 5), (1, 5)]:
        split = ["train"] * 6 + ["validation"] * 2 + ["test"] * 4
        answer = samples["y_true"].mask(samples["sample_id"] == "s11", "A") if (fold, seed) == (0, 4) else "B"
        logits = {f"logit_{key}": (answer == key) * np.float32(1) for key in "ABC"}
        fits.append(samples.assign(fold=fold, seed=seed, split=split[::-1] if fold else split, **logits))
    return pd.concat(fits, ignore_index=True).astype({f"logit_{key}": np.float32 for key in "ABC"})


@pytest.fixture
def run(params, network, tmp_path):
    """A finished run on simulated images, as far as registration reads it."""
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    params = params.model_copy(update={"intensity": "image", "window_center": 300.0, "seeds": [4, 5]})
    study = Study(training=params)
    record_study(tmp_path / "run", study)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "run/checkpoints/fold0_seed4.safetensors")
    start = load_initialisation("none", backbone=params.backbone)
    predictions().to_parquet(tmp_path / "run/predictions.parquet")
    (tmp_path / "run/model.json").write_text(json.dumps(model_card(network, params=params, initialisation=start)))
    return Run(tmp_path / "run")


def test_registered_backbone_comes_back_with_its_input_and_licence(run, folder, network):
    file = register_weights(run)
    assert file == folder / "phantom_resnet18.safetensors"
    start = load_initialisation("phantom", backbone="resnet18")
    assert start.is_transfer
    assert (start.name, start.intensity, start.window, start.spacing_mm) == ("phantom", "image", (300.0, 2000.0), 0.714)
    assert start.licence == "Apache-2.0"
    assert "6 simulated CT images of 3 simulated patients" in start.note
    assert not any(name.startswith("fc.") for name in start.state)
    assert torch.equal(start.state["layer3.0.conv1.weight"], network.state_dict()["layer3.0.conv1.weight"])


def test_card_says_how_the_network_did_and_where_it_ends(run, folder):
    card = json.loads(register_weights(run).with_suffix(".json").read_text())
    scores = {"images": 4, "patients": 2, "accuracy": 3 / 4, "balanced_accuracy": (1 + 1 + 1 / 2) / 3}
    assert card["simulated_test"] == pytest.approx(scores)
    assert card["cohort"]["phantom_seed"] == 2024
    assert "real" in card["limits"]


def test_changed_weights_are_refused(run, folder, network):
    file = register_weights(run)
    save_file({"conv1.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="sha256"):
        load_initialisation("phantom", backbone="resnet18")


def test_a_run_on_real_images_gives_no_phantom_weights(run, folder):
    cohort = run.study.cohort.model_copy(update={"source": "images"})
    record_study(run.folder, run.study.model_copy(update={"cohort": cohort}))
    with pytest.raises(ParameterError, match="source images"):
        register_weights(run)


def test_command_in_the_parameter_file_makes_the_default_study_fit_the_weights():
    params = Path(__file__).parents[2] / "params"
    given = re.findall(r"--set (\S+)", (params / "pretrain_phantom.yaml").read_text(encoding="utf-8"))
    study, made = load_study(params / "default.yaml", overrides=given), load_study(params / "pretrain_phantom.yaml")
    assert study.training.weights == "phantom"
    assert study.training.backbone == made.training.backbone
    assert study.preprocessing.spacing_mm == made.preprocessing.spacing_mm
    for name in ("intensity", "window_center", "window_width"):
        assert getattr(study.training, name) == getattr(made.training, name), name
