"""Grad-CAM of the network that tested a sample: where the last convolutions speak for the predicted class."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor
from torchvision.models import ResNet

from helpers.error_analysis.pictures import reading_crops
from helpers.study.params import TrainingParams
from helpers.training import InputTransform, Samples, load_network

BATCH_SIZE = 32
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class SaliencyMaps:
    """Grad-CAM maps of some samples.

    Parameters
    ----------
    table
        One row per map: sample_id, fold, seed, target (class key), peak position and its distance to the crop centre.
    images
        (N, S, S) crops that the network saw, in [0, 1] for reading.
    maps
        (N, S, S) float32 in [0, 1]; each is divided by its own maximum, and is zero where nothing speaks for the class.
    """

    table: pd.DataFrame
    images: np.ndarray
    maps: np.ndarray

    def select(self, sample_ids: Iterable[str]) -> Self:
        """The maps of those samples that were explained, in the order given."""
        position = {sample: index for index, sample in enumerate(self.table["sample_id"])}
        kept = [position[sample] for sample in sample_ids if sample in position]
        return type(self)(self.table.iloc[kept], self.images[kept], self.maps[kept])


def grad_cam(network: ResNet, images: Tensor, *, targets: Tensor) -> np.ndarray:
    """Grad-CAM on layer4 by captum (Selvaraju 2017): positive evidence only, enlarged to the image.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        (N, 3, S, S) network input.
    targets
        (N,) class indices to explain.

    Returns
    -------
    (N, S, S) float32, each map divided by its maximum; all zero if no evidence is positive.
    """
    # a frozen layer4 would give no gradient; below it none is wanted, and nothing needs to be kept for one
    network.requires_grad_(False)
    network.layer4.requires_grad_(True)
    maps = LayerGradCam(network, network.layer4).attribute(images, target=targets, relu_attributions=True)
    maps = LayerAttribution.interpolate(maps, tuple(images.shape[-2:]), interpolate_mode="bilinear")[:, 0]
    peak = maps.amax((1, 2), keepdim=True)
    return torch.where(peak > 0, maps / peak.clamp_min(torch.finfo(maps.dtype).tiny), 0).detach().numpy()


def explain(
    chosen: pd.DataFrame, *, samples: Samples, predictions: pd.DataFrame, params: TrainingParams,
    transform: InputTransform, checkpoints: Path, report: Report | None = None,
) -> SaliencyMaps:  # fmt: skip
    """Explain the predicted class of each chosen sample with a network that had it in its test fold.

    Parameters
    ----------
    chosen
        Rows with sample_id and y_pred.
    samples
        Cached images with labels.
    predictions
        All predictions; they tell which fold and seed tested a sample (the first seed is used).
    params, transform
        Training section and input transform of the run.
    checkpoints
        Folder of the trained networks.
    report
        Called as ``report(done, total)`` with numbers of samples.
    """
    torch.set_num_threads(params.threads)
    tested = predictions[predictions["split"] == "test"].sort_values(["seed", "fold"]).drop_duplicates("sample_id")
    chosen = chosen[["sample_id", "y_pred"]].merge(tested[["sample_id", "fold", "seed"]], on="sample_id")
    size = params.input_size
    images, maps = np.zeros((2, len(chosen), size, size), dtype=np.float32)
    done = 0
    for (fold, seed), group in chosen.groupby(["fold", "seed"]):
        file = checkpoints / f"fold{fold}_seed{seed}.safetensors"
        network = load_network(file, params=params, n_classes=len(samples.classes))
        for start in range(0, len(group), BATCH_SIZE):
            batch = group.iloc[start : start + BATCH_SIZE]
            pixels = samples.images[samples.rows(batch["sample_id"])]
            targets = torch.tensor([samples.classes.index(key) for key in batch["y_pred"]])
            maps[batch.index] = grad_cam(network, transform.plain(pixels), targets=targets)
            images[batch.index] = reading_crops(pixels, size=size)
            done += len(batch)
            if report is not None:
                report(done, len(chosen))
    return SaliencyMaps(_peaks(chosen, maps, spacing_mm=transform.spacing_mm), images, maps)


def _peaks(chosen: pd.DataFrame, maps: np.ndarray, *, spacing_mm: float) -> pd.DataFrame:
    flat = maps.reshape(len(maps), maps.shape[1] * maps.shape[2])
    rows, columns = np.unravel_index(flat.argmax(1), maps.shape[1:])
    empty = flat.max(1, initial=0) == 0  # no positive evidence anywhere: a map without a peak
    rows, columns = (np.where(empty, np.nan, index) for index in (rows, columns))
    center = (maps.shape[-1] - 1) / 2
    offset = np.hypot(rows - center, columns - center) * spacing_mm
    table = chosen.rename(columns={"y_pred": "target"})
    return table.assign(peak_row_px=rows, peak_col_px=columns, peak_offset_mm=offset)
