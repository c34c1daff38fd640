"""Fit one network: one fold, one seed. Early stopping by validation loss; resumable after every epoch.

All randomness of an epoch comes from (seed, fold, epoch), so a resumed fit is the same as an uninterrupted one.
"""

import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.metrics import recall_score
from torch import Tensor, nn

from helpers.study.artefacts import replacing
from helpers.study.errors import StudyError
from helpers.study.params import TrainingParams
from helpers.training.average import MovingAverage
from helpers.training.data import Batch, Samples, balanced_draw, n_batches, shuffled_batches
from helpers.training.distributed import is_first
from helpers.training.inputs import Inputs
from helpers.training.losses import TrainingLoss, class_weights
from helpers.training.model import learned_state, logits_and_heights, set_training
from helpers.training.precision import autocast

logger = logging.getLogger(__name__)

Report = Callable[[str, float], None]

WARM_UP = 0.1


class DivergenceError(StudyError, RuntimeError):
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
    inputs
        Pixels, or stored outputs of the frozen stages.
    samples, task
        Labels and the rows of this fit.
    params
        Optimisation.
    device
        Where to compute.
    """

    def __init__(
        self, network: nn.Module, *, inputs: Inputs, samples: Samples, task: Task, params: TrainingParams,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.network = network.to(device)
        self.trunk = inputs.trunk(self.network)
        self.inputs, self.samples, self.task, self.params, self.device = inputs, samples, task, params, device
        weights = torch.ones(len(samples.classes))
        if params.class_balance == "weights":
            weights = class_weights(samples.targets()[task.rows["train"]], n_classes=len(samples.classes))
        self.loss = TrainingLoss(
            weights, label_smoothing=params.label_smoothing, auxiliary_weight=params.auxiliary_weight
        ).to(device)
        self.average = MovingAverage(self.network, decay=params.ema_decay) if params.ema_decay else None
        self.optimizer = torch.optim.AdamW(parameter_groups(network, params), fused=True)  # several times quicker
        self.steps_per_epoch = n_batches(len(task.rows["train"]), batch_size=params.batch_size)
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}

    def run(self, *, checkpoint: Path, digest: str, report: Report) -> list[EpochRecord]:
        """Train until the last epoch or until patience runs out, then load the best epoch into the network.

        Parameters
        ----------
        checkpoint
            File that holds the state after each epoch; a matching one is resumed, and it is removed at the end.
        digest
            Hash of everything that the fit depends on; a checkpoint with another digest is not used.
        report
            Called with a line of text and the share of the fit that is done.
        """
        self._resume(checkpoint, digest)
        while len(self.history) < self.params.epochs and not self._out_of_patience():
            self._epoch(len(self.history), report)
            if is_first():
                self._save(checkpoint, digest)
        self.network.load_state_dict(self.best, strict=False)
        checkpoint.unlink(missing_ok=True)
        return self.history

    def _epoch(self, epoch: int, report: Report) -> None:
        generator = self.task.generator(epoch)
        torch.manual_seed(generator.initial_seed())  # for dropout, which draws from the global generator
        set_training(self.network, params=self.params)
        losses = []
        for step, batch in enumerate(self._batches(epoch, generator)):
            losses.append(self.step(batch, step=epoch * self.steps_per_epoch + step))
            share = (epoch + (step + 1) / self.steps_per_epoch) / self.params.epochs
            report(self._progress(epoch, step=step, loss=losses[-1]), share)
        self._validate(epoch, train_loss=float(np.mean(losses)))

    def _progress(self, epoch: int, *, step: int, loss: float) -> str:
        line = f"epoch {epoch + 1}/{self.params.epochs}, batch {step + 1}/{self.steps_per_epoch}, loss {loss:.2f}"
        if not self.history:
            return line
        return f"{line}, validation balanced accuracy {self.history[-1].validation_balanced_accuracy:.2f}"

    def _batches(self, epoch: int, generator: torch.Generator) -> Iterator[Batch]:
        targets, heights = torch.from_numpy(self.samples.targets()), torch.from_numpy(self.samples.heights())
        train = self.task.rows["train"]
        if self.params.class_balance == "sampling":
            train = balanced_draw(train, targets=targets[train], generator=generator)
        for rows in shuffled_batches(train, batch_size=self.params.batch_size, generator=generator):
            images = self.inputs.training(rows, epoch=epoch, generator=generator)
            yield Batch(images, targets[rows], heights[rows])

    def step(self, batch: Batch, *, step: int) -> float:
        """Learn from one batch and give its loss; `step` counts from 0 over all epochs."""
        factor = schedule(step, total=self.params.epochs * self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        with autocast(self.device, self.params.precision):
            images = batch.images.to(self.device, memory_format=torch.channels_last)
            logits, predicted = logits_and_heights(self.network.fc, self.trunk(images))
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
        logits = self.inputs.logits(self._candidate, rows)
        validation_loss = self.loss.cross_entropy(logits.to(self.device), targets.to(self.device)).item()
        is_best = not self.history or validation_loss < min(record.validation_loss for record in self.history)
        if is_best:
            self.best = self._copied()
        # balanced accuracy over the classes that the validation part holds
        score = recall_score(targets, logits.argmax(1), labels=targets.unique(), average="macro", zero_division=0)
        rate = self.optimizer.param_groups[-1]["lr"]
        self.history.append(
            EpochRecord(self.task.fold, self.task.seed, epoch, rate, train_loss, validation_loss, float(score), is_best)
        )

    def predict(self, rows: np.ndarray) -> Tensor:
        """(len(rows), K) float32 logits on the CPU, without augmentation."""
        return self.inputs.logits(self.network, rows)

    @property
    def _candidate(self) -> nn.Module:
        """The network that is judged and kept."""
        return self.network if self.average is None else self.average.network

    def _copied(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self._learned(self._candidate).items()}

    def _out_of_patience(self) -> bool:
        best = max((record.epoch for record in self.history if record.is_best), default=0)
        return bool(self.history) and len(self.history) - 1 - best >= self.params.patience

    def _save(self, file: Path, digest: str) -> None:
        moments = {
            f"optimizer.{index}.{name}": tensor
            for index, state in self.optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        tensors = moments | {f"network.{name}": tensor for name, tensor in self._learned(self.network).items()}
        if not self.history[-1].is_best:  # otherwise it is what is there already, and a quarter of the file
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        if self.average is not None:
            average = self._learned(self.average.network)
            tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
        history = json.dumps([asdict(record) for record in self.history])
        # not flushed to disk: it survives the death of the process, and after a power cut a torn one is not used
        write_tensors(file, tensors, metadata={"digest": digest, "history": history}, flush=False)

    def _learned(self, network: nn.Module) -> dict[str, Tensor]:
        return learned_state(network, params=self.params)

    def _resume(self, file: Path, digest: str) -> None:
        state = _read_matching(file, digest)
        if state is None:
            return
        tensors, history = state
        self.history = [EpochRecord(**record) for record in json.loads(history)]
        self.network.load_state_dict(_under(tensors, "network."), strict=False)
        if self.average is not None:
            self.average.network.load_state_dict(_under(tensors, "average."), strict=False)
        self.best = _under(tensors, "best.") or self._copied()
        groups = self.optimizer.state_dict()["param_groups"]
        learned = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = _in_memory_order_of(learned[int(index)], tensor)
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def schedule(step: int, *, total: int) -> float:
    """Learning-rate factor: linear warm-up over the first tenth of all steps, then a half cosine to zero."""
    warm_up = max(1, round(WARM_UP * total))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def parameter_groups(network: nn.Module, params: TrainingParams) -> list[dict]:
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
    """Write tensors as one safetensors file, whole or not at all; `OSError` if that cannot be done."""
    ready = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    try:
        with replacing(file, flush=flush) as temporary:
            save_file(ready, temporary, metadata=metadata)  # straight from the tensors: half the time of `save`
    except SafetensorError as error:
        raise OSError(f"{file.name} cannot be written, the last finished epoch is kept: {error}") from error


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


def _in_memory_order_of(parameter: Tensor, tensor: Tensor) -> Tensor:
    # the fused optimizer walks through parameter and moments side by side; files hold them in rows, whatever they were
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
