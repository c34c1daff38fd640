"""The modified network: a stock torchvision backbone, average and maximum pooling side by side, and a new head."""

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import ResNet

from helpers.study.params import TrainingParams
from helpers.training.convolution import quicken_small_maps
from helpers.training.data import HEIGHT_RATIOS
from helpers.training.stages import backbone_stages, stock_backbone
from helpers.training.weights import Initialisation


class AverageMaxPool(nn.Module):
    """Concatenate the spatial mean and maximum: (N, C, H, W) → (N, 2C, 1, 1).

    A fracture line or a fragment fills few positions of the feature map; the maximum keeps what the mean dilutes.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Pool over both spatial axes."""
        return torch.cat([features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)], dim=1)


class ClassesAndHeights(nn.Module):
    """Two linear layers on the same features: class logits, and for training also the heights of the body.

    Heights say how far a vertebra has lost its shape, where the class says only on which side of a limit it lies.
    `logits_and_heights` asks for them; otherwise the second layer is not used: (N, units) → (N, K).

    Parameters
    ----------
    units
        Number of features.
    n_classes
        Number of classes K.
    """

    def __init__(self, units: int, *, n_classes: int) -> None:
        super().__init__()
        self.classes = nn.Linear(units, n_classes)
        self.heights = nn.Linear(units, len(HEIGHT_RATIOS))

    def forward(self, features: Tensor) -> Tensor:
        """Class logits."""
        return self.classes(features)


def build_model(params: TrainingParams, *, n_classes: int, initialisation: Initialisation) -> nn.Module:
    """Build the network of one fold.

    The backbone keeps torchvision's structure and names. Two things change against the stock network: its average
    pooling becomes `AverageMaxPool`, and its 1000-class layer a head of batch norm, dropout, linear, ReLU, dropout,
    linear; with ``auxiliary: heights`` the last of these is `ClassesAndHeights`. Features of a pretrained backbone
    have a mean far larger than what tells images apart: without the norm, training stays at chance for epochs.
    Weights that are not in `initialisation` are drawn from torch's global generator.

    Parameters
    ----------
    params
        Backbone, head and frozen stages.
    n_classes
        Number of outputs.
    initialisation
        Starting point of the backbone.

    Returns
    -------
    A network (N, 3, H, W) → (N, n_classes) logits, in `channels_last`, frozen stages without gradient. Its pooling is
    called ``avgpool`` and its head ``fc`` in all backbones.
    """
    network, channels = stock_backbone(params.backbone)
    if initialisation.state is not None:
        network.load_state_dict(initialisation.state, strict=False)  # all but fc; checked when it was loaded
    network.avgpool = AverageMaxPool()
    if not isinstance(network, ResNet):
        network.flatten = nn.Flatten()  # a ResNet's own forward pass flattens
    network.fc = _head(params, channels=2 * channels, n_classes=n_classes)
    for stage in frozen_stages(network, params=params):
        stage.requires_grad_(False)
    for stage in learned_stages(network, params=params):
        quicken_small_maps(stage)
    return network.to(memory_format=torch.channels_last)


def _head(params: TrainingParams, *, channels: int, n_classes: int) -> nn.Sequential:
    units = params.head_units
    with_heights = params.auxiliary == "heights"
    return nn.Sequential(
        nn.BatchNorm1d(channels),
        nn.Dropout(params.dropout),
        nn.Linear(channels, units),
        nn.ReLU(),
        nn.Dropout(params.dropout),
        ClassesAndHeights(units, n_classes=n_classes) if with_heights else nn.Linear(units, n_classes),
    )


def frozen_stages(network: nn.Module, *, params: TrainingParams) -> list[nn.Sequential]:
    """The first `params.frozen_stages` stages, counted from the input."""
    return list(backbone_stages(network, name=params.backbone).values())[: params.frozen_stages]


def learned_stages(network: nn.Module, *, params: TrainingParams) -> list[nn.Sequential]:
    """The stages after those."""
    return list(backbone_stages(network, name=params.backbone).values())[params.frozen_stages :]


def learned_part(network: nn.Module, *, params: TrainingParams) -> nn.Sequential:
    """What follows the frozen stages, up to and without the head: feature maps → (N, 2C). Shares the modules."""
    return nn.Sequential(*learned_stages(network, params=params), network.avgpool, nn.Flatten())


def learned_state(network: nn.Module, *, params: TrainingParams) -> dict[str, Tensor]:
    """Everything that training changes, by name: frozen stages stay as the initialisation made them."""
    frozen = {
        id(tensor)
        for stage in frozen_stages(network, params=params)
        for tensor in (*stage.parameters(), *stage.buffers())
    }
    named = (*network.named_parameters(), *network.named_buffers())
    return {name: tensor.detach() for name, tensor in named if id(tensor) not in frozen}


def logits_and_heights(head: nn.Sequential, features: Tensor) -> tuple[Tensor, Tensor | None]:
    """Class logits (N, K), and heights (N, 3) as `losses.standardised` has them; None if the head learns none."""
    *hidden, last = head
    if not isinstance(last, ClassesAndHeights):
        return head(features), None
    units = nn.Sequential(*hidden)(features)
    return last(units), last.heights(units)


def set_training(network: nn.Module, *, params: TrainingParams) -> None:
    """Training mode for what learns; frozen stages keep their batch-norm statistics.

    With ``batch_norm: frozen`` those of the stages that learn stay too, while their scale and offset learn.
    """
    network.train()
    for stage in frozen_stages(network, params=params):
        stage.eval()
    if params.batch_norm == "frozen":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def parameter_table(network: nn.Module, *, params: TrainingParams) -> pd.DataFrame:
    """Parameters and trainable parameters of each stage, and what differs from the stock network."""
    changes = {"pooling": "mean and maximum side by side (stock: mean)", "head": "new (stock: one 1000-class layer)"}
    parts: dict[str, nn.Module] = dict(backbone_stages(network, name=params.backbone))
    parts |= {"pooling": network.avgpool, "head": network.fc}
    rows = []
    for name, part in parts.items():
        tensors = list(part.parameters())
        trainable = sum(p.numel() for p in tensors if p.requires_grad)
        rows.append((name, sum(p.numel() for p in tensors), trainable, changes.get(name, "as in torchvision")))
    return pd.DataFrame(rows, columns=["stage", "parameters", "trainable", "against the stock network"])
