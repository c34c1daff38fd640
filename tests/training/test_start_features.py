from dataclasses import replace

import numpy as np
import torch

from helpers.training.data import Samples
from helpers.training.model import build_model
from helpers.training.start_features import start_features
from helpers.training.weights import load_initialisation


def found(params, samples, transform):
    start = load_initialisation("none", backbone=params.backbone)
    return start_features([samples], transform=transform, initialisation=start)


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


def test_several_cohorts_follow_each_other_and_8_bit_values_are_no_hu(params, samples, transform):
    grey = Samples(np.full((2, 40, 40), 90, np.uint8), samples.table.head(2), samples.classes)
    start = load_initialisation("none", backbone=params.backbone)
    together = start_features([samples, grey], transform=transform, initialisation=start)
    np.testing.assert_array_equal(together[:-2], found(params, samples, transform))
    as_grey = replace(transform, is_hu=False)
    np.testing.assert_array_equal(together[-2:], found(params, grey, as_grey))
    assert not np.array_equal(as_grey.plain(grey.images), transform.plain(grey.images))
