"""Which layer and which method should explain a network? Maps of a finished run against the truth of its simulation.

    .venv/bin/python benchmarks/saliency.py [run folder]

The run folder (default: runs/default) needs notebooks 01 to 03 and a simulated cohort. Right predictions, as many of
each class, are explained by LayerCAM and Grad-CAM of the last layer and of the one before, and by occlusion. The centre
bias of the cohort is the baseline: a peak is set beside the one cell where the average map of its class and method has
its own, a map beside an even one. It takes two to three minutes.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerGradCam, Occlusion
from torch import Tensor, nn

from helpers.cohort.truth import Truth, read_truth
from helpers.error_analysis import (
    HeldOut,
    SaliencyMaps,
    cell_means,
    layer_cam,
    localise,
    rank_predictions,
    target_masks,
)
from helpers.error_analysis.clustered import ratio_of_sums
from helpers.error_analysis.saliency import class_targets, enlarge
from helpers.error_analysis.wording import with_interval
from helpers.evaluation import out_of_fold
from helpers.evaluation.estimates import Bounds
from helpers.study import EvaluationParams, Run
from helpers.study.paths import project_file
from helpers.training import InputTransform, Samples
from helpers.training.stages import backbone_stages

PER_CLASS = 30
#: Squares to a side that cover the image one after the other.
SQUARES = 4
BATCH = 30

#: From network, images and targets to (N, G, G) cells.
Method = Callable[[nn.Module, Tensor, Tensor], np.ndarray]


def stage_cam(network: nn.Module, images: Tensor, targets: Tensor, *, stage: str, backbone: str) -> np.ndarray:
    """LayerCAM of the end of a stage."""
    layer = backbone_stages(network, name=backbone)[stage][-1]
    return layer_cam(network, images, layer=layer, targets=targets)


def grad_cam(network: nn.Module, images: Tensor, targets: Tensor, *, stage: str, backbone: str) -> np.ndarray:
    """Grad-CAM of the end of a stage."""
    layer = backbone_stages(network, name=backbone)[stage][-1]
    found = LayerGradCam(network, layer).attribute(images, target=targets, relu_attributions=True)
    return found[:, 0].detach().float().numpy()


def occlusion(network: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray:
    """What the target loses by each square that is covered with the image's own mean."""
    side = images.shape[-1] // SQUARES
    square = (images.shape[1], side, side)
    with torch.inference_mode():
        found = Occlusion(network).attribute(
            images,
            target=targets,
            sliding_window_shapes=square,
            strides=square,
            baselines=images.mean((1, 2, 3), keepdim=True).expand_as(images),
        )
    return cell_means(found[:, 0].float().numpy(), n_cells=SQUARES).clip(min=0)


def methods(backbone: str) -> dict[str, Method]:
    """All that are compared, the one of notebook 05 first."""
    cams = {"LayerCAM": stage_cam, "Grad-CAM": grad_cam}
    layered = {
        f"{name} {stage}": partial(cam, stage=stage, backbone=backbone)
        for name, cam in cams.items()
        for stage in ("layer3", "layer4")
    }
    return layered | {"occlusion": occlusion}


def read_held_out(run: Run) -> HeldOut:
    """The trained networks of the run and what they read."""
    study, start = run.study, run.read_json("model")["input"]
    samples = Samples.align(
        run.read_array("images"),
        image_index=run.read_table("image_index"),
        cohort=run.read_table("cohort"),
        classes=tuple(study.cohort.class_names),
    )
    transform = InputTransform(
        study.training, study.preprocessing.spacing_mm, samples.is_hu, start["mean"], start["std"]
    )
    predictions = run.read_table("predictions")
    return HeldOut.of(predictions, samples=samples, transform=transform, checkpoints=run.path("checkpoints/"))


