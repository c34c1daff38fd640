"""The exponential moving average of a network's weights, usually steadier than its last step.

Morales-Brotons, Vogels & Hendrikx 2024, arXiv:2411.18704; with a decay that grows from the start as in TensorFlow's
implementation.
"""

import copy

import torch
from torch import nn


class MovingAverage:
    """Follows a network that is being trained, batch-norm statistics included.

    Parameters
    ----------
    network
        Where training starts.
    decay
        Share of the average that a step keeps, in (0, 1); in the first steps less, so that the start is forgotten.
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, *, step: int) -> None:
        """Move towards the weights after the optimiser step of number `step`, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)
