"""One fit on several devices, for networks or images too large to be quick on one.

Each process passes its part of every batch through the backbone and then sees the features of the whole batch: head,
batch norm, dropout and loss are those of one process, so that the gradient is the same up to the order of its sums.
Features gathered in this way are usual where the loss needs the whole batch (Chen et al. 2020, arXiv:2002.05709).
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, distributed, nn
from torch.multiprocessing import get_context, spawn
from torch.nn.parallel import DistributedDataParallel

from helpers.study.engine import WORKER_VARIABLE, worker_number
from helpers.study.params import ParameterError, TrainingParams
from helpers.training.inputs import Inputs

POLL_SECONDS = 0.2


def use_own_device(device: torch.device) -> None:
    """Make one GPU the current one of this process, the next of them for each further process of this machine."""
    if device.type == "cuda":
        torch.cuda.set_device(worker_number() % torch.cuda.device_count())


def is_first() -> bool:
    """Whether this process writes what a fit gives: the first of a group, or one alone."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def require_devices(n_devices: int, *, device: torch.device, params: TrainingParams) -> None:
    """Refuse a group that this machine or this network cannot have.

    Raises
    ------
    ParameterError
        If there are fewer GPUs, or processors, or batch norm would take its statistics from parts of a batch.
    """
    is_gpu = device.type == "cuda"
    present = torch.cuda.device_count() if is_gpu else os.cpu_count() or 1
    if n_devices > present:
        kind = "GPUs" if is_gpu else "processors"
        raise ParameterError(f"study.devices: {n_devices}, but this machine has {present} {kind}; lower it")
    if n_devices > 1 and params.batch_norm == "learned":
        raise ParameterError("study.devices above 1 needs training.batch_norm: frozen; statistics are of whole batches")


def run_group(
    work: Callable[[Callable[[str], None]], None], *, device: torch.device, n_devices: int,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Call ``work(report)`` in a group of new processes, one for each device; the first process's lines are reported.

    Raises
    ------
    torch.multiprocessing.ProcessRaisedException
        With the traceback of the process that failed; the others are ended.
    torch.multiprocessing.ProcessExitedException
        If a process was killed.
    """
    lines = get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (work, Path(folder) / "store", n_devices, device, lines)
        group = spawn(_member, arguments, nprocs=n_devices, join=False)
        try:
            running = True
            while running:
                running = not group.join(timeout=POLL_SECONDS)
                while not lines.empty():
                    report(lines.get())
        finally:
            for process in group.processes:
                process.kill()


def _member(
    rank: int, work: Callable[[Callable[[str], None]], None], store: Path, size: int, device: torch.device, lines: Any
) -> None:
    os.environ[WORKER_VARIABLE] = str(rank)
    use_own_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=store.as_uri(), rank=rank, world_size=size)
    work(lines.put if rank == 0 else lambda line: None)
    distributed.destroy_process_group()


def own_part(size: int) -> np.ndarray:
    """Which of `size` rows this process computes: as many in each process, some of them twice if need be."""
    share = -(-size // distributed.get_world_size())
    return np.arange(share * distributed.get_rank(), share * (distributed.get_rank() + 1)) % size


class SharedTrunk(nn.Module):
    """A backbone whose work is divided between the processes of the group.

    Parameters
    ----------
    trunk
        (B, ...) → (B, F), without exchange between the rows of a batch; the same in all processes.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = DistributedDataParallel(trunk)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the whole batch; those of this process's part carry the gradient."""
        own = self.trunk(images[own_part(len(images))])
        size = distributed.get_world_size()
        # each process has the gradient of its own part, of which DistributedDataParallel takes the mean, not the sum
        own.register_hook(lambda gradient: gradient * size)
        parts = [torch.empty_like(own) for _ in range(size)]
        distributed.all_gather(parts, own.detach())
        parts[distributed.get_rank()] = own
        return torch.cat(parts)[: len(images)]


@dataclass(frozen=True)
class SharedInputs:
    """Input of a fit that is divided between the processes of the group; see `helpers.training.inputs.Inputs`."""

    inputs: Inputs

    def training(self, rows: np.ndarray, *, epoch: int, generator: Generator) -> Tensor:
        """The whole batch in every process, so that chance falls as in one process."""
        return self.inputs.training(rows, epoch=epoch, generator=generator)

    def trunk(self, network: nn.Module) -> nn.Module:
        """The backbone, shared if any of it learns."""
        trunk = self.inputs.trunk(network)
        learns = any(parameter.requires_grad for parameter in trunk.parameters())
        return SharedTrunk(trunk) if learns else trunk

    def logits(self, network: nn.Module, rows: np.ndarray) -> Tensor:
        """(len(rows), K) float32 logits on the CPU, known to all processes."""
        parts: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(parts, self.inputs.logits(network, rows[own_part(len(rows))]))
        return torch.cat(parts)[: len(rows)]
