"""How long the training of a study takes, and would take written otherwise.

    .venv/bin/python benchmarks/crossvalidation_speed.py [params/default.yaml]

Three ways to do the same work, the folds, epochs and images of the parameter file, with all threads it asks for:

- plain: 32-bit floats, every layer trained, every fold from pixels in every epoch;
- pixels: as this project trains when nothing is stored: bf16, channels_last, frozen stages without gradient;
- stored: as it trains by default: frozen stages are passed once for all folds.

A slice of each kind of work is timed (the best of several repeats, because other work on a machine only ever adds to a
time) and multiplied by how often the study does it. Images are of noise: what they show changes no time. The last lines
set the arithmetic of a training step beside the machine's own matrix product.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.study import Study, TrainingParams, load_study
from helpers.training import InputTransform, Samples, build_model, load_initialisation
from helpers.training.crossvalidation import make_deterministic
from helpers.training.features import PASS, FrozenFeatures
from helpers.training.fit import Fit, Task
from helpers.training.inputs import PREDICT_BATCH, FeatureInputs, Inputs, PixelInputs
from helpers.training.model import frozen_stages, set_training

REPEATS = 5
CPU = torch.device("cpu")


def best_seconds(action: Callable[[], object]) -> float:
    """Shortest of some repeats, after one to warm up."""
    action()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def n_images(study: Study) -> int:
    """Images of the simulated cohort."""
    return sum(study.cohort.phantom_images.values())


def is_holdout(study: Study) -> bool:
    """Whether there is one division instead of folds."""
    return study.splits.split_method != "patient_kfold"


def n_fits(study: Study) -> int:
    """Networks that are trained."""
    return len(study.training.seeds) * (1 if is_holdout(study) else study.splits.n_folds)


def test_share(study: Study) -> float:
    """Share of the images that a network is tested on."""
    return study.splits.test_fraction if is_holdout(study) else 1 / study.splits.n_folds


def noise(study: Study) -> Samples:
    """Enough images for one batch of either kind."""
    side = study.preprocessing.image_size
    n = max(study.training.batch_size, PREDICT_BATCH)
    images = np.random.default_rng(0).normal(100, 300, (n, side, side)).astype(np.int16)
    table = pd.DataFrame({"sample_id": range(n), "PatientID": "p", "label": np.resize(list("ABC"), n)})
    return Samples(images, table, ("A", "B", "C"))


class Slice:
    """One way of training, and what its parts cost."""

    def __init__(self, params: TrainingParams, *, inputs: Inputs, samples: Samples) -> None:
        start = load_initialisation("none", backbone=params.backbone)
        self.network = build_model(params, n_classes=3, initialisation=start)
        self.params, self.inputs = params, inputs
        rows = dict.fromkeys(("train", "validation", "test"), np.arange(params.batch_size))
        self.fit = Fit(self.network, inputs=inputs, samples=samples, task=Task(0, 0, rows), params=params, device=CPU)
        set_training(self.network, params=params)

    def input_seconds(self) -> float:
        """Time of one batch of input."""
        rows, generator = np.arange(self.params.batch_size), torch.Generator().manual_seed(0)
        return best_seconds(lambda: self.inputs.training(rows, epoch=0, generator=generator))

    def step_seconds(self) -> float:
        """Time of one training step without its input."""
        batch = next(self.fit._batches(0, torch.Generator().manual_seed(0)))
        return best_seconds(lambda: self.fit.step(batch, step=1))

    def predict_seconds(self) -> float:
        """Time to predict one batch, its input included."""
        rows = np.arange(PREDICT_BATCH)
        seconds = best_seconds(lambda: self.inputs.logits(self.network, rows))
        set_training(self.network, params=self.params)
        return seconds

    def step_flops(self) -> int:
        """Floating-point operations of one step: matrix products and convolutions, forward and backward."""
        batch = next(self.fit._batches(0, torch.Generator().manual_seed(0)))
        with FlopCounterMode(display=False) as counter:
            self.fit.step(batch, step=1)
        return counter.get_total_flops()


def frozen_seconds(params: TrainingParams, *, transform: InputTransform, samples: Samples) -> float:
    """Time to change one image at random and pass it through the frozen stages."""
    network = build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone=params.backbone))
    frozen = nn.Sequential(*frozen_stages(network, params=params)).eval()
    pixels, generator = samples.images[:PREDICT_BATCH], torch.Generator().manual_seed(0)

    def once() -> None:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=params.precision == "bf16"):
            for images in transform.augmented(pixels, generator=generator).split(PASS):
                frozen(images)

    return best_seconds(once) / PREDICT_BATCH


def matrix_flops_per_second(dtype: torch.dtype) -> float:
    """What the machine reaches in a square matrix product of 2048."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    return 2 * 2048**3 / best_seconds(lambda: a @ b)


