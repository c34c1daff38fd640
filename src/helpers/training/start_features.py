"""What the network sees before it is trained: a rival that shows what training adds."""

import numpy as np
from torch import nn

from helpers.training.augmentation import InputTransform
from helpers.training.crossvalidation import choose_device, make_deterministic
from helpers.training.data import Samples
from helpers.training.inputs import predict
from helpers.training.stages import backbone_stages


def start_features(network: nn.Module, samples: Samples, *, transform: InputTransform) -> np.ndarray:
    """Mean of the last feature map of every image, by a network as `build_model` gives it.

    Parameters
    ----------
    network
        Untrained but for its initialisation; left in evaluation mode.
    samples
        Cached images of the cohort.
    transform
        Input transform of the run.

    Returns
    -------
    (N, C) float32 in the order of `samples`, means over the transform's views.
    """
    params = transform.params
    make_deterministic(params.threads)
    device = choose_device(params.device)
    stages = backbone_stages(network, name=params.backbone).values()
    trunk = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(device)
    rows = np.arange(len(samples.table))
    return predict(trunk, samples.images, rows=rows, transform=transform, device=device).numpy()
