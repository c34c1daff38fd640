"""Fit one network: one fold, one seed. Early stopping by validation loss; resumable after every epoch.

All randomness of an epoch comes from (seed, fold, epoch), so a resumed fit is the same as an uninterrupted one.
"""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from sklearn.metrics import recall_score
from torch import Tensor, nn
from torchvision.models import ResNet

from helpers.study.artefacts import write_atomic
from helpers.study.params import TrainingParams
from helpers.training.augmentation import InputTransform
from helpers.training.average import MovingAverage
from helpers.training.data import Batch, Samples, n_batches, training_batches
from helpers.training.losses import TrainingLoss, class_weights
from helpers.training.model import STAGE_MODULES, logits_and_heights, set_training

logger = logging.getLogger(__name__)

WARM_UP = 0.1
PREDICT_BATCH = 64


class DivergenceError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Task:
    """One fit: which rows train, stop and test, under which fold and seed."""

    fold: int
    seed: int
    rows: dict[str, np.ndarray] = field(repr=False)

    @property
    def name(self) -> str:
        """File stem of its artefacts."""
        return f"fold{self.fold}_seed{self.seed}"

    def generator(self, epoch: int) -> torch.Generator:
        """Randomness of one epoch, independent of what ran before."""
        sequence = np.random.SeedSequence([self.seed, self.fold, epoch])
        return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))


@dataclass(frozen=True)
class EpochRecord:
    """One line of the training history."""

    fold: int
    seed: int
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_balanced_accuracy: float
    is_best: bool


