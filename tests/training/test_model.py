import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model

from helpers.study.params import TrainingParams
from helpers.training.model import (
    AverageMaxPool,
    build_model,
    frozen_stages,
    learned_part,
    learned_state,
    logits_and_heights,
    parameter_table,
    set_training,
)
from helpers.training.stages import STAGE_NAMES, backbone_stages
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
    params = params.model_copy(update={"frozen_stages": frozen})
    network = build_model(params, n_classes=3, initialisation=start)
    set_training(network, params=params)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    after = network.state_dict()
    for stage in frozen_stages(network, params=params):
        assert not any(p.requires_grad for p in stage.parameters())
    changed = {name.split(".")[0] for name in after if "running" in name and not torch.equal(before[name], after[name])}
    changed -= {"fc"}  # the head always learns its own
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
    params = params.model_copy(update={"frozen_stages": 2})
    network = build_model(params, n_classes=3, initialisation=start)
    table = parameter_table(network, params=params).set_index("stage")
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
    logits, heights = logits_and_heights(network.fc, learned_part(network, params=params)(images))
    assert torch.equal(logits, alone)
    assert heights.shape == (4, 3)


def test_without_an_auxiliary_target_there_are_no_heights(params, start):
    network = build_model(params, n_classes=3, initialisation=start).eval()
    features = learned_part(network, params=params)(torch.ones(2, 3, 32, 32))
    logits, heights = logits_and_heights(network.fc, features)
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
        f"fc.5.{part}.{kind}" for part in ("classes", "heights") for kind in ("weight", "bias")
    }
    assert torch.equal(plain["fc.5.weight"], both["fc.5.classes.weight"])
    assert all(torch.equal(plain[name], both[name]) for name in set(plain) & set(both))


BACKBONES = TrainingParams.model_fields["backbone"].annotation.__args__


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_five_stages_that_make_up_its_forward_pass(params, backbone):
    params = params.model_copy(update={"backbone": backbone, "frozen_stages": 3})
    start = load_initialisation("none", backbone=backbone)
    network = build_model(params, n_classes=3, initialisation=start).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        maps = nn.Sequential(*frozen_stages(network, params=params))(images)
        torch.testing.assert_close(network.fc(learned_part(network, params=params)(maps)), network(images))
    assert list(backbone_stages(network, name=backbone)) == list(STAGE_NAMES)
    table = parameter_table(network, params=params)
    assert table["parameters"].sum() == sum(p.numel() for p in network.parameters())


def test_what_is_learned_is_everything_but_the_frozen_stages(params, start):
    params = params.model_copy(update={"frozen_stages": 3})
    network = build_model(params, n_classes=3, initialisation=start)
    names = {name.split(".")[0] for name in learned_state(network, params=params)}
    assert names == {"layer3", "layer4", "fc"}


def test_frozen_statistics_stay_while_their_stage_learns(params, start):
    params = params.model_copy(update={"frozen_stages": 2, "batch_norm": "frozen"})
    network = build_model(params, n_classes=3, initialisation=start)
    set_training(network, params=params)
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    of_backbone = {name: tensor for name, tensor in network.named_buffers() if not name.startswith("fc.")}
    assert all(torch.equal(tensor, before[name]) for name, tensor in of_backbone.items())
    assert network.layer4[0].bn1.weight.grad is not None
    assert network.fc.training


def test_the_head_first_standardises_each_feature(params, start):
    """Pooled features with a mean far above their spread reach the linear layer centred and of unit variance."""
    head = build_model(params, n_classes=3, initialisation=start).fc.train()
    features = 50 + 0.1 * torch.randn(64, 2 * 512)
    seen = head[0](features)
    assert seen.mean(0).abs().max() < 1e-3
    assert (seen.var(0) - 1).abs().max() < 0.1
