"""Train every fold and seed of a run, predict every sample with each network, and keep what is finished."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from helpers.study.artefacts import write_json_atomic
from helpers.study.engine import compute
from helpers.study.params import TrainingParams
from helpers.study.progress import duration
from helpers.study.schemas import UNUSED
from helpers.study.stages import package_digest
from helpers.training.augmentation import InputTransform
from helpers.training.data import HEIGHT_RATIOS, Samples, TrainingDataError
from helpers.training.distributed import SharedInputs, is_first, require_devices, run_group, use_own_device
from helpers.training.features import FrozenFeatures, choose_route, features_folder, map_shape, remove_features
from helpers.training.fit import Fit, Report, Task, write_tensors
from helpers.training.inputs import FeatureInputs, Inputs, PixelInputs
from helpers.training.model import build_model
from helpers.training.weights import Initialisation, WeightsError, check_input

logger = logging.getLogger(__name__)

MODEL_SEED = 0x5EED  # apart from the epochs' (seed, fold, epoch)


@dataclass(frozen=True)
class CrossValidation:
    """What training gives to the later notebooks.

    Parameters
    ----------
    history
        One row per (fold, seed, epoch).
    predictions
        One row per (sample, fold, seed) with the split that the sample had and its float32 logits.
    """

    history: pd.DataFrame
    predictions: pd.DataFrame


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU when there is one.

    Raises
    ------
    ValueError
        If `cuda` is asked for and absent.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("training.device: cuda is asked for, but torch finds no GPU; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def make_deterministic(threads: int) -> None:
    """Fix the thread count (sums depend on it) and prefer deterministic kernels."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # all of it is written before it is read
    torch.backends.cudnn.benchmark = False


def cross_validate(
    samples: Samples, splits: pd.DataFrame, *, params: TrainingParams, initialisation: Initialisation,
    spacing_mm: float, folder: Path, report: Callable[[str], None], executor: Optional[Executor] = None,
    n_devices: int = 1,
) -> CrossValidation:  # fmt: skip
    """Fit every fold with every seed.

    Parameters
    ----------
    samples
        Cached images with labels.
    splits
        Long table sample_id, fold, split.
    params
        Training section.
    initialisation
        Starting point of every network.
    spacing_mm
        Pixel size of the cached images.
    folder
        Where checkpoints go; finished folds found there are used again if nothing they depend on has changed.
    report
        Called with a line of text as training goes on.
    executor
        Computes the fits, each as one task that reads and writes `folder`; None: one after the other, here.
    n_devices
        Without an executor: GPUs, or processes on the CPU, that share each fit.

    Returns
    -------
    History and predictions of all fits.

    Raises
    ------
    ParameterError
        If so many devices are not there, or the network cannot be shared.
    TrainingDataError
        If a fold lacks a class or has fewer training patients than asked for, or heights are to be learned that no
        sample has.
    WeightsError
        If the starting point was made for another input.
    """
    if params.auxiliary == "heights" and np.isnan(samples.heights()).all():
        raise TrainingDataError(
            f"training.auxiliary: heights needs the columns {', '.join(HEIGHT_RATIOS)} in the labels table; choose none"
        )
    check_input(initialisation, params, spacing_mm=spacing_mm)
    if params.shuffle_labels:
        samples = samples.with_shuffled_labels(seed=params.seeds[0])
    make_deterministic(params.threads)
    device = choose_device(params.device)
    require_devices(n_devices, device=device, params=params)
    transform = InputTransform(params, spacing_mm, samples.is_hu, initialisation.mean, initialisation.std)
    folds = sorted(int(fold) for fold in splits["fold"].unique())
    rows = {fold: samples.rows_of(splits, fold=fold, train_patients=params.train_patients) for fold in folds}
    tasks = [Task(fold, seed, rows[fold]) for seed in params.seeds for fold in folds]
    digest = _digest(samples, params=params, initialisation=initialisation, transform=transform)
    fits = _Fits(samples, transform, initialisation, device, folder.resolve(), digest, n_devices)
    results = fits.run(tasks, report=report, executor=executor)
    _remove_foreign(folder, {task.name for task in tasks})
    history = pd.DataFrame([record for result in results for record in result["history"]])
    predictions = pd.concat([_predictions(r, t, samples=samples) for r, t in zip(results, tasks, strict=True)])
    return CrossValidation(history, predictions.reset_index(drop=True))


