from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training.features import (
    FrozenFeatures,
    augmented_version,
    choose_route,
    features_folder,
    map_shape,
    remove_features,
    version_name,
    view_name,
)
from helpers.training.model import build_model, frozen_stages
from helpers.training.weights import load_initialisation

CPU = torch.device("cpu")
FITS = [(400, 80)] * 5


def quiet(line: str) -> None:
    """A report that nobody reads."""


@pytest.fixture
def frozen(params):
    return params.model_copy(update={"frozen_stages": 3, "epochs": 3, "views": 2, "precision": "fp32"})


@pytest.fixture
def network(frozen):
    torch.manual_seed(0)
    return build_model(frozen, n_classes=3, initialisation=load_initialisation("none", backbone="resnet18")).eval()


@pytest.fixture
def stored(frozen, network, samples, transform, tmp_path):
    features = FrozenFeatures(tmp_path / "maps", n_versions=3)
    transform = replace(transform, params=frozen)
    features.compute(network, samples=samples, transform=transform, device=CPU, report=quiet)
    return features


def test_stored_maps_are_those_of_the_frozen_stages(stored, frozen, network, samples, transform):
    """Independent of how they are stored: images through the first three stages, one version and one view at a time."""
    transform = replace(transform, params=frozen)
    stages = nn.Sequential(*frozen_stages(network, params=frozen))
    rows = np.array([5, 0, 17])
    with torch.inference_mode():
        images = torch.cat(list(augmented_version(samples, version=1, transform=transform)))
        torch.testing.assert_close(stored.training(1, rows), stages(images[rows]))
        second_view = list(transform.views(samples.images))[1]
        torch.testing.assert_close(stored.read(view_name(1), rows), stages(second_view[rows]))


def test_bf16_maps_are_stored_without_loss(frozen, network, samples, transform, tmp_path):
    params = frozen.model_copy(update={"precision": "bf16", "views": 1})
    features = FrozenFeatures(tmp_path / "bf16", n_versions=1)
    transform = replace(transform, params=params)
    features.compute(network, samples=samples, transform=transform, device=CPU, report=quiet)
    images = torch.cat(list(augmented_version(samples, version=0, transform=transform)))
    stages = nn.Sequential(*frozen_stages(network, params=params))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = stages(images.to(memory_format=torch.channels_last))
    found = features.training(0, np.arange(36))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_every_epoch_has_its_own_version_until_they_are_used_up(stored):
    rows = np.arange(4)
    versions = [stored.training(epoch, rows) for epoch in range(4)]
    assert not torch.equal(versions[0], versions[1])
    assert not torch.equal(versions[1], versions[2])
    assert torch.equal(versions[0], versions[3])


def test_an_interrupted_computation_goes_on_with_the_next_file(stored, frozen, network, samples, transform):
    kept, missing = (stored.folder / f"{version_name(number)}.npy" for number in (0, 1))
    written, content = kept.stat().st_mtime_ns, missing.read_bytes()
    missing.unlink()
    transform = replace(transform, params=frozen)
    stored.compute(network, samples=samples, transform=transform, device=CPU, report=quiet)
    assert kept.stat().st_mtime_ns == written
    assert missing.read_bytes() == content
    assert not list(stored.folder.glob("*.tmp"))


def test_maps_of_other_settings_are_removed(tmp_path):
    first = features_folder(tmp_path, digest="a", n_versions=2)
    first.mkdir(parents=True)
    second = features_folder(tmp_path, digest="b", n_versions=2)
    assert not first.exists()
    second.mkdir(parents=True)
    assert features_folder(tmp_path, digest="b", n_versions=2).exists()
    remove_features(tmp_path)
    assert not list(tmp_path.iterdir())


def test_map_shape_is_that_of_the_stage(network, frozen):
    assert map_shape(network, params=frozen) == (128, 4, 4)


@pytest.mark.parametrize(
    ("update", "n_versions", "reason"),
    [
        ({}, 3, "2792 passes instead of"),
        ({"frozen_stages": 0}, 0, "no stage is frozen"),
        ({"feature_cache_gb": 0.0}, 0, "would pass 0 GB"),
        ({"epochs": 30, "feature_versions": 30, "feature_cache_gb": 1.5}, 20, "20 random versions"),
        ({"epochs": 30}, 8, "8 random versions"),
        ({"epochs": 30, "feature_versions": 1}, 1, "1 random version of each"),
    ],
)
def test_maps_are_stored_where_that_saves_work_and_fits(frozen, update, n_versions, reason):
    params = frozen.model_copy(update={"views": 1, **update})
    route = choose_route(params, n_images=698, fit_sizes=FITS, image_bytes=100_000)
    assert route.n_versions == n_versions
    assert reason in route.reason


def test_one_short_fit_starts_from_pixels(frozen):
    route = choose_route(
        frozen.model_copy(update={"views": 1, "epochs": 1}), n_images=1000, fit_sizes=[(100, 20)], image_bytes=100
    )
    assert route.n_versions == 0
    assert "1120 passes, 2000 with stored maps" in route.reason
