"""What the network sees before it is trained: a rival that shows what training adds."""

import numpy as np
import torch
from torch import nn

from helpers.training.augmentation import InputTransform
from helpers.training.crossvalidation import choose_device, make_deterministic
from helpers.training.data import Samples
from helpers.training.inputs import predict
from helpers.training.model import build_model
from helpers.training.stages import backbone_stages
from helpers.training.weights import Initialisation


def start_features(samples: Samples, *, transform: InputTransform, initialisation: Initialisation) -> np.ndarray:
    """Mean of the last feature map of every image, by the network that training starts from.

    Parameters
    ----------
    samples
        Cached images of the cohort.
    transform
        Input transform of the run.
    initialisation
        Starting point of the backbone; what it leaves to chance is drawn with the run's first seed.

    Returns
    -------
    (N, C) float32 in the order of `samples`, means over the transform's views.
    """
    params = transform.params
    make_deterministic(params.threads)
    torch.manual_seed(params.seeds[0])
    network = build_model(params, n_classes=len(samples.classes), initialisation=initialisation)
    device = choose_device(params.device)
    stages = backbone_stages(network, name=params.backbone).values()
    trunk = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(device)
    rows = np.arange(len(samples.table))
    return predict(trunk, samples.images, rows=rows, transform=transform, device=device).numpy()