@dataclass(frozen=True)
class _Fits:
    """All fits of a run, and what they share."""

    samples: Samples
    transform: InputTransform
    initialisation: Initialisation
    device: torch.device
    folder: Path
    digest: str
    n_devices: int

    def run(
        self, tasks: list[Task], *, report: Callable[[str], None], executor: Optional[Executor]
    ) -> list[dict[str, Any]]:
        """Fit what is not finished; the results of all, in order."""
        waiting = [task for task in tasks if self._finished(task) is None]
        if waiting:
            inputs = self._inputs(tasks, report)
            if executor is None and self.n_devices == 1:
                self._fit_here(report, waiting, inputs=inputs)
            elif executor is None:
                work = partial(self._fit_here, tasks=waiting, inputs=SharedInputs(inputs))
                run_group(work, device=self.device, n_devices=self.n_devices, report=report)
            else:
                compute(
                    partial(self.fit, inputs=inputs), waiting, executor=executor,
                    report=lambda done, total: report(f"{done} of {total} fits finished"),
                )  # fmt: skip
        remove_features(self.folder)
        return [self._finished(task) for task in tasks]

    def _fit_here(self, report: Callable[[str], None], tasks: list[Task], *, inputs: Inputs) -> None:
        started = time.monotonic()

        def say(line: str, share: float, *, number: int) -> None:
            done = (number + share) / len(tasks)
            left = duration((time.monotonic() - started) * (1 - done) / done)
            task = tasks[number]
            report(f"fit {number + 1}/{len(tasks)} (fold {task.fold}, seed {task.seed}), {line}, about {left} left")

        for number, task in enumerate(tasks):
            self.fit(task, inputs=inputs, report=partial(say, number=number))

    def _digest(self, task: Task) -> str:
        rows = "".join(f"{name}{rows.tolist()}" for name, rows in task.rows.items())
        return hashlib.sha256((self.digest + rows).encode()).hexdigest()

    def _finished(self, task: Task) -> dict[str, Any] | None:
        done, weights = self.folder / f"{task.name}.json", self.folder / f"{task.name}.safetensors"
        if not (done.is_file() and weights.is_file()):
            return None
        result = json.loads(done.read_text(encoding="utf-8"))
        return result if result["digest"] == self._digest(task) else None

    def _inputs(self, tasks: list[Task], report: Callable[[str], None]) -> Inputs:
        """Stored outputs of the frozen stages where that is cheaper, otherwise pixels.

        All fits count, finished or not, so that a resumed run goes the same way.
        """
        params = self.transform.params
        network = self._network(tasks[0])
        value_bytes = 2 if params.precision == "bf16" else 4
        route = choose_route(
            params,
            n_images=len(self.samples.images),
            fit_sizes=[(len(task.rows["train"]), len(task.rows["validation"])) for task in tasks],
            image_bytes=math.prod(map_shape(network, params=params)) * value_bytes,
        )
        logger.info("%s", route.reason)
        report(route.reason)
        if not route.n_versions:
            return PixelInputs(self.samples, self.transform, self.device)
        folder = features_folder(self.folder, digest=self.digest, n_versions=route.n_versions)
        features = FrozenFeatures(folder, n_versions=route.n_versions)
        features.compute(network, samples=self.samples, transform=self.transform, device=self.device, report=report)
        return FeatureInputs(features, params, self.device)

    def _network(self, task: Task) -> nn.Module:
        torch.manual_seed(int(np.random.SeedSequence([MODEL_SEED, task.seed, task.fold]).generate_state(1)[0]))
        return build_model(
            self.transform.params, n_classes=len(self.samples.classes), initialisation=self.initialisation
        )

    def fit(self, task: Task, *, inputs: Inputs, report: Report = lambda line, share: None) -> None:
        """Train and keep one network; going on from its last epoch where it was interrupted."""
        params = self.transform.params
        make_deterministic(params.threads)
        use_own_device(self.device)
        done, digest = self.folder / f"{task.name}.json", self._digest(task)
        done.unlink(missing_ok=True)
        network = self._network(task)
        fit = Fit(network, inputs=inputs, samples=self.samples, task=task, params=params, device=self.device)
        history = fit.run(
            checkpoint=self.folder / f"{task.name}.resume.safetensors", digest=digest,
            report=report,
        )  # fmt: skip
        logits = fit.predict(np.arange(len(self.samples.table))).numpy()
        if not is_first():
            return
        metadata = checkpoint_metadata(self.samples, transform=self.transform)
        write_tensors(self.folder / f"{task.name}.safetensors", network.state_dict(), metadata=metadata)
        result = {"digest": digest, "history": [asdict(record) for record in history], "logits": logits.tolist()}
        write_json_atomic(done, result)


