import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.training.losses import TrainingLoss, class_weights, standardised

LOGITS = torch.tensor([[2.0, -1.0, 0.0], [0.0, 1.0, 0.5]])
TARGETS = torch.tensor([0, 2])
UNKNOWN = torch.full((2, 3), torch.nan)


@pytest.fixture
def loss() -> TrainingLoss:
    return TrainingLoss(torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1, auxiliary_weight=0.5)


def test_without_heights_it_is_weighted_cross_entropy(loss):
    expected = functional.cross_entropy(LOGITS, TARGETS, weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)
    assert torch.equal(loss(LOGITS, TARGETS, predicted=None, heights=torch.ones(2, 3)), expected)
    assert torch.equal(loss(LOGITS, TARGETS, predicted=torch.ones(2, 3), heights=UNKNOWN), expected)


def test_known_heights_add_their_mean_huber_loss_and_unknown_ones_have_no_gradient(loss):
    heights = torch.tensor([[0.8, torch.nan, 1.0], [torch.nan, torch.nan, torch.nan]])
    predicted = torch.tensor([[-2.5, 7.0, 3.0], [9.0, 9.0, 9.0]], requires_grad=True)
    total = loss(LOGITS, TARGETS, predicted=predicted, heights=heights)
    errors = (0.5 * 0.5**2 + (3 - 0.5)) / 2  # Huber with its corner at 1
    assert total.item() == pytest.approx(float(loss.cross_entropy(LOGITS, TARGETS)) + 0.5 * errors, rel=1e-5)
    total.backward()
    assert torch.equal(predicted.grad != 0, ~heights.isnan())


def test_a_lost_tenth_of_the_height_is_one_unit():
    assert standardised(torch.tensor([1.0, 0.9])).tolist() == pytest.approx([0, -1])


def test_class_weights_balance_the_loss():
    targets = np.array([0, 0, 0, 1])
    weights = class_weights(targets, n_classes=2).numpy()
    assert weights[targets].sum() == pytest.approx(4)
    assert weights[targets][targets == 0].sum() == pytest.approx(weights[targets][targets == 1].sum())
