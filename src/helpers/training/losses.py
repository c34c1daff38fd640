"""What a network is trained to make small: the class loss, and beside it that of the heights where they are known."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

HEIGHT_UNIT = 0.1  # half the loss of height that makes a fracture (Genant 1993: 20 %), so that errors are near 1


class TrainingLoss(nn.Module):
    """Weighted cross-entropy of the classes plus the weighted Huber loss of the known heights.

    Parameters
    ----------
    class_weights
        (K,) weight of each class.
    label_smoothing
        Share of the target that is spread over all classes.
    auxiliary_weight
        Of the heights' loss; it counts only where heights are predicted.
    """

    def __init__(self, class_weights: Tensor, *, label_smoothing: float, auxiliary_weight: float) -> None:
        super().__init__()
        self.cross_entropy = nn.CrossEntropyLoss(weight=class_weights, label_smoothing=label_smoothing)
        self.auxiliary_weight = auxiliary_weight

    def forward(self, logits: Tensor, targets: Tensor, *, predicted: Tensor | None, heights: Tensor) -> Tensor:
        """Loss of a batch: logits (B, K), targets (B,), predicted heights (B, 3), true ones with NaN where unknown."""
        loss = self.cross_entropy(logits, targets)
        known = ~heights.isnan()
        if predicted is None or not known.any():
            return loss
        errors = functional.smooth_l1_loss(predicted[known].float(), standardised(heights[known]))
        return loss + self.auxiliary_weight * errors


def standardised(heights: Tensor) -> Tensor:
    """Height ratios as the network gives them: 0 is the normal height, -1 a tenth of it lost."""
    return (heights - 1) / HEIGHT_UNIT


def class_weights(targets: np.ndarray, *, n_classes: int) -> Tensor:
    """Weights that give every class the same total in the loss: n / (K · n_k)."""
    counts = np.bincount(targets, minlength=n_classes)
    return torch.tensor(len(targets) / (n_classes * counts), dtype=torch.float32)
