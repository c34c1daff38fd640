"""The modified ResNet: a stock torchvision backbone, average and maximum pooling side by side, and a new head."""

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import ResNet, get_model

from helpers.study.params import TrainingParams
from helpers.training.data import HEIGHT_RATIOS
from helpers.training.weights import Initialisation

STAGE_MODULES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))


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


def build_model(params: TrainingParams, *, n_classes: int, initialisation: Initialisation) -> ResNet:
    """Build the network of one fold.

    The backbone keeps torchvision's structure and names. Two things change against the stock network: its average
    pooling becomes `AverageMaxPool`, and its 1000-class layer a head of dropout, linear, ReLU, dropout, linear; with
    ``auxiliary: heights`` the last of these is `ClassesAndHeights`.
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
    A network (N, 3, H, W) → (N, n_classes) logits, in `channels_last`, frozen stages without gradient.
    """
    network = get_model(params.backbone, weights=None)
    if initialisation.state is not None:
        network.load_state_dict(initialisation.state, strict=False)  # all but fc; checked when it was loaded
    width, units = 2 * network.fc.in_features, params.head_units
    with_heights = params.auxiliary == "heights"
    network.avgpool = AverageMaxPool()
    network.fc = nn.Sequential(
        nn.Dropout(params.dropout),
        nn.Linear(width, units),
        nn.ReLU(),
        nn.Dropout(params.dropout),
        ClassesAndHeights(units, n_classes=n_classes) if with_heights else nn.Linear(units, n_classes),
    )
    for module in frozen_modules(network, params.frozen_stages):
        module.requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def logits_and_heights(network: ResNet, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Class logits (N, K), and heights (N, 3) as `losses.standardised` has them; None if the network learns none."""
    *backbone, head = network.children()
    *hidden, last = head
    if not isinstance(last, ClassesAndHeights):
        return network(images), None
    features = nn.Sequential(*backbone, nn.Flatten(), *hidden)(images)
    return last(features), last.heights(features)


def frozen_modules(network: ResNet, frozen_stages: int) -> list[nn.Module]:
    """Modules of the first `frozen_stages` stages, counted from the input."""
    return [getattr(network, name) for stage in STAGE_MODULES[:frozen_stages] for name in stage]


def set_training(network: ResNet, *, frozen_stages: int) -> None:
    """Training mode for what learns; frozen stages keep their batch-norm statistics."""
    network.train()
    for module in frozen_modules(network, frozen_stages):
        module.eval()


def parameter_table(network: ResNet) -> pd.DataFrame:
    """Parameters and trainable parameters of each stage, and what differs from the stock network."""
    changes = {"pooling": "mean and maximum side by side (stock: mean)", "head": "new (stock: one 1000-class layer)"}
    stages = {"stem": STAGE_MODULES[0]} | {name: (name,) for (name,) in STAGE_MODULES[1:]}
    stages |= {"pooling": ("avgpool",), "head": ("fc",)}
    rows = []
    for stage, names in stages.items():
        tensors = [p for name in names for p in getattr(network, name).parameters()]
        trainable = sum(p.numel() for p in tensors if p.requires_grad)
        change = changes.get(stage, "as in torchvision")
        rows.append((stage, sum(p.numel() for p in tensors), trainable, change))
    return pd.DataFrame(rows, columns=["stage", "parameters", "trainable", "against the stock network"])