def choose(run: Run) -> pd.DataFrame:
    """Right predictions, `PER_CLASS` of each class at random."""
    tested = out_of_fold(run.read_table("predictions"), classes=list(run.study.cohort.class_names))
    ranked = rank_predictions(tested, cohort=run.read_table("cohort"))
    right = ranked[~ranked["is_error"]].sample(frac=1, random_state=0)
    return right.groupby("y_true").head(PER_CLASS).reset_index(drop=True)


def explained(chosen: pd.DataFrame, *, method: Method, held_out: HeldOut) -> SaliencyMaps:
    """Maps of one method; each sample by a network that had it in its test part."""
    samples, size = held_out.samples, held_out.transform.params.input_size
    cells: dict[int, np.ndarray] = {}
    for network, places in held_out.groups(chosen["sample_id"]):
        for start in range(0, len(places), BATCH):
            batch = chosen.iloc[places[start : start + BATCH]]
            images = held_out.transform.plain(samples.images[samples.rows(batch["sample_id"])])
            found = method(network, images, class_targets(batch["y_pred"], classes=samples.classes))
            cells |= dict(zip(batch.index, found, strict=True))
    ordered = np.stack([cells[row] for row in chosen.index])
    images = np.zeros((len(chosen), size, size), dtype=np.float32)
    return SaliencyMaps(chosen.rename(columns={"y_pred": "target"}), images, ordered, enlarge(ordered, size=size))


def summary(found: pd.DataFrame, *, params: EvaluationParams) -> dict[str, object]:
    """Hits and shares of one method in one region; intervals by patients resampled."""
    patients, ones = found["PatientID"], np.ones(len(found))
    gained = found["hit"].astype(int) - found["hit_by_average"].astype(int)
    hits = ratio_of_sums(found["hit"], ones, patients=patients, params=params)
    over_bias = ratio_of_sums(gained, ones, patients=patients, params=params, bounds=Bounds(lower=-1))
    share = ratio_of_sums(100 * found["map_share"], ones, patients=patients, params=params, bounds=Bounds(upper=100))
    over_area = ratio_of_sums(found["map_share"], found["area_share"], patients=patients, params=params, bounds=None)
    return {
        "maps": len(found),
        "hits": with_interval(hits, decimals=2),
        "any cell": f"{found['hit_by_chance'].mean():.2f}",
        "hits - centre bias": with_interval(over_bias, decimals=2),
        "% of the map": with_interval(share, decimals=1),
        "x area": with_interval(over_area, decimals=2),
    }


def compare(run: Run, *, truth: Truth) -> tuple[pd.DataFrame, Mapping[str, int]]:
    """One row per region and method, and how many maps of each method are empty."""
    held_out, chosen = read_held_out(run), choose(run)
    params, size = run.study.preprocessing, held_out.transform.params.input_size
    masks = target_masks(
        chosen["sample_id"], truth=truth, image_index=run.read_table("image_index"), params=params, size=size
    )
    rows, empty = [], {}
    for name, method in methods(held_out.transform.params.backbone).items():
        logging.info("%s: %d images", name, len(chosen))
        maps = explained(chosen, method=method, held_out=held_out)
        empty[name] = int((maps.cells.max((1, 2)) == 0).sum())
        found = localise(maps, masks=masks, truth=truth, spacing_mm=params.spacing_mm)
        for region, part in found.groupby("region"):
            rows.append({"region": region, "method": name, **summary(part, params=run.study.evaluation)})
    return pd.DataFrame(rows).sort_values("region", kind="stable", ignore_index=True), empty


def main() -> None:
    """Print the comparison."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run = Run(project_file(Path(*sys.argv[1:] or ["runs/default"])))
    truth = read_truth(run.read_table("cohort"), params=run.study.cohort)
    if truth is None:
        raise SystemExit("saliency: only a simulated cohort knows where its fractures are")
    table, empty = compare(run, truth=truth)
    sys.stdout.write(f"{table.to_string(index=False)}\nempty maps: {empty}\n")


if __name__ == "__main__":
    main()
