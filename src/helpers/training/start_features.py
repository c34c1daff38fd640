"""What the network sees before it is trained: a rival that shows what training adds."""

from collections.abc import Iterable
from dataclasses import replace

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


def start_features(
    cohorts: Iterable[Samples], *, transform: InputTransform, initialisation: Initialisation
) -> np.ndarray:
    """Mean of the last feature map of every image, by the network that training starts from.

    Parameters
    ----------
    cohorts
        Cached images, of the study's own cohort or of external ones; at least one cohort. 8-bit cohorts get the
        transform for 8-bit values.
    transform
        Input transform of the run.
    initialisation
        Starting point of the backbone; what it leaves to chance is drawn with the run's first seed.

    Returns
    -------
    (N, C) float32, cohort by cohort in the order of their images, means over the transform's views.
    """
    params = transform.params
    make_deterministic(params.threads)
    torch.manual_seed(params.seeds[0])
    # the head is cut off again, so its number of classes does not matter
    network = build_model(params, n_classes=2, initialisation=initialisation)
    device = choose_device(params.device)
    stages = backbone_stages(network, name=params.backbone).values()
    trunk = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()).to(device)
    found = [
        predict(
            trunk,
            samples.images,
            rows=np.arange(len(samples.table)),
            transform=replace(transform, is_hu=samples.is_hu),
            device=device,
        )
        for samples in cohorts
    ]
    return torch.cat(found).numpy()
