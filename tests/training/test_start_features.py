import numpy as np
import torch

from helpers.training.model import build_model
from helpers.training.start_features import start_features
from helpers.training.weights import load_initialisation


def test_they_are_the_means_of_the_last_maps(params, samples, transform):
    network = build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone=params.backbone))
    found = start_features(network, samples, transform=transform)
    seen = []
    network.layer4.register_forward_hook(lambda module, inputs, maps: seen.append(maps))
    with torch.inference_mode():
        network.eval()(transform.plain(samples.images[:]))
    maps = seen[0]
    assert found.shape == (len(samples.table), maps.shape[1])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, maps.mean((2, 3)).numpy(), rtol=0.05, atol=0.02)  # bf16


def test_the_head_has_no_say(params, samples, transform):
    networks = []
    for seed in (0, 1):
        torch.manual_seed(7)
        network = build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone=params.backbone))
        torch.manual_seed(seed)
        network.fc.apply(lambda layer: layer.reset_parameters() if hasattr(layer, "reset_parameters") else None)
        networks.append(network)
    first, second = (start_features(network, samples, transform=transform) for network in networks)
    np.testing.assert_array_equal(first, second)
