import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from helpers.study.engine import open_executor
from helpers.study.params import ParameterError, StudyParams
from helpers.training import cross_validate, load_initialisation
from helpers.training.distributed import SharedTrunk, require_devices, run_group, use_own_device

CPU = torch.device("cpu")
GPU = torch.device("cuda")


def small_trunk() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)).double()


def gradients(trunk: nn.Module, network: nn.Module) -> dict[str, torch.Tensor]:
    """Of a loss that needs the whole batch: batch norm stands behind the backbone."""
    images = torch.randn(7, 1, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    features = nn.functional.batch_norm(trunk(images), None, None, training=True)
    (features * torch.arange(35).reshape(7, 5)).square().mean().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def write_gradients(report, folder: Path) -> None:
    network = small_trunk()
    found = gradients(SharedTrunk(network), network)
    save_file(found, folder / f"{os.environ['LOCAL_RANK']}.safetensors")
    report("written")


def cross_validated(samples, splits, params, folder, **options):
    return cross_validate(
        samples, splits, params=params, initialisation=load_initialisation("none", backbone="resnet18"),
        spacing_mm=0.5, folder=folder, report=options.pop("report", lambda line: None), **options,
    )  # fmt: skip


@pytest.mark.slow
def test_gradient_of_a_shared_batch_is_that_of_one_process(tmp_path):
    """Seven rows on two devices: one is computed twice and must not count twice."""
    network = small_trunk()
    expected = gradients(network, network)
    lines: list[str] = []
    run_group(partial(write_gradients, folder=tmp_path), device=CPU, n_devices=2, report=lines.append)
    assert lines == ["written"]
    for rank in (0, 1):
        found = load_file(tmp_path / f"{rank}.safetensors")
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("frozen_stages", [0, 3])
def test_shared_fits_are_those_of_one_process(samples, splits, params, tmp_path, frozen_stages):
    """Up to the order of sums, dropout and the head's batch norm included; from pixels and from stored maps.

    Adam's first steps follow the sign of each gradient, rounding included: a small rate keeps the difference small.
    """
    update = {"frozen_stages": frozen_stages, "batch_norm": "frozen", "precision": "fp32", "learning_rate": 1e-5}
    params = params.model_copy(update=update)
    alone = cross_validated(samples, splits, params, tmp_path / "alone")
    lines: list[str] = []
    shared = cross_validated(samples, splits, params, tmp_path / "shared", n_devices=2, report=lines.append)
    assert any("fit 2/2 (fold 1, seed 0), epoch 2/2" in line for line in lines)
    exact = ["fold", "seed", "epoch", "learning_rate", "is_best"]
    pd.testing.assert_frame_equal(shared.history[exact], alone.history[exact])
    np.testing.assert_allclose(shared.history["train_loss"], alone.history["train_loss"], rtol=5e-3)
    np.testing.assert_allclose(shared.history["validation_loss"], alone.history["validation_loss"], rtol=5e-3)
    logits = [result.predictions.filter(like="logit_").to_numpy() for result in (shared, alone)]
    np.testing.assert_allclose(*logits, atol=1e-2)
    names = [sorted(file.name for file in (tmp_path / kind).iterdir()) for kind in ("shared", "alone")]
    assert names[0] == names[1]


def test_more_devices_than_there_are_is_an_error(params, monkeypatch):
    params = params.model_copy(update={"batch_norm": "frozen"})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    require_devices(2, device=GPU, params=params)
    with pytest.raises(ParameterError, match=r"study\.devices: 3, but this machine has 2 GPUs"):
        require_devices(3, device=GPU, params=params)
    with pytest.raises(ParameterError, match="processors"):
        require_devices((os.cpu_count() or 1) + 1, device=CPU, params=params)


def test_batch_norm_that_learns_its_statistics_is_not_shared(params, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    require_devices(1, device=CPU, params=params)
    with pytest.raises(ParameterError, match="batch_norm: frozen"):
        require_devices(2, device=CPU, params=params)


@pytest.mark.parametrize(("worker", "gpu"), [(None, 0), ("0", 0), ("1", 1), ("4", 1)])
def test_workers_take_the_gpus_in_turn(monkeypatch, worker, gpu):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if worker is not None:
        monkeypatch.setenv("LOCAL_RANK", worker)
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    use_own_device(CPU)
    use_own_device(GPU)
    assert chosen == [gpu]


MARK = 123.0


def mark_first_epoch(file: Path) -> None:
    """Change the history in a checkpoint, so that a fit that goes on from it can be told from one that starts again."""
    with safe_open(file, framework="pt") as stream:
        metadata = stream.metadata()
    history = json.loads(metadata["history"])
    history[0]["train_loss"] = MARK
    temporary = file.with_suffix(".marked")
    save_file(load_file(file), temporary, metadata=metadata | {"history": json.dumps(history)})
    temporary.replace(file)


def kill_in_mid_fit(address: str, folder: Path, killed: list[int]) -> None:
    """Once the only fit has a checkpoint, stop its worker, mark the checkpoint, and kill the worker."""
    from distributed import Client

    with Client(address) as client:
        deadline, pause = time.monotonic() + 120, threading.Event()
        while not (files := list(folder.glob("*.resume.safetensors"))) and time.monotonic() < deadline:
            pause.wait(0.02)
        (busy,) = (worker for worker, tasks in client.processing().items() if tasks)
        process = client.run(os.getpid, workers=[busy])[busy]
        os.kill(process, signal.SIGSTOP)
        mark_first_epoch(files[0])
        os.kill(process, signal.SIGKILL)
        killed.append(process)


@pytest.mark.slow
def test_a_fit_goes_on_elsewhere_when_its_worker_dies(samples, splits, params, tmp_path, dask_cluster):
    params = params.model_copy(update={"epochs": 12, "patience": 12})
    one = splits[splits["fold"] == splits["fold"].min()]
    here = cross_validated(samples, one, params, tmp_path / "here")
    folder, killed = tmp_path / "there", []
    with dask_cluster(tmp_path) as (address, workers):
        killer = threading.Thread(target=kill_in_mid_fit, args=(address, folder, killed))
        killer.start()
        with open_executor(StudyParams(engine="dask", scheduler=address)) as executor:
            there = cross_validated(samples, one, params, folder, executor=executor)
        killer.join()
    assert killed[0] in [worker.pid for worker in workers]
    marked = there.history["train_loss"] == MARK
    assert marked.sum() == 1, "the second worker did not go on from the checkpoint of the first"
    pd.testing.assert_frame_equal(there.history[~marked], here.history[~marked])
    pd.testing.assert_frame_equal(there.predictions, here.predictions)
