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
        The peak is the centre of the strongest cell, so peaks lie on the grid of the cells.
    images
        (N, S, S) crops that the network saw, in [0, 1] for reading.
    cells
        (N, G, G) float32, at least 0: the maps as the feature map gives them, see `grad_cam`.
    maps
        (N, S, S) float32 in [0, 1]: the cells enlarged to the crop, see `enlarge`.
    """

    table: pd.DataFrame
    images: np.ndarray
    cells: np.ndarray
    maps: np.ndarray

    def select(self, sample_ids: Iterable[str]) -> Self:
        """The maps of those samples that were explained, in the order given."""
        position = {sample: index for index, sample in enumerate(self.table["sample_id"])}
        kept = [position[sample] for sample in sample_ids if sample in position]
        return type(self)(self.table.iloc[kept], self.images[kept], self.cells[kept], self.maps[kept])


def grad_cam(network: ResNet, images: Tensor, *, targets: Tensor) -> np.ndarray:
    """Grad-CAM on layer4 by captum (Selvaraju 2017): positive evidence only, in the cells of the feature map.

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
    (N, G, G) float32, at least 0; all zero if no evidence is positive.
    """
    # a frozen layer4 would give no gradient; below it none is wanted, and nothing needs to be kept for one
    network.requires_grad_(False)
    network.layer4.requires_grad_(True)
    cells = LayerGradCam(network, network.layer4).attribute(images, target=targets, relu_attributions=True)
    return cells[:, 0].detach().numpy()


def enlarge(cells: np.ndarray, *, size: int) -> np.ndarray:
    """Bilinear enlargement of (N, G, G) cells to (N, size, size), each map divided by its maximum where that is not 0.

    For looking at and for shares only: outside the centres of the outer cells it is flat, so it has no single peak.
    """
    maps = LayerAttribution.interpolate(torch.from_numpy(cells)[:, None], (size, size), interpolate_mode="bilinear")
    maps = maps[:, 0].numpy()
    peaks = maps.max((1, 2), initial=0, keepdims=True)
    return np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)


def cell_centres(n_cells: int, *, size: int) -> np.ndarray:
    """Where the centres of `n_cells` cells in a row lie on `size` pixels: (n_cells,), in pixels, 0 is the first's."""
    return (np.arange(n_cells) + 0.5) * size / n_cells - 0.5


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
    images = np.zeros((len(chosen), size, size), dtype=np.float32)
    cells: dict[int, np.ndarray] = {}
    for (fold, seed), group in chosen.groupby(["fold", "seed"]):
        file = checkpoints / f"fold{fold}_seed{seed}.safetensors"
        network = load_network(file, params=params, n_classes=len(samples.classes))
        for start in range(0, len(group), BATCH_SIZE):
            batch = group.iloc[start : start + BATCH_SIZE]
            pixels = samples.images[samples.rows(batch["sample_id"])]
            targets = torch.tensor([samples.classes.index(key) for key in batch["y_pred"]])
            found = grad_cam(network, transform.plain(pixels), targets=targets)
            cells |= dict(zip(batch.index, found, strict=True))
            images[batch.index] = reading_crops(pixels, size=size)
            if report is not None:
                report(len(cells), len(chosen))
    ordered = np.stack([cells[row] for row in chosen.index]) if cells else np.zeros((0, 1, 1), dtype=np.float32)
    table = _peaks(chosen, ordered, size=size, spacing_mm=transform.spacing_mm)
    return SaliencyMaps(table, images, ordered, enlarge(ordered, size=size))


def _peaks(chosen: pd.DataFrame, cells: np.ndarray, *, size: int, spacing_mm: float) -> pd.DataFrame:
    flat = cells.reshape(len(cells), cells.shape[1] * cells.shape[2])
    empty = flat.max(1, initial=0) == 0  # no positive evidence anywhere: a map without a peak
    centres = cell_centres(cells.shape[-1], size=size)
    rows, columns = (
        np.where(empty, np.nan, centres[index]) for index in np.unravel_index(flat.argmax(1), cells.shape[1:])
    )
    center = (size - 1) / 2
    offset = np.hypot(rows - center, columns - center) * spacing_mm
    table = chosen.rename(columns={"y_pred": "target"})
    return table.assign(peak_row_px=rows, peak_col_px=columns, peak_offset_mm=offset)
