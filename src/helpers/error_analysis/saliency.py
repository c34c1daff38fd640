"""LayerCAM of the network that tested a sample: where the image speaks for the predicted class.

The last feature map of a crop of 112 pixels has 4 x 4 cells, too coarse for one vertebra; the stage before has 7 x 7.
LayerCAM of that stage was chosen on the simulated cohort: more of its maps lies in the target than of LayerCAM of the
last stage or of Grad-CAM of either, which also leaves some maps empty (``benchmarks/saliency.py``).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerAttribution
from torch import Tensor, nn

from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.pictures import reading_crops
from helpers.study.errors import StudyError
from helpers.training.stages import backbone_stages

EXPLAINED_STAGE = "layer3"
BATCH_SIZE = 32
Report = Callable[[int, int], None]


class SaliencyError(StudyError, ValueError):
    """A network that cannot be explained."""


@dataclass(frozen=True)
class SaliencyMaps:
    """LayerCAM maps of some samples.

    Parameters
    ----------
    table
        One row per map: sample_id, fold, seed, target (class key), peak position and its distance to the crop centre.
        The peak is the centre of the strongest cell, so peaks lie on the grid of the cells.
    images
        (N, S, S) crops that the network saw, in [0, 1] for reading.
    cells
        (N, G, G) float32, at least 0: the maps as the layer gives them, see `layer_cam`.
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


def layer_cam(network: nn.Module, images: Tensor, *, layer: nn.Module, targets: Tensor) -> np.ndarray:
    """LayerCAM of one layer (Jiang et al. 2021, 10.1109/TIP.2021.3089943): positive evidence only, in its own cells.

    Each cell of each channel counts by its own positive gradient, so that layers before the last one give sound maps
    too. The gradient is taken at the layer's output, whether or not the layer itself was trained.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        (N, 3, S, S) network input.
    layer
        A part of the network, see `explained_layer`.
    targets
        (N,) class indices to explain.

    Returns
    -------
    (N, G, G) float32, at least 0; all zero if no evidence is positive.
    """
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[0]

    handle = layer.register_forward_hook(keep)
    try:
        logits = network(images)
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), outputs)
    return (gradients.clamp(min=0) * outputs[0].detach()).sum(dim=1).clamp(min=0).float().numpy()


def explained_layer(network: nn.Module, *, backbone: str) -> nn.Module:
    """The layer that is explained: the end of `EXPLAINED_STAGE`.

    Raises
    ------
    SaliencyError
        If the network is not built in the stages of its backbone.
    """
    try:
        return backbone_stages(network, name=backbone)[EXPLAINED_STAGE][-1]
    except (AttributeError, LookupError, ValueError) as error:
        raise SaliencyError(
            f"LayerCAM explains the end of {EXPLAINED_STAGE}, which this network lacks: it is not built in the stages "
            f"of {backbone}; train it with this version, or say in helpers.training.stages where its stages end"
        ) from error


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
        layer = explained_layer(network, backbone=transform.params.backbone)
        for start in range(0, len(places), BATCH_SIZE):
            batch = chosen.iloc[places[start : start + BATCH_SIZE]]
            pixels = samples.images[samples.rows(batch["sample_id"])]
            targets = class_targets(batch["y_pred"], classes=samples.classes)
            found = layer_cam(network, transform.plain(pixels), layer=layer, targets=targets)
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
