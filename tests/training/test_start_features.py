import numpy as np
import torch

from helpers.training.model import build_model
from helpers.training.start_features import start_features
from helpers.training.weights import load_initialisation


def found(params, samples, transform):
    start = load_initialisation("none", backbone=params.backbone)
    return start_features(samples, transform=transform, initialisation=start)


def test_they_are_the_means_of_the_last_maps(params, samples, transform):
    torch.manual_seed(params.seeds[0])
    start = load_initialisation("none", backbone=params.backbone)
    network = build_model(params, n_classes=len(samples.classes), initialisation=start)
    seen = []
    network.layer4.register_forward_hook(lambda module, inputs, maps: seen.append(maps))
    with torch.inference_mode():
        network.eval()(transform.plain(samples.images[:]))
    features = found(params, samples, transform)
    assert features.shape == (len(samples.table), seen[0].shape[1])
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, seen[0].mean((2, 3)).numpy(), rtol=0.05, atol=0.02)  # bf16


def test_a_random_start_is_the_same_whatever_was_drawn_before(params, samples, transform):
    features = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        features.append(found(params, samples, transform))
    np.testing.assert_array_equal(*features)
