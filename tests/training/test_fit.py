import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training.data import Samples
from helpers.training.fit import DivergenceError, Fit, Task, parameter_groups, schedule
from helpers.training.inputs import PixelInputs
from helpers.training.model import build_model
from helpers.training.weights import load_initialisation

CPU = torch.device("cpu")


def quiet(line: str, share: float) -> None:
    """A report that nobody reads."""


class Lines(list):
    """Keeps what is reported."""

    def __call__(self, line: str, share: float) -> None:
        self.append(line)


class StopHere(Exception):
    """Stands for a killed process."""


def make_fit(samples: Samples, transform, params, rows=None, device=CPU) -> Fit:
    torch.manual_seed(3)
    network = build_model(params, n_classes=3, initialisation=load_initialisation("none", backbone=params.backbone))
    rows = rows or {"train": np.arange(0, 24), "validation": np.arange(24, 30), "test": np.arange(30, 36)}
    inputs = PixelInputs(samples, replace(transform, params=params), device)
    return Fit(network, inputs=inputs, samples=samples, task=Task(0, 0, rows), params=params, device=device)


def run(fit: Fit, tmp_path, report=quiet):
    return fit.run(checkpoint=tmp_path / "c.resume.safetensors", digest="d", report=report)


def test_overfits_eight_images(samples, transform, params, tmp_path):
    params = params.model_copy(
        update={
            "epochs": 60,
            "patience": 60,
            "dropout": 0.0,
            "label_smoothing": 0.0,
            "precision": "fp32",
            "backbone_rate_factor": 1.0,
        }
    )
    eight = np.arange(8)
    fit = make_fit(samples, transform, params, {"train": eight, "validation": eight, "test": eight})
    run(fit, tmp_path)
    assert (fit.predict(eight).argmax(1).numpy() == samples.targets()[:8]).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_answers_nearly_as_the_processor_does(samples, transform, params, tmp_path):
    fits = [make_fit(samples, transform, params, device=torch.device(name)) for name in ("cpu", "cuda")]
    for fit in fits:
        run(fit, tmp_path)
    answers = [fit.predict(np.arange(36)) for fit in fits]
    assert {logits.device.type for logits in answers} == {"cpu"}
    torch.testing.assert_close(answers[1].softmax(1), answers[0].softmax(1), atol=0.2, rtol=0)


def test_same_seed_gives_equal_logits(samples, transform, params, tmp_path):
    logits = []
    for _ in range(2):
        fit = make_fit(samples, transform, params)
        run(fit, tmp_path)
        logits.append(fit.predict(np.arange(36)))
    assert torch.equal(*logits)


@pytest.mark.parametrize("stop_at", ["epoch 2/3, batch 1/3", "epoch 3/3, batch 2/3"])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_resumed_equals_uninterrupted(samples, transform, params, tmp_path, stop_at, ema_decay):
    params = params.model_copy(update={"epochs": 3, "frozen_stages": 2, "ema_decay": ema_decay})
    whole = make_fit(samples, transform, params)
    history = run(whole, tmp_path)

    def kill(line, share):
        if line.startswith(stop_at):
            raise StopHere

    with pytest.raises(StopHere):
        run(make_fit(samples, transform, params), tmp_path, kill)
    resumed = make_fit(samples, transform, params)
    lines = Lines()
    assert run(resumed, tmp_path, lines) == history
    assert lines[0].startswith(stop_at.split(",")[0])  # finished epochs were not trained again
    assert torch.equal(whole.predict(np.arange(36)), resumed.predict(np.arange(36)))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("is_best", [True, False])
def test_best_epoch_survives_in_a_checkpoint_of_the_last(samples, transform, params, tmp_path, is_best, ema_decay):
    params = params.model_copy(update={"ema_decay": ema_decay})
    fit, again = make_fit(samples, transform, params), make_fit(samples, transform, params)
    fit._epoch(0, quiet)
    if not is_best:
        fit.history = [replace(fit.history[0], is_best=False)]
        fit.best = {name: torch.full_like(tensor, 7) for name, tensor in fit.best.items()}
    fit._save(tmp_path / "c.resume.safetensors", "d")
    again._resume(tmp_path / "c.resume.safetensors", "d")
    assert again.best.keys() == fit.best.keys()
    assert all(torch.equal(tensor, fit.best[name]) for name, tensor in again.best.items())


def test_checkpoint_of_other_settings_or_a_torn_one_is_not_used(samples, transform, params, tmp_path):
    file = tmp_path / "c.resume.safetensors"
    for content in (b"torn", None):
        if content:
            file.write_bytes(content)
        else:
            fit = make_fit(samples, transform, params)
            fit._epoch(0, quiet)
            fit._save(file, "another digest")
        lines = Lines()
        run(make_fit(samples, transform, params), tmp_path, lines)
        assert lines[0].startswith("epoch 1/")
        assert not file.exists()


def test_frozen_stages_do_not_change(samples, transform, params, tmp_path):
    params = params.model_copy(update={"frozen_stages": 3})
    fit = make_fit(samples, transform, params)
    before = {
        n: t.clone() for n, t in fit.network.state_dict().items() if n.startswith(("conv1", "bn1", "layer1", "layer2"))
    }
    run(fit, tmp_path)
    after = fit.network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not torch.equal(
        after["layer3.0.conv1.weight"], make_fit(samples, transform, params).network.layer3[0].conv1.weight
    )


