from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.training.features import FrozenFeatures, augmented_version
from helpers.training.fit import Fit, Task
from helpers.training.inputs import FeatureInputs, PixelInputs, predict
from helpers.training.model import build_model, set_training
from helpers.training.weights import load_initialisation

CPU = torch.device("cpu")


@pytest.fixture(params=["fp32", "bf16"])
def frozen(params, request):
    return params.model_copy(
        update={"frozen_stages": 3, "dropout": 0.0, "precision": request.param, "views": 3, "batch_norm": "learned"}
    )


def make_network(params):
    torch.manual_seed(4)
    return build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone="resnet18"))


class FixedPixels(PixelInputs):
    """Pixels of the versions that were stored, instead of new ones in every epoch."""

    def training(self, rows, *, epoch, generator):
        return torch.cat(list(augmented_version(self.samples, version=epoch, transform=self.transform)))[rows]


def gradients(network):
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def test_training_on_stored_maps_is_training_on_pixels(frozen, samples, transform, tmp_path):
    """Loss, gradients and logits of both ways: equal in fp32 to rounding, in bf16 to its own precision."""
    transform = replace(transform, params=frozen)
    features = FrozenFeatures(tmp_path, n_versions=2)
    features.compute(make_network(frozen), samples=samples, transform=transform, device=CPU, report=lambda line: None)
    rows = {"train": np.arange(24), "validation": np.arange(24, 30), "test": np.arange(30, 36)}
    fits = [
        Fit(make_network(frozen), inputs=inputs, samples=samples, task=Task(0, 0, rows), params=frozen, device=CPU)
        for inputs in (FixedPixels(samples, transform, CPU), FeatureInputs(features, frozen, CPU))
    ]
    for fit in fits:
        set_training(fit.network, params=frozen)
    batches = [next(iter(fit._batches(1, torch.Generator().manual_seed(2)))) for fit in fits]
    losses = [fit.step(batch, step=0) for fit, batch in zip(fits, batches, strict=True)]
    tolerance = {"fp32": 1e-5, "bf16": 2e-2}[frozen.precision]
    assert losses[0] == pytest.approx(losses[1], rel=tolerance)
    direct, stored = (gradients(fit.network) for fit in fits)
    assert direct.keys() == stored.keys()
    for name, gradient in direct.items():
        error = (gradient - stored[name]).norm() / gradient.norm().clamp(min=1e-3)
        assert error < 10 * tolerance, name
    plain = [fit.predict(np.arange(10)) for fit in fits]
    torch.testing.assert_close(*plain, rtol=10 * tolerance, atol=10 * tolerance)


def test_logits_are_averaged_over_views(params, samples, transform):
    params = params.model_copy(update={"views": 6, "precision": "fp32"})
    transform = replace(transform, params=params)
    network = make_network(params).eval()
    with torch.inference_mode():
        expected = torch.stack([network(view) for view in transform.views(samples.images[:4])]).mean(0)
    found = predict(network, samples.images, rows=np.arange(4), transform=transform, device=CPU)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not found.is_inference()


def test_pixels_change_from_epoch_to_epoch_and_follow_the_generator(params, samples, transform):
    inputs = PixelInputs(samples, transform, CPU)
    rows = np.arange(3)
    first, same, other = (
        inputs.training(rows, epoch=0, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
