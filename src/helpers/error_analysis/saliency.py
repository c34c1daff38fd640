"""Grad-CAM of the network that tested a sample: where the last convolutions speak for the predicted class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.pictures import reading_crops

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


def grad_cam(network: nn.Module, images: Tensor, *, targets: Tensor) -> np.ndarray:
    """Grad-CAM on the last feature map by captum (Selvaraju 2017): positive evidence only, in the map's own cells.

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
    layer = last_convolutions(network)
    # a frozen layer would give no gradient; below it none is wanted, and nothing needs to be kept for one
    network.requires_grad_(False)
    (layer if any(True for _ in layer.parameters()) else network).requires_grad_(True)
    cells = LayerGradCam(network, layer).attribute(images, target=targets, relu_attributions=True)
    return cells[:, 0].detach().numpy()


def last_convolutions(network: nn.Module) -> nn.Module:
    """What gives the last feature map: the part before the pooling, `layer4` of a ResNet."""
    names = [name for name, _ in network.named_children()]
    return network.get_submodule(names[names.index("avgpool") - 1])


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


def explain(chosen: pd.DataFrame, *, held_out: HeldOut, report: Report | None = None) -> SaliencyMaps:
    """Explain the predicted class of each chosen sample with a network that had it in its test fold.

    Parameters
    ----------
    chosen
        Rows with sample_id and y_pred.
    held_out
        The networks and what they read.
    report
        Called as ``report(done, total)`` with numbers of samples.
    """
    samples, transform = held_out.samples, held_out.transform
    chosen = chosen[["sample_id", "y_pred"]].merge(held_out.tested, on="sample_id")
    images = np.zeros((len(chosen), transform.params.input_size, transform.params.input_size), dtype=np.float32)
    cells: dict[int, np.ndarray] = {}
    for network, places in held_out.groups(chosen["sample_id"]):
        for start in range(0, len(places), BATCH_SIZE):
            batch = chosen.iloc[places[start : start + BATCH_SIZE]]
            pixels = samples.images[samples.rows(batch["sample_id"])]
            targets = class_targets(batch["y_pred"], classes=samples.classes)
            found = grad_cam(network, transform.plain(pixels), targets=targets)
            cells |= dict(zip(batch.index, found, strict=True))
            images[batch.index] = reading_crops(pixels, size=transform.params.input_size)
            if report is not None:
                report(len(cells), len(chosen))
    ordered = np.stack([cells[row] for row in chosen.index]) if cells else np.zeros((0, 1, 1), dtype=np.float32)
    table = _peaks(chosen, ordered, size=transform.params.input_size, spacing_mm=transform.spacing_mm)
    return SaliencyMaps(table, images, ordered, enlarge(ordered, size=transform.params.input_size))


def class_targets(keys: Iterable[str], *, classes: Sequence[str]) -> Tensor:
    """Class indices of some class keys, (N,) int64."""
    return torch.tensor([classes.index(key) for key in keys])


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