def checkpoint_metadata(samples: Samples, *, transform: InputTransform) -> dict[str, str]:
    """What someone needs to use a checkpoint without the rest of the run."""
    about = {
        "classes": samples.classes,
        "spacing_mm": transform.spacing_mm,
        "is_hu": transform.is_hu,
        "mean": transform.mean,
        "std": transform.std,
    }
    return {"input": json.dumps(about), "training": transform.params.model_dump_json()}


def load_network(file: Path, *, params: TrainingParams, n_classes: int) -> nn.Module:
    """Rebuild a trained network from its checkpoint, in evaluation mode on the CPU.

    Raises
    ------
    WeightsError
        If head or backbone do not fit the checkpoint.
    """
    start = Initialisation("none", "replaced by the checkpoint", "")
    network = build_model(params, n_classes=n_classes, initialisation=start)
    try:
        network.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise WeightsError(
            f"{file.name} holds another network than training.backbone {params.backbone} with training.head_units "
            f"{params.head_units}, training.auxiliary {params.auxiliary} and {n_classes} classes: set them as it was "
            f"trained, or run 03_training again ({error})"
        ) from error
    return network.eval()


def _digest(
    samples: Samples, *, params: TrainingParams, initialisation: Initialisation, transform: InputTransform
) -> str:
    images = hashlib.sha256(np.ascontiguousarray(samples.images).data).hexdigest()
    table = samples.table.to_csv(index=False)
    parts = (images, table, params.model_dump_json(), initialisation.sha256, transform.spacing_mm, torch.__version__)
    code = package_digest("training")
    return hashlib.sha256(repr((*parts, samples.classes, code)).encode()).hexdigest()


def _remove_foreign(folder: Path, names: set[str]) -> None:
    """Drop checkpoints of folds and seeds that this run does not have."""
    for file in folder.glob("fold*"):
        if file.name.split(".")[0] not in names:
            file.unlink()


def _predictions(result: dict[str, Any], task: Task, *, samples: Samples) -> pd.DataFrame:
    split = np.full(len(samples.table), UNUSED, dtype=object)
    for name, rows in task.rows.items():
        split[rows] = name
    table = samples.table.rename(columns={"label": "y_true"})[["sample_id", "PatientID", "y_true"]]
    table = table.assign(fold=task.fold, seed=task.seed, split=split)
    logits = np.asarray(result["logits"], dtype=np.float32)
    return table.assign(**{f"logit_{key}": logits[:, i] for i, key in enumerate(samples.classes)})