class PlainSlice:
    """The loop that most would write."""

    def __init__(self, params: TrainingParams, *, transform: InputTransform, samples: Samples) -> None:
        whole = params.model_copy(update={"precision": "fp32", "frozen_stages": 0})
        start = load_initialisation("none", backbone=params.backbone)
        network = build_model(whole, n_classes=3, initialisation=start)
        self.network = network.to(memory_format=torch.contiguous_format).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-4)
        self.params, self.samples, self.transform = whole, samples, replace(transform, params=whole)

    def _images(self) -> torch.Tensor:
        pixels, generator = self.samples.images[: self.params.batch_size], torch.Generator().manual_seed(0)
        return self.transform.augmented(pixels, generator=generator).contiguous()

    def input_seconds(self) -> float:
        """Time of one batch of input."""
        return best_seconds(self._images)

    def step_seconds(self) -> float:
        """Time of one training step without its input."""
        images, targets = self._images(), torch.zeros(self.params.batch_size, dtype=torch.long)

        def step() -> None:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.network(images), targets).backward()
            self.optimizer.step()

        return best_seconds(step)

    def predict_seconds(self) -> float:
        """Time to predict one batch, its input included."""

        def forward() -> None:
            with torch.no_grad():
                self.network(self.transform.plain(self.samples.images[:PREDICT_BATCH]).contiguous())

        self.network.eval()
        seconds = best_seconds(forward)
        self.network.train()
        return seconds


def study_seconds(part: Slice | PlainSlice, *, study: Study, frozen_seconds: float = 0.0) -> dict[str, float]:
    """Extrapolate to all folds and seeds of the study; `frozen_seconds` passes one image through the frozen stages."""
    params, images, fits = study.training, n_images(study), n_fits(study)
    validation = (1 - test_share(study)) * study.splits.validation_fraction * images
    train = (1 - test_share(study)) * images - validation
    step, given = part.step_seconds(), part.input_seconds()
    fitted = fits * params.epochs * train / params.batch_size * (step + given)
    predicted = fits * (params.epochs * validation + images) / PREDICT_BATCH * part.predict_seconds()
    versions = min(params.epochs, params.feature_versions)
    stored = images * (versions + params.views) * frozen_seconds
    return {
        "training images/s": round(params.batch_size / (step + given), 1),
        "input": f"{given / (step + given):.1%}",
        "whole training, s": round(fitted + predicted + stored),
    }


def main() -> None:
    """Print the table."""
    study = load_study(sys.argv[1] if len(sys.argv) > 1 else "params/default.yaml")
    params, samples = study.training, noise(study)
    make_deterministic(params.threads)
    start = load_initialisation("none", backbone=params.backbone)
    transform = InputTransform(params, study.preprocessing.spacing_mm, True, start.mean, start.std)
    passed = frozen_seconds(params, transform=transform, samples=samples)
    with tempfile.TemporaryDirectory() as folder:
        features = FrozenFeatures(Path(folder), n_versions=1)
        features.compute(
            build_model(params, n_classes=3, initialisation=start), samples=samples, transform=transform, device=CPU,
            report=lambda line: None,
        )  # fmt: skip
        pixels = Slice(params, inputs=PixelInputs(samples, transform, CPU), samples=samples)
        rows = {
            "plain": study_seconds(PlainSlice(params, transform=transform, samples=samples), study=study),
            "pixels": study_seconds(pixels, study=study),
            "stored": study_seconds(
                Slice(params, inputs=FeatureInputs(features, params, CPU), samples=samples), study=study,
                frozen_seconds=passed,
            ),
        }  # fmt: skip
        reached = pixels.step_flops() / pixels.step_seconds()
    table = pd.DataFrame(rows).T
    table["times faster"] = (table["whole training, s"]["plain"] / table["whole training, s"].astype(float)).round(1)
    peak = matrix_flops_per_second(torch.bfloat16 if params.precision == "bf16" else torch.float32)
    sys.stdout.write(
        f"{params.backbone}, {params.input_size} px, batch {params.batch_size}, {params.frozen_stages} stages frozen, "
        f"{params.epochs} epochs, {n_fits(study)} fits of {n_images(study)} images, {params.threads} threads\n"
        f"{table.to_string()}\n"
        f"training step from pixels: {reached / 1e9:.0f} GFLOP/s, {reached / peak:.0%} of the {peak / 1e9:.0f} GFLOP/s "
        "of a matrix product\n"
    )


if __name__ == "__main__":
    main()
