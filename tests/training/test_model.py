import numpy as np
import pytest
import torch
from torchvision.models import get_model

from helpers.training.model import (
    AverageMaxPool,
    build_model,
    frozen_modules,
    logits_and_heights,
    parameter_table,
    set_training,
)
from helpers.training.weights import Initialisation, load_initialisation


@pytest.fixture
def start() -> Initialisation:
    return load_initialisation("none", backbone="resnet18")


def test_pooling_matches_numpy():
    features = torch.randn(2, 3, 4, 5)
    expected = np.concatenate([features.numpy().mean((2, 3)), features.numpy().max((2, 3))], axis=1)
    np.testing.assert_allclose(AverageMaxPool()(features).flatten(1).numpy(), expected, rtol=1e-5)


def test_logits_have_one_column_per_class(params, start):
    network = build_model(params, n_classes=4, initialisation=start).eval()
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize("frozen", range(6))
def test_frozen_stages_have_no_gradient_and_keep_their_statistics(params, start, frozen):
    network = build_model(params.model_copy(update={"frozen_stages": frozen}), n_classes=3, initialisation=start)
    set_training(network, frozen_stages=frozen)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    after = network.state_dict()
    for module in frozen_modules(network, frozen):
        assert not any(p.requires_grad for p in module.parameters())
    changed = {name.split(".")[0] for name in after if "running" in name and not torch.equal(before[name], after[name])}
    assert changed == {"bn1", "layer1", "layer2", "layer3", "layer4"} - {
        name for stage in (("bn1",), ("layer1",), ("layer2",), ("layer3",), ("layer4",))[:frozen] for name in stage
    }


def test_initialisation_fills_the_backbone(params):
    state = {
        n: torch.full_like(t, 0.5) for n, t in get_model("resnet18").state_dict().items() if not n.startswith("fc.")
    }
    network = build_model(params, n_classes=3, initialisation=Initialisation("file", "", "", state=state))
    assert torch.equal(network.layer3[0].conv1.weight, state["layer3.0.conv1.weight"])


def test_table_counts_every_parameter_once(params, start):
    network = build_model(params.model_copy(update={"frozen_stages": 2}), n_classes=3, initialisation=start)
    table = parameter_table(network).set_index("stage")
    assert table["parameters"].sum() == sum(p.numel() for p in network.parameters())
    assert table["trainable"].sum() == sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert table.loc["layer1", "trainable"] == 0 < table.loc["layer2", "trainable"]


@pytest.mark.parametrize("training", [True, False])
def test_heights_come_beside_the_logits_and_change_neither_them_nor_what_is_drawn(params, start, training):
    params = params.model_copy(update={"auxiliary": "heights"})
    network = build_model(params, n_classes=3, initialisation=start).train(training)
    images = torch.randn(4, 3, 32, 32)
    torch.manual_seed(1)
    alone = network(images)
    torch.manual_seed(1)
    logits, heights = logits_and_heights(network, images)
    assert torch.equal(logits, alone)
    assert heights.shape == (4, 3)


def test_without_an_auxiliary_target_there_are_no_heights(params, start):
    network = build_model(params, n_classes=3, initialisation=start).eval()
    logits, heights = logits_and_heights(network, torch.ones(2, 3, 32, 32))
    assert logits.shape == (2, 3)
    assert heights is None


def test_a_head_for_heights_changes_no_other_weight(params, start):
    networks = []
    for auxiliary in ("none", "heights"):
        torch.manual_seed(0)
        chosen = params.model_copy(update={"auxiliary": auxiliary})
        networks.append(build_model(chosen, n_classes=3, initialisation=start).state_dict())
    plain, both = networks
    assert set(both) - set(plain) == {
        f"fc.4.{part}.{kind}" for part in ("classes", "heights") for kind in ("weight", "bias")
    }
    assert torch.equal(plain["fc.4.weight"], both["fc.4.classes.weight"])
    assert all(torch.equal(plain[name], both[name]) for name in set(plain) & set(both))
