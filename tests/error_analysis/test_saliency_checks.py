import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.error_analysis import explain, layer_cam
from helpers.error_analysis.saliency_checks import (
    agreement_table,
    cell_means,
    occlude,
    occlusion,
    randomised_cascade,
    rank_agreement,
    redraw,
)
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


class Brightness(nn.Module):
    """Class 0 is the mean of the image, class 1 its negative."""

    def forward(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, -mean], dim=1)


@pytest.fixture
def bright_corner() -> torch.Tensor:
    images = torch.zeros(1, 3, 128, 128)
    images[:, :, 0:32, 96:128] = 1
    return images


def test_occlusion_lies_where_the_evidence_is_and_is_not_inverted(bright_corner):
    found = occlusion(Brightness(), bright_corner, targets=torch.tensor([0]))
    assert found.shape == (1, 128, 128)
    assert np.isfinite(found).all()
    row, column = np.unravel_index(found[0].argmax(), (128, 128))
    assert row < 32
    assert column >= 96
    assert found[0, 64:, :64].max() < 0
    np.testing.assert_allclose(occlusion(Brightness(), bright_corner, targets=torch.tensor([1])), -found, atol=1e-6)


def test_occlusion_of_a_square_is_the_loss_of_its_mean(bright_corner):
    """Covered by the mean m of the image, a square of mean 1 that fills 1/16 of it costs (1 - m) / 16."""
    found = occlusion(Brightness(), bright_corner, targets=torch.tensor([0]))
    assert found[0, 0, 127] == pytest.approx((1 - 1 / 16) / 16, rel=1e-4)


def test_maps_of_trained_networks_are_shares(held_out):
    maps = explain(held_out.tested[["sample_id"]].assign(y_pred="A"), held_out=held_out)
    reports = []
    found = occlude(maps, held_out=held_out, report=lambda *numbers: reports.append(numbers))
    assert found.shape == maps.maps.shape
    assert ((found >= 0) & (found <= 1)).all()
    assert reports[-1] == (12, 12)


def test_agreement_of_ranks():
    maps = np.arange(9.0).reshape(1, 3, 3)
    assert rank_agreement(maps, maps**2) == pytest.approx([1])
    assert rank_agreement(maps, -maps) == pytest.approx([-1])
    assert np.isnan(rank_agreement(maps, np.ones((1, 3, 3)))).all()
    assert rank_agreement(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))).shape == (0,)


def test_cells_are_means_of_their_pixels():
    maps = np.kron(np.arange(4, dtype=np.float32).reshape(1, 2, 2), np.ones((1, 5, 5), dtype=np.float32))
    np.testing.assert_allclose(cell_means(maps, n_cells=2), [[[0, 1], [2, 3]]])


def test_cascade_goes_from_the_head_to_the_input_and_is_repeatable(held_out):
    maps = explain(held_out.tested[["sample_id"]].assign(y_pred="A"), held_out=held_out)
    state = torch.get_rng_state()
    found = randomised_cascade(maps, held_out=held_out)
    assert list(found) == ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    assert all(cells.shape == maps.cells.shape and np.isfinite(cells).all() for cells in found.values())
    assert torch.equal(torch.get_rng_state(), state)
    again = randomised_cascade(maps, held_out=held_out)
    np.testing.assert_allclose(again["conv1"], found["conv1"])


def test_redrawn_weights_differ_and_parts_without_any_say_so():
    layer = nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    assert redraw(nn.Sequential(layer, nn.ReLU()))
    assert not torch.equal(layer.weight, before)
    assert not redraw(nn.ReLU())


def test_table_leaves_flat_maps_out(held_out):
    maps = explain(held_out.tested[["sample_id"]].assign(y_pred="A"), held_out=held_out)
    maps = type(maps)(maps.table, maps.images, np.random.default_rng(0).random((12, 3, 3)), maps.maps)
    other = maps.cells.copy()
    other[0] = 1
    patients = held_out.samples.table.set_index("sample_id")["PatientID"]
    table = agreement_table(
        maps, others={"itself": other, "none": np.zeros_like(other)}, patients=patients, params=PARAMS
    )
    assert table["maps"].tolist() == [11, 0]
    assert table["flat maps"].tolist() == [1, 12]
    assert table["rank correlation"].str.startswith("1.00").tolist() == [True, False]


def test_nothing_explained_gives_rows_without_numbers(held_out):
    none = pd.DataFrame({"sample_id": pd.Series(dtype=str), "y_pred": pd.Series(dtype=str)})
    maps = explain(none, held_out=held_out)
    assert occlude(maps, held_out=held_out).shape == maps.maps.shape
    assert randomised_cascade(maps, held_out=held_out) == {}
    patients = held_out.samples.table.set_index("sample_id")["PatientID"]
    table = agreement_table(maps, others={"occlusion": maps.cells}, patients=patients, params=PARAMS)
    assert table["rank correlation"].tolist() == ["–"]


def test_planted_square_is_found_by_both_methods(bright_corner):
    """A network that looks for brightness: LayerCAM and occlusion point to the same corner."""

    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer4 = nn.Conv2d(3, 1, 1, bias=False)
            nn.init.constant_(self.layer4.weight, 1 / 3)
            self.avgpool = nn.Identity()

        def forward(self, images):
            mean = self.layer4(functional.avg_pool2d(images, 32)).mean((1, 2, 3))
            return torch.stack([mean, -mean], dim=1)

    network = Trunk()
    cells = layer_cam(network, bright_corner, layer=network.layer4, targets=torch.tensor([0]))
    occluded = occlusion(network, bright_corner, targets=torch.tensor([0]))
    assert cells[0].argmax() == cell_means(occluded, n_cells=4)[0].argmax() == 3