def test_best_epoch_is_kept_and_patience_stops(samples, transform, params, tmp_path, monkeypatch):
    losses = iter([1.0, 0.5, 0.7, 0.6, 0.4])
    params = params.model_copy(update={"epochs": 5, "patience": 2})
    fit = make_fit(samples, transform, params)
    states = []
    inputs = fit.inputs
    real_step, class_loss = fit.step, fit.loss.cross_entropy
    training_forward = class_loss.forward

    def scripted(network, rows):
        states.append(network.fc[2].weight.detach().clone())
        value = next(losses)
        monkeypatch.setattr(class_loss, "forward", lambda logits, targets: torch.tensor(value))
        return inputs.logits(network, rows)

    def step(*args, **kwargs):
        class_loss.forward = training_forward
        return real_step(*args, **kwargs)

    monkeypatch.setattr(fit, "inputs", SimpleNamespace(logits=scripted, training=inputs.training))
    monkeypatch.setattr(fit, "step", step)
    history = run(fit, tmp_path)
    assert [record.is_best for record in history] == [True, True, False, False]
    assert torch.equal(fit.network.fc[2].weight, states[1])


def test_not_a_number_names_the_setting_to_change(samples, transform, params, tmp_path):
    fit = make_fit(samples, transform, params)
    nn.init.constant_(fit.network.fc[2].weight, float("nan"))
    with pytest.raises(DivergenceError, match="training.learning_rate"):
        run(fit, tmp_path)


def test_schedule_warms_up_then_falls_to_zero():
    values = [schedule(step, total=100) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1
    assert all(a >= b for a, b in zip(values[10:], values[11:], strict=False))
    assert values[-1] < 0.001


def test_norms_and_biases_are_not_decayed(params, samples, transform):
    network = make_fit(samples, transform, params).network
    groups = parameter_groups(network, params)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for group in groups:
        dimensions = {parameter.ndim > 1 for parameter in group["params"]}
        assert dimensions == {group["weight_decay"] > 0}
    assert {group["peak"] for group in groups} == {
        params.learning_rate,
        params.learning_rate * params.backbone_rate_factor,
    }


def test_the_average_is_judged_and_kept_instead_of_the_last_step(samples, transform, params, tmp_path):
    params = params.model_copy(update={"epochs": 1, "ema_decay": 0.5})
    fit = make_fit(samples, transform, params)
    run(fit, tmp_path)
    kept, mean = fit.network.state_dict(), fit.average.network.state_dict()
    assert all(torch.equal(kept[name], mean[name]) for name in kept)
    plain = make_fit(samples, transform, params.model_copy(update={"ema_decay": 0.0}))
    run(plain, tmp_path)
    assert not torch.equal(plain.network.fc[2].weight, fit.network.fc[2].weight)


def test_heights_are_learned_beside_the_classes_where_they_are_known(samples, transform, params, tmp_path):
    """Only the layer of a height that somebody measured moves; predictions hold classes alone."""
    measured = Samples(samples.images, samples.table.assign(anterior_ratio=0.7), samples.classes)
    fit = make_fit(measured, transform, params.model_copy(update={"auxiliary": "heights", "epochs": 1}))
    before = fit.network.fc[5].heights.bias.detach().clone()
    run(fit, tmp_path)
    change = (fit.network.fc[5].heights.bias.detach() - before).tolist()
    assert change[0] < 0  # towards a height below the normal one
    assert change[1:] == [0, 0]
    assert fit.predict(np.arange(24)).shape == (24, 3)


def test_progress_names_epoch_loss_and_validation_and_ends_at_one(samples, transform, params, tmp_path):
    said = []
    run(make_fit(samples, transform, params), tmp_path, lambda line, share: said.append((line, share)))
    lines, shares = zip(*said, strict=True)
    assert shares == tuple(sorted(shares))
    assert shares[-1] == pytest.approx(1)
    assert re.fullmatch(r"epoch 1/2, batch 1/3, loss \d\.\d\d", lines[0])
    assert re.fullmatch(r"epoch 2/2, batch 3/3, loss \d\.\d\d, validation balanced accuracy \d\.\d\d", lines[-1])


@pytest.mark.parametrize(
    ("balance", "expected"), [("weights", [0.5, 2.0, 2.0]), ("sampling", [1, 1, 1]), ("none", [1, 1, 1])]
)
def test_rare_classes_count_more_in_the_loss_only_if_asked(samples, transform, params, balance, expected):
    targets = samples.targets()
    rows = np.concatenate(
        [np.flatnonzero(targets == 0)[:8], np.flatnonzero(targets == 1)[:2], np.flatnonzero(targets == 2)[:2]]
    )
    parts = {"train": rows, "validation": rows, "test": rows}
    fit = make_fit(samples, transform, params.model_copy(update={"class_balance": balance}), parts)
    assert fit.loss.cross_entropy.weight.tolist() == pytest.approx(expected)
    drawn = torch.cat([batch.targets for batch in fit._batches(0, torch.Generator().manual_seed(0))])
    assert len(drawn) == 12
    assert (drawn.bincount().tolist() == [8, 2, 2]) == (balance != "sampling")
