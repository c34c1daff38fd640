import json

import pytest
import torch
from safetensors.torch import save_file

from helpers.study import ParameterError, Run, Study
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
    (tmp_path / "run/metrics.json").write_text(json.dumps({"overall": {"accuracy": {"estimate": 0.9}}}))
    (tmp_path / "run/model.json").write_text(json.dumps(model_card(network, params=params, initialisation=start)))
    return Run(tmp_path / "run")


def test_registered_backbone_comes_back_with_its_input_and_licence(run, folder, network):
    file = register_weights(run)
    assert file == folder / "phantom_resnet18.safetensors"
    start = load_initialisation("phantom", backbone="resnet18")
    assert start.is_transfer
    assert (start.name, start.intensity, start.window, start.spacing_mm) == ("phantom", "image", (300.0, 2000.0), 0.5)
    assert start.licence == "Apache-2.0"
    assert "698 simulated CT images of 350 simulated patients" in start.note
    assert not any(name.startswith("fc.") for name in start.state)
    assert torch.equal(start.state["layer3.0.conv1.weight"], network.state_dict()["layer3.0.conv1.weight"])


def test_card_says_how_the_network_did_and_where_it_ends(run, folder):
    card = json.loads(register_weights(run).with_suffix(".json").read_text())
    assert card["simulated_test"]["accuracy"]["estimate"] == 0.9
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
