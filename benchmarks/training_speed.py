"""How fast training from a random start is at the size of the transfer study, and whether its input keeps up.

    .venv/bin/python benchmarks/training_speed.py

ResNet-18 at 112 px with every augmentation of params/transfer_xvertseg.example.yaml, on images of noise: what they show
changes no time. The best of several repeats is printed, because other work on a machine only ever adds to a time.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from helpers.study import TrainingParams, load_study
from helpers.training import InputTransform, Samples, build_model, load_initialisation
from helpers.training.crossvalidation import make_deterministic
from helpers.training.data import Batch
from helpers.training.fit import Fit, Task

PARAMS = "params/transfer_xvertseg.example.yaml"
BATCH_SIZES = (16, 32, 64, 128)
REPEATS = 8


def best_seconds(action: Callable[[], object]) -> float:
    """Shortest of some repeats, after one to warm up."""
    action()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def one_fit(params: TrainingParams, *, side: int, spacing_mm: float) -> Fit:
    """A fit on one batch of noise."""
    images = np.random.default_rng(0).normal(100, 300, (params.batch_size, side, side)).astype(np.int16)
    table = pd.DataFrame(
        {"sample_id": range(len(images)), "PatientID": "p", "label": np.resize(list("ABC"), len(images))}
    )
    start = load_initialisation("none", backbone=params.backbone)
    transform = InputTransform(params, spacing_mm, True, start.mean, start.std)
    rows = dict.fromkeys(("train", "validation", "test"), np.arange(len(images)))
    return Fit(
        build_model(params, n_classes=3, initialisation=start), samples=Samples(images, table, ("A", "B", "C")),
        task=Task(0, 0, rows), transform=transform, params=params, device=torch.device("cpu"),
    )  # fmt: skip


def row(params: TrainingParams, *, side: int, spacing_mm: float) -> dict[str, object]:
    """Images per second of a training step, and the share of its time that its input takes."""
    fit = one_fit(params, side=side, spacing_mm=spacing_mm)
    generator = torch.Generator().manual_seed(0)
    targets, heights = torch.from_numpy(fit.samples.targets()), torch.from_numpy(fit.samples.heights())
    batch = Batch(fit.transform.augmented(fit.samples.images, generator=generator), targets, heights)
    fit.network.train()
    step = best_seconds(lambda: fit.step(batch, step=1))
    prepare = best_seconds(lambda: fit.transform.augmented(fit.samples.images, generator=generator))
    return {
        "batch": params.batch_size,
        "precision": params.precision,
        "images/s": round(params.batch_size / (step + prepare), 1),
        "input": f"{prepare / (step + prepare):.1%}",
    }


def main() -> None:
    """Print the table."""
    study = load_study(PARAMS)
    make_deterministic(study.training.threads)
    sizes = {"side": study.preprocessing.image_size, "spacing_mm": study.preprocessing.spacing_mm}
    chosen = [{"batch_size": size} for size in BATCH_SIZES] + [{"precision": "fp32"}]
    rows = [row(study.training.model_copy(update=changes), **sizes) for changes in chosen]
    sys.stdout.write(pd.DataFrame(rows).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
