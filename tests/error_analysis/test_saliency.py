from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.error_analysis import explain, layer_cam, reading_crops
from helpers.error_analysis.saliency import SaliencyError, cell_centres, enlarge, explained_layer
from helpers.study import TrainingParams, schemas
from helpers.training import build_model, load_initialisation


class Corner(nn.Module):
    """Class 0 is the mean of a feature map that repeats the image, class 1 its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.layer4.weight, 1 / 3)
        self.avgpool = nn.Identity()

    def forward(self, images):
        mean = self.layer4(functional.avg_pool2d(images, 4)).mean((1, 2, 3))
        return torch.stack([mean, -mean], dim=1)


@pytest.fixture
def bright_corner() -> torch.Tensor:
    images = torch.zeros(1, 3, 32, 32)
    images[:, :, 2:10, 20:30] = 1
    return images


def test_map_lies_where_the_evidence_is_and_is_not_inverted(bright_corner):
    network = Corner()
    cells = layer_cam(network, bright_corner, layer=network.layer4, targets=torch.tensor([0]))
    assert cells.shape == (1, 8, 8)
    saliency = enlarge(cells, size=32)
    assert saliency.shape == (1, 32, 32)
    row, column = np.unravel_index(saliency[0].argmax(), (32, 32))
    assert 2 <= row < 10
    assert 20 <= column < 30
    assert saliency[0, 20:, :10].max() == 0
    assert saliency.max() == 1


def test_evidence_against_the_class_gives_an_empty_map(bright_corner):
    network = Corner()
    assert (layer_cam(network, bright_corner, layer=network.layer4, targets=torch.tensor([1])) == 0).all()


def test_matches_the_definition_of_layer_cam():
    """Every place of every channel is weighted by its own positive gradient (Jiang 2021)."""
    torch.manual_seed(0)
    params = TrainingParams(backbone="resnet18", weights="none", batch_norm="learned", head_units=16)
    network = build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone="resnet18")).eval()
    images = torch.randn(2, 3, 64, 64)
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    features = nn.Sequential(stem, network.layer1, network.layer2, network.layer3)(images).detach().requires_grad_()
    logits = network.fc(torch.flatten(network.avgpool(network.layer4(features)), 1))
    gradient = torch.autograd.grad(logits[0, 2] + logits[1, 1], features)[0]
    expected = (gradient.relu() * features).sum(1).relu().detach()
    layer = explained_layer(network, backbone="resnet18")
    found = layer_cam(network, images, layer=layer, targets=torch.tensor([2, 1]))
    assert found.shape == (2, 4, 4)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-6 * float(expected.max()))


def test_enlarged_maps_are_bilinear_and_shares_of_their_maximum():
    cells = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(0))
    cells[1] = 0
    expected = functional.interpolate(cells[:1, None], (40, 40), mode="bilinear")[0, 0]
    found = enlarge(cells.numpy(), size=40)
    np.testing.assert_allclose(found[0], (expected / expected.max()).numpy(), rtol=1e-5)
    assert (found[1] == 0).all()
    assert enlarge(np.zeros((0, 1, 1), dtype=np.float32), size=40).shape == (0, 40, 40)


@pytest.mark.parametrize(("n_cells", "size"), [(5, 160), (1, 32), (7, 224), (32, 32)])
def test_cell_centres_are_even_and_symmetric(n_cells, size):
    centres = cell_centres(n_cells, size=size)
    np.testing.assert_allclose(centres + centres[::-1], size - 1)
    np.testing.assert_allclose(np.diff(centres), size / n_cells)


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121", "efficientnet_v2_s"])
def test_works_when_every_backbone_stage_is_frozen(backbone):
    params = TrainingParams(backbone=backbone, weights="none", frozen_stages=5, head_units=16)
    network = build_model(params, n_classes=2, initialisation=load_initialisation("none", backbone=backbone)).eval()
    layer = explained_layer(network, backbone=backbone)
    saliency = layer_cam(network, torch.randn(1, 3, 64, 64), layer=layer, targets=torch.tensor([0]))
    assert np.isfinite(saliency).all()
    assert saliency.max() > 0
    assert not any(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", ["resnet18", "densenet121", "of_my_own"])
def test_a_network_whose_stages_are_not_where_they_were_is_told_in_a_sentence(backbone):
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(SaliencyError, match="LayerCAM explains the end of layer3, which this network lacks"):
        explained_layer(network, backbone=backbone)


def test_images_of_one_grey_level_have_finite_maps(held_out):
    grey = replace(held_out.samples, images=np.full_like(held_out.samples.images, 100))
    chosen = held_out.tested[["sample_id"]].assign(y_pred="A")
    maps = explain(chosen, held_out=replace(held_out, samples=grey))
    assert np.isfinite(maps.maps).all()
    assert (maps.cells[1:6] == maps.cells[0]).all()


def test_explains_each_sample_with_a_network_that_tested_it(held_out):
    tested = held_out.tested.iloc[[0, 7, 3]]
    chosen = tested[["sample_id"]].assign(y_pred=["A", "B", "A"])
    maps = explain(chosen, held_out=held_out)
    schemas.SALIENCY.validate(maps.table)
    assert maps.table["sample_id"].tolist() == chosen["sample_id"].tolist()
    assert maps.table["fold"].tolist() == tested["fold"].tolist()
    assert maps.table["target"].tolist() == ["A", "B", "A"]
    rows = [int(sample[1:]) for sample in chosen["sample_id"]]
    np.testing.assert_allclose(maps.images, reading_crops(held_out.samples.images[rows], size=32))
    assert maps.cells.shape == (3, 2, 2)
    assert set(maps.table["peak_row_px"].dropna()) <= {7.5, 23.5}
    for offset, row, column in maps.table[["peak_offset_mm", "peak_row_px", "peak_col_px"]].itertuples(index=False):
        assert np.isnan(offset) or offset == pytest.approx(0.5 * np.hypot(row - 15.5, column - 15.5))


def test_peak_is_the_centre_of_the_strongest_cell(held_out, monkeypatch):
    """Enlarged, a corner cell is a plateau, whose first pixel would be the corner of the image."""
    chosen = held_out.tested[["sample_id"]].assign(y_pred="A")
    found = np.zeros((5, 5), dtype=np.float32)
    found[0, 4] = 1

    def corner(network, images, *, layer, targets):
        return np.stack([found] * len(images))

    monkeypatch.setattr("helpers.error_analysis.saliency.layer_cam", corner)
    maps = explain(chosen, held_out=held_out)
    peaks = maps.table[["peak_row_px", "peak_col_px", "peak_offset_mm"]].to_numpy()
    np.testing.assert_allclose(peaks, np.tile([2.7, 28.3, 0.5 * np.hypot(12.8, 12.8)], (12, 1)))


def test_nothing_chosen_gives_nothing(held_out):
    chosen = pd.DataFrame({"sample_id": pd.Series(dtype=str), "y_pred": pd.Series(dtype=str)})
    maps = explain(chosen, held_out=held_out)
    assert len(maps.table) == len(maps.maps) == 0


def test_batches_change_nothing_but_the_report(held_out, monkeypatch):
    chosen = held_out.tested[["sample_id"]].assign(y_pred="A")
    whole = explain(chosen, held_out=held_out)
    monkeypatch.setattr("helpers.error_analysis.saliency.BATCH_SIZE", 4)
    reports = []
    parts = explain(chosen, held_out=held_out, report=lambda *numbers: reports.append(numbers))
    np.testing.assert_allclose(parts.maps, whole.maps, atol=1e-4)
    np.testing.assert_allclose(parts.cells, whole.cells, rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(parts.images, whole.images)
    assert reports == [(4, 12), (6, 12), (10, 12), (12, 12)]
