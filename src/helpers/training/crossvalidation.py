"""Train every fold and seed of a run, predict every sample with each network, and keep what is finished."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torchvision.models import ResNet

from helpers.study.artefacts import write_json_atomic
from helpers.study.params import TrainingParams
from helpers.study.stages import package_digest
from helpers.training.augmentation import InputTransform
from helpers.training.data import HEIGHT_RATIOS, Samples, TrainingDataError
from helpers.training.fit import Fit, Task, write_tensors
from helpers.training.model import build_model
from helpers.training.weights import Initialisation, check_input

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
    torch.backends.cudnn.benchmark = False


def cross_validate(
    samples: Samples, splits: pd.DataFrame, *, params: TrainingParams, initialisation: Initialisation,
    spacing_mm: float, folder: Path, report: Callable[[str], None],
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

    Returns
    -------
    History and predictions of all fits.

    Raises
    ------
    TrainingDataError
        If a fold lacks a class, or heights are to be learned that no sample has.
    WeightsError
        If the starting point was made for another input.
    """
    if params.auxiliary == "heights" and np.isnan(samples.heights()).all():
        raise TrainingDataError(
            f"training.auxiliary: heights needs the columns {', '.join(HEIGHT_RATIOS)} in the labels table; choose none"
        )
    check_input(initialisation, params, spacing_mm=spacing_mm)
    make_deterministic(params.threads)
    device = choose_device(params.device)
    transform = InputTransform(params, spacing_mm, samples.is_hu, initialisation.mean, initialisation.std)
    folds = sorted(int(fold) for fold in splits["fold"].unique())
    tasks = [Task(fold, seed, samples.rows_of(splits, fold=fold)) for seed in params.seeds for fold in folds]
    digest = _digest(samples, params=params, initialisation=initialisation, transform=transform)
    results = []
    for number, task in enumerate(tasks):
        prefix = f"fit {number + 1}/{len(tasks)} (fold {task.fold}, seed {task.seed})"
        results.append(
            _fit_or_reuse(
                task, samples=samples, transform=transform, initialisation=initialisation, device=device,
                folder=folder, digest=digest, report=lambda line, prefix=prefix: report(f"{prefix}, {line}"),
            )
        )  # fmt: skip
    _remove_foreign(folder, {task.name for task in tasks})
    history = pd.DataFrame([record for result in results for record in result["history"]])
    predictions = pd.concat([_predictions(r, t, samples=samples) for r, t in zip(results, tasks, strict=True)])
    return CrossValidation(history, predictions.reset_index(drop=True))


def _fit_or_reuse(
    task: Task, *, samples: Samples, transform: InputTransform, initialisation: Initialisation,
    device: torch.device, folder: Path, digest: str, report: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    digest = hashlib.sha256(
        (digest + "".join(f"{name}{rows.tolist()}" for name, rows in task.rows.items())).encode()
    ).hexdigest()
    done = folder / f"{task.name}.json"
    weights = folder / f"{task.name}.safetensors"
    if done.is_file() and weights.is_file():
        result = json.loads(done.read_text(encoding="utf-8"))
        if result["digest"] == digest:
            return result
    done.unlink(missing_ok=True)
    params = transform.params
    torch.manual_seed(int(np.random.SeedSequence([MODEL_SEED, task.seed, task.fold]).generate_state(1)[0]))
    network = build_model(params, n_classes=len(samples.classes), initialisation=initialisation)
    fit = Fit(network, samples=samples, task=task, transform=transform, params=params, device=device)
    history = fit.run(checkpoint=folder / f"{task.name}.resume.safetensors", digest=digest, report=report)
    report("predicting")
    logits = fit.predict(np.arange(len(samples.table))).numpy()
    write_tensors(weights, network.state_dict(), metadata=checkpoint_metadata(samples, transform=transform))
    result = {"digest": digest, "history": [asdict(record) for record in history], "logits": logits.tolist()}
    write_json_atomic(done, result)
    return result


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


def load_network(file: Path, *, params: TrainingParams, n_classes: int) -> ResNet:
    """Rebuild a trained network from its checkpoint, in evaluation mode on the CPU.

    Raises
    ------
    RuntimeError
        If head or backbone do not fit the checkpoint.
    """
    start = Initialisation("none", "replaced by the checkpoint", "")
    network = build_model(params, n_classes=n_classes, initialisation=start)
    network.load_state_dict(load_file(file))
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
    split = np.empty(len(samples.table), dtype=object)
    for name, rows in task.rows.items():
        split[rows] = name
    table = samples.table.rename(columns={"label": "y_true"})[["sample_id", "PatientID", "y_true"]]
    table = table.assign(fold=task.fold, seed=task.seed, split=split)
    logits = np.asarray(result["logits"], dtype=np.float32)
    return table.assign(**{f"logit_{key}": logits[:, i] for i, key in enumerate(samples.classes)})
