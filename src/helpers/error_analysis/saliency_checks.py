"""Can the maps be believed? Beside a method without gradients, and on networks whose weights are random.

Occlusion (Zeiler & Fergus 2014, 10.1007/978-3-319-10590-1_53) covers a part of the image and looks what the network
loses. A map that stays the same when the weights are drawn anew shows the image and not what was learned (Adebayo et
al. 2018, arXiv:1810.03292).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from captum.attr import Occlusion
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.saliency import (
    BATCH_SIZE,
    Report,
    SaliencyMaps,
    class_targets,
    explained_layer,
    layer_cam,
)
from helpers.error_analysis.wording import with_interval
from helpers.evaluation.estimates import Bounds
from helpers.study import EvaluationParams

# Twice as wide as the cells of the explained layer, side by side: smaller squares cost their square in time.
PATCH_PX = 32
PATCHES_AT_ONCE = 4
CORRELATION = Bounds(lower=-1.0)
SEED = 0


def occlusion(network: nn.Module, images: Tensor, *, targets: Tensor) -> np.ndarray:
    """How far the logit of the target falls when a square of the image is covered with the image's own mean.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        (N, 3, S, S) network input, S at least `PATCH_PX`.
    targets
        (N,) class indices to explain.

    Returns
    -------
    (N, S, S) float32, one value for each square; positive where the image speaks for the class.
    """
    patch = (images.shape[1], PATCH_PX, PATCH_PX)
    with torch.inference_mode():
        found = Occlusion(network).attribute(
            images,
            target=targets,
            sliding_window_shapes=patch,
            strides=patch,
            baselines=images.mean((1, 2, 3), keepdim=True).expand_as(images),
            perturbations_per_eval=PATCHES_AT_ONCE,
        )
    return found[:, 0].float().numpy()


def occlude(maps: SaliencyMaps, *, held_out: HeldOut, report: Report | None = None) -> np.ndarray:
    """Occlusion of samples that LayerCAM explained, for the same class by the same network.

    Parameters
    ----------
    maps
        LayerCAM of N samples.
    held_out
        The networks and what they read.
    report
        Called as ``report(done, total)`` with numbers of samples.

    Returns
    -------
    (N, S, S) float32 in [0, 1]: evidence for the class, each map as a share of its maximum; zero where there is none.
    """
    found = np.zeros(maps.maps.shape, dtype=np.float32)
    done = 0
    for network, places, images, targets in _batches(maps, held_out):
        found[places] = occlusion(network, images, targets=targets)
        done += len(places)
        if report is not None:
            report(done, len(found))
    evidence = found.clip(min=0)
    peaks = evidence.max((1, 2), initial=0, keepdims=True)
    return np.divide(evidence, peaks, out=np.zeros_like(evidence), where=peaks > 0)


def _batches(maps: SaliencyMaps, held_out: HeldOut) -> Iterable[tuple[nn.Module, np.ndarray, Tensor, Tensor]]:
    """Network, places among the maps, input and targets of samples that one network explains."""
    samples = held_out.samples
    for network, places in held_out.groups(maps.table["sample_id"]):
        for start in range(0, len(places), BATCH_SIZE):
            batch = places[start : start + BATCH_SIZE]
            rows = maps.table.iloc[batch]
            images = held_out.transform.plain(samples.images[samples.rows(rows["sample_id"])])
            yield network, batch, images, class_targets(rows["target"], classes=samples.classes)


def rank_agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of (N, G, G) maps pair by pair: (N,), NaN where a map has one value everywhere."""
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(first, second, strict=True)]
    return np.array([np.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else spearmanr(a, b).statistic for a, b in pairs])


def cell_means(maps: np.ndarray, *, n_cells: int) -> np.ndarray:
    """Mean of (N, S, S) maps within each of (n_cells, n_cells) cells: (N, n_cells, n_cells)."""
    return functional.adaptive_avg_pool2d(torch.from_numpy(maps)[:, None], n_cells)[:, 0].numpy()


def randomised_cascade(maps: SaliencyMaps, *, held_out: HeldOut) -> dict[str, np.ndarray]:
    """LayerCAM of the same samples and classes while the weights are drawn anew, from the head down.

    Returns
    -------
    The last part that is random, with all above it, → (N, G, G) cells as `layer_cam` gives them.
    """
    found: dict[str, np.ndarray] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for network, places in held_out.groups(maps.table["sample_id"]):
            samples, rows = held_out.samples, maps.table.iloc[places]
            images = held_out.transform.plain(samples.images[samples.rows(rows["sample_id"])])
            targets = class_targets(rows["target"], classes=samples.classes)
            layer = explained_layer(network, backbone=held_out.transform.params.backbone)
            for name, part in reversed(list(network.named_children())):
                if redraw(part):
                    cells = found.setdefault(name, np.zeros_like(maps.cells))
                    cells[places] = layer_cam(network, images, layer=layer, targets=targets)
    return found


def redraw(part: nn.Module) -> bool:
    """Draw the weights of a part of a network as for a new one; whether it has any."""
    layers = [layer for layer in part.modules() if hasattr(layer, "reset_parameters")]
    for layer in layers:
        layer.reset_parameters()
    return bool(layers)


def agreement_table(
    maps: SaliencyMaps, *, others: dict[str, np.ndarray], patients: pd.Series, params: EvaluationParams
) -> pd.DataFrame:
    """How alike LayerCAM and other maps of the same samples rank the cells of the image.

    Parameters
    ----------
    maps
        LayerCAM of N samples.
    others
        Name → (N, G, G) cells.
    patients
        PatientID by sample_id.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per name, for reading: mean Spearman correlation with interval by patients resampled, and how many maps
    have no evidence anywhere and so no rank.
    """
    rows = []
    for name, cells in others.items():
        agreement = rank_agreement(maps.cells, cells)
        known = ~np.isnan(agreement)
        text = "–"
        if known.any():
            of_whom = patients.loc[maps.table["sample_id"][known]]
            mean = ratio_of_sums(
                agreement[known], np.ones(known.sum()), patients=of_whom, params=params, bounds=CORRELATION
            )
            text = with_interval(mean, decimals=2)
        rows.append({"compared with": name, "rank correlation": text, "maps": known.sum(), "flat maps": (~known).sum()})
    return pd.DataFrame(rows, columns=["compared with", "rank correlation", "maps", "flat maps"])