class Fit:
    """Trains one network and keeps the state of its best epoch.

    Parameters
    ----------
    network
        From `build_model`; changed in place.
    samples, task
        Data and the rows of this fit.
    transform
        Input transform with the augmentation.
    params
        Optimisation.
    device
        Where to compute.
    """

    def __init__(
        self, network: ResNet, *, samples: Samples, task: Task, transform: InputTransform,
        params: TrainingParams, device: torch.device,
    ) -> None:  # fmt: skip
        self.network = network.to(device)
        self.samples, self.task, self.transform, self.params, self.device = samples, task, transform, params, device
        weights = class_weights(samples.targets()[task.rows["train"]], n_classes=len(samples.classes))
        self.loss = TrainingLoss(
            weights, label_smoothing=params.label_smoothing, auxiliary_weight=params.auxiliary_weight
        ).to(device)
        self.average = MovingAverage(self.network, decay=params.ema_decay) if params.ema_decay else None
        self.optimizer = torch.optim.AdamW(parameter_groups(network, params))
        self.steps_per_epoch = n_batches(len(task.rows["train"]), batch_size=params.batch_size)
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}

    def run(self, *, checkpoint: Path, digest: str, report: Callable[[str], None]) -> list[EpochRecord]:
        """Train until the last epoch or until patience runs out, then load the best epoch into the network.

        Parameters
        ----------
        checkpoint
            File that holds the state after each epoch; a matching one is resumed, and it is removed at the end.
        digest
            Hash of everything that the fit depends on; a checkpoint with another digest is not used.
        report
            Called with a line of text as training goes on.
        """
        self._resume(checkpoint, digest)
        while len(self.history) < self.params.epochs and not self._out_of_patience():
            self._epoch(len(self.history), report)
            self._save(checkpoint, digest)
        self.network.load_state_dict(self.best, strict=False)
        checkpoint.unlink(missing_ok=True)
        return self.history

    def _epoch(self, epoch: int, report: Callable[[str], None]) -> None:
        generator = self.task.generator(epoch)
        torch.manual_seed(generator.initial_seed())  # for dropout, which draws from the global generator
        set_training(self.network, frozen_stages=self.params.frozen_stages)
        batches = training_batches(
            self.samples, self.task.rows["train"], transform=self.transform,
            batch_size=self.params.batch_size, generator=generator,
        )  # fmt: skip
        losses = []
        for step, batch in enumerate(batches):
            losses.append(self.step(batch, step=epoch * self.steps_per_epoch + step))
            report(f"epoch {epoch + 1}/{self.params.epochs}, batch {step + 1}/{self.steps_per_epoch}")
        self._validate(epoch, train_loss=float(np.mean(losses)))

    def step(self, batch: Batch, *, step: int) -> float:
        """Learn from one batch and give its loss; `step` counts from 0 over all epochs."""
        factor = schedule(step, total=self.params.epochs * self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        with autocast(self.device, self.params.precision):
            images = batch.images.to(self.device, memory_format=torch.channels_last)
            logits, predicted = logits_and_heights(self.network, images)
        targets, heights = batch.targets.to(self.device), batch.heights.to(self.device)
        loss = self.loss(logits.float(), targets, predicted=predicted, heights=heights)
        if not torch.isfinite(loss):
            raise DivergenceError(
                f"{self.task.name}: the loss is {loss.item()} at step {step}; lower training.learning_rate "
                f"({self.params.learning_rate}) or set training.precision to fp32"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.network, step=step)
        return loss.item()

    def _validate(self, epoch: int, *, train_loss: float) -> None:
        rows = self.task.rows["validation"]
        targets = torch.from_numpy(self.samples.targets()[rows])
        candidate = self.network if self.average is None else self.average.network
        logits = self._predict(candidate, rows)
        validation_loss = self.loss.cross_entropy(logits.to(self.device), targets.to(self.device)).item()
        is_best = not self.history or validation_loss < min(record.validation_loss for record in self.history)
        if is_best:
            self.best = {name: tensor.detach().clone() for name, tensor in self._learned_state(candidate).items()}
        # balanced accuracy over the classes that the validation part holds
        score = recall_score(targets, logits.argmax(1), labels=targets.unique(), average="macro", zero_division=0)
        rate = self.optimizer.param_groups[-1]["lr"]
        self.history.append(
            EpochRecord(self.task.fold, self.task.seed, epoch, rate, train_loss, validation_loss, float(score), is_best)
        )

    def predict(self, rows: np.ndarray) -> Tensor:
        """(len(rows), K) float32 logits on the CPU, without augmentation."""
        return self._predict(self.network, rows)

    def _predict(self, network: nn.Module, rows: np.ndarray) -> Tensor:
        return predict(network, self.samples.images, rows=rows, transform=self.transform, device=self.device)

    def _out_of_patience(self) -> bool:
        best = max((record.epoch for record in self.history if record.is_best), default=0)
        return bool(self.history) and len(self.history) - 1 - best >= self.params.patience

    def _save(self, file: Path, digest: str) -> None:
        moments = {
            f"optimizer.{index}.{name}": tensor
            for index, state in self.optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        tensors = {f"network.{name}": tensor for name, tensor in self._learned_state(self.network).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()} | moments
        if self.average is not None:
            average = self._learned_state(self.average.network)
            tensors |= {f"average.{name}": tensor.clone() for name, tensor in average.items()}
        history = json.dumps([asdict(record) for record in self.history])
        # not flushed to disk: it survives the death of the process, and after a power cut a torn one is not used
        write_tensors(file, tensors, metadata={"digest": digest, "history": history}, flush=False)

    def _learned_state(self, network: nn.Module) -> dict[str, Tensor]:
        """Everything that training changes: frozen stages stay as the initialisation made them."""
        frozen = {name for stage in STAGE_MODULES[: self.params.frozen_stages] for name in stage}
        state = network.state_dict()
        return {name: tensor for name, tensor in state.items() if name.partition(".")[0] not in frozen}

    def _resume(self, file: Path, digest: str) -> None:
        state = _read_matching(file, digest)
        if state is None:
            return
        tensors, history = state
        self.history = [EpochRecord(**record) for record in json.loads(history)]
        self.network.load_state_dict(_under(tensors, "network."), strict=False)
        self.best = _under(tensors, "best.")
        if self.average is not None:
            self.average.network.load_state_dict(_under(tensors, "average."), strict=False)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def predict(
    network: nn.Module, images: np.ndarray, *, rows: np.ndarray, transform: InputTransform, device: torch.device
) -> Tensor:
    """Logits of some cached images, averaged over the transform's views: (len(rows), K) float32 on the CPU.

    Parameters
    ----------
    network
        On `device`; left in evaluation mode.
    images
        (N, H, W) or (N, 3, H, W) cached images.
    rows
        Which of them, in order.
    transform
        The network's input transform.
    """
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), PREDICT_BATCH):
            views = []
            for view in transform.views(images[rows[start : start + PREDICT_BATCH]]):
                with autocast(device, transform.params.precision):
                    logits = network(view.to(device, memory_format=torch.channels_last))
                views.append(logits.float().cpu())
            parts.append(torch.stack(views).mean(dim=0))
    return torch.cat(parts).clone()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 autocast where the parameters ask for it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def schedule(step: int, *, total: int) -> float:
    """Learning-rate factor: linear warm-up over the first tenth of all steps, then a half cosine to zero."""
    warm_up = max(1, round(WARM_UP * total))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def parameter_groups(network: ResNet, params: TrainingParams) -> list[dict]:
    """AdamW groups: the backbone learns slower than the head; norms and biases are not decayed."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("fc."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "peak": params.learning_rate * (1.0 if in_head else params.backbone_rate_factor),
            "weight_decay": params.weight_decay if decayed else 0.0,
        }
        for (in_head, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def write_tensors(file: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str], flush: bool = True) -> None:
    """Write tensors as one safetensors file, whole or not at all."""
    content = save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, metadata=metadata)
    write_atomic(file, lambda stream: stream.write(content), flush=flush)


def _read_matching(file: Path, digest: str) -> tuple[dict[str, Tensor], str] | None:
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stream:
            metadata = stream.metadata() or {}
            if metadata.get("digest") != digest:
                return None
            return {name: stream.get_tensor(name) for name in stream.keys()}, metadata["history"]  # noqa: SIM118
    except SafetensorError as error:
        logger.warning("%s is damaged (%s); this fold starts again", file.name, error)
        return None


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
