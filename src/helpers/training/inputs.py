"""Where a fit takes its input from: pixels, changed anew in every epoch, or stored outputs of the frozen stages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn

from helpers.study.params import TrainingParams
from helpers.training.augmentation import InputTransform
from helpers.training.data import Samples
from helpers.training.features import FrozenFeatures, view_name
from helpers.training.model import learned_part
from helpers.training.precision import autocast

PREDICT_BATCH = 64


class Inputs(Protocol):
    """What `Fit` asks of either kind."""

    def training(self, rows: np.ndarray, *, epoch: int, generator: Generator) -> Tensor:
        """Randomly changed input of some images, as `trunk` takes it."""

    def trunk(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """What turns this input into the features that the head takes."""

    def logits(self, network: nn.Module, rows: np.ndarray) -> Tensor:
        """(len(rows), K) float32 logits on the CPU without chance, averaged over views."""


@dataclass(frozen=True)
class PixelInputs:
    """Every epoch changes the images at random, and they pass the whole network."""

    samples: Samples
    transform: InputTransform
    device: torch.device

    def training(self, rows: np.ndarray, *, epoch: int, generator: Generator) -> Tensor:
        """Randomly changed images (n, 3, S, S)."""
        return self.transform.augmented(self.samples.images[rows], generator=generator)

    def trunk(self, network: nn.Module) -> nn.Module:
        """The network without its head."""
        return learned_part(network, params=self.transform.params.model_copy(update={"frozen_stages": 0}))

    def logits(self, network: nn.Module, rows: np.ndarray) -> Tensor:
        """Logits of the plain views."""
        return predict(network, self.samples.images, rows=rows, transform=self.transform, device=self.device)


@dataclass(frozen=True)
class FeatureInputs:
    """Images have passed the frozen stages before; only what learns is computed."""

    features: FrozenFeatures
    params: TrainingParams
    device: torch.device

    def training(self, rows: np.ndarray, *, epoch: int, generator: Generator) -> Tensor:
        """Stored maps (n, C, h, w) of the epoch's version."""
        return self.features.training(epoch, rows)

    def trunk(self, network: nn.Module) -> nn.Module:
        """The stages that learn, and the pooling."""
        return learned_part(network, params=self.params)

    def logits(self, network: nn.Module, rows: np.ndarray) -> Tensor:
        """Logits of the stored plain views."""
        network.eval()
        rest = nn.Sequential(self.trunk(network), network.fc)
        views = []
        for view in range(self.params.views):
            batches = (rows[start : start + PREDICT_BATCH] for start in range(0, len(rows), PREDICT_BATCH))
            parts = (self.features.read(view_name(view), batch) for batch in batches)
            views.append(torch.cat([_forward(rest, part, params=self.params, device=self.device) for part in parts]))
        return torch.stack(views).mean(dim=0)


def predict(
    network: nn.Module, images: np.ndarray, *, rows: np.ndarray, transform: InputTransform, device: torch.device
) -> Tensor:
    """Logits of some cached images, averaged over the transform's views: (len(rows), K) float32 on the CPU.

    Parameters
    ----------
    network
        On `device`; left in evaluation mode.
    images
        (N, H, W) or (N, 3, H, W) cached images.
    rows
        Which of them, in order.
    transform
        The network's input transform.
    """
    network.eval()
    parts = []
    for start in range(0, len(rows), PREDICT_BATCH):
        views = transform.views(images[rows[start : start + PREDICT_BATCH]])
        logits = [_forward(network, view, params=transform.params, device=device) for view in views]
        parts.append(torch.stack(logits).mean(dim=0))
    return torch.cat(parts)


def _forward(network: nn.Module, batch: Tensor, *, params: TrainingParams, device: torch.device) -> Tensor:
    with torch.inference_mode(), autocast(device, params.precision):
        logits = network(batch.to(device, memory_format=torch.channels_last))
    return logits.float().cpu().clone()
