"""torchvision's backbones as five stages each, so that freezing means the same in all of them.

A stage ends where the feature map halves for the next time; the first is the stem.
"""

from torch import nn
from torchvision.models import ResNet, get_model

STAGE_NAMES = ("stem", "layer1", "layer2", "layer3", "layer4")
#: Where each stage begins and ends among the children of `features`, for backbones that are built that way.
_FEATURE_STAGES = {
    "convnext_tiny": ((0, 1), (1, 2), (2, 4), (4, 6), (6, 8)),
    "efficientnet_v2_s": ((0, 2), (2, 3), (3, 4), (4, 6), (6, 8)),
    "densenet121": ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)),
}


def stock_backbone(name: str) -> tuple[nn.Module, int]:
    """A backbone without its pooling and classifier, randomly started, and the channels that it ends with.

    Tensors keep torchvision's names. A ResNet stays a ResNet; the others become their `features`.
    """
    network = get_model(name, weights=None)
    if isinstance(network, ResNet):
        return network, network.fc.in_features
    *_, classifier = (module for module in network.classifier.modules() if isinstance(module, nn.Linear))
    body = nn.Sequential()
    body.add_module("features", network.features)
    if name == "densenet121":
        body.add_module("relu", nn.ReLU())  # torchvision applies it between the last norm and the pooling
    return body, classifier.in_features


def backbone_stages(network: nn.Module, *, name: str) -> dict[str, nn.Sequential]:
    """The stages of a network in the order of the forward pass; they share the network's own modules.

    Parameters
    ----------
    network
        From `helpers.training.model.build_model`.
    name
        torchvision's name of its backbone.
    """
    if isinstance(network, ResNet):
        stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        return {"stem": stem} | {key: nn.Sequential(getattr(network, key)) for key in STAGE_NAMES[1:]}
    children = list(network.features)
    parts = [nn.Sequential(*children[start:end]) for start, end in _FEATURE_STAGES[name]]
    if name == "densenet121":
        parts[-1].append(network.relu)
    return dict(zip(STAGE_NAMES, parts, strict=True))
