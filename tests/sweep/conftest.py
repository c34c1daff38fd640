"""A project whose notebooks are stood in for by a function: a sweep runs in a moment, through the real runner."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from rich.console import Console

from helpers.study import Study, runner
from helpers.study.progress import Screen
from helpers.study.runner import StageError
from helpers.study.stages import STAGES, Stage, executed_notebook, partial_notebook

SWEEP = """
name: tiny
title: Tiny ablations
base: params/base.yaml
set: {training.epochs: 4}
rows:
  reference: {reason: as the base study has it}
  weaker: {set: {training.epochs: 1}, reason: less of everything}
  broken: {set: {training.weights: absent.pt}, reason: weights that are not there}
  fewer: {set: {training.train_patients: 10}, reason: learning curve}
  coarse: {set: {preprocessing.spacing_mm: 0.7}, reason: larger pixels, against: weaker}
"""
ERROR = "WeightsError: absent.pt is no file"


def fabricated_predictions(*, signal: float, n_train: int) -> pd.DataFrame:
    """Two images of each of 40 patients in two folds; `signal` favours the right class."""
    rng = np.random.default_rng(3)
    rows = []
    for image in range(80):
        patient, noise = image // 2, rng.normal(size=3)
        label = patient % 3
        for fold in (0, 1):
            split = "test" if patient % 2 == fold else ("train" if patient // 2 < n_train else "unused")
            logits = noise + signal * np.eye(3)[label]
            facts = {"sample_id": f"S{image:02d}", "PatientID": f"P{patient:02d}", "fold": fold, "seed": 0}
            named = {f"logit_{key}": np.float32(value) for key, value in zip("ABC", logits, strict=True)}
            rows.append(facts | {"split": split, "y_true": "ABC"[label]} | named)
    return pd.DataFrame(rows)


def stand_in(stage: Stage, study: Study, run_folder: Path, *, screen: Screen) -> None:
    """Write what the notebook of a stage would."""
    executed = executed_notebook(run_folder, stage.key)
    executed.parent.mkdir(exist_ok=True)
    if stage.key == "01_data_audit":
        (run_folder / "audit.json").write_text(study.splits.model_dump_json())
    elif stage.key == "02_preprocessing":
        (run_folder / "images.npy").write_text(study.preprocessing.model_dump_json())
    elif study.training.weights == "absent.pt":
        name, _, value = ERROR.partition(": ")
        output = new_output("error", ename=name, evalue=value)
        nbformat.write(new_notebook(cells=[new_code_cell(outputs=[output])]), partial_notebook(run_folder, stage.key))
        raise StageError(f"03_training stopped at the cell under “Start”\n{ERROR}\nPartial notebook: here")
    else:
        table = fabricated_predictions(
            signal=study.training.epochs / 2, n_train=study.training.train_patients or 20
        )  # fmt: skip
        table.to_parquet(run_folder / "predictions.parquet")
    nbformat.write(new_notebook(), executed)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a sweep file `tiny.yaml`, as the working folder."""
    for name in ("notebooks", "params"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "params" / "base.yaml").write_text("evaluation: {n_bootstrap: 200}\n")
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    for stage in STAGES[:-1]:
        (tmp_path / "notebooks" / f"{stage.key}.ipynb").write_text(json.dumps({"cells": []}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "_execute_notebook", stand_in)
    return tmp_path


@pytest.fixture
def folder(project: Path) -> Path:
    """Where the sweep lies."""
    return project / "runs" / "tiny"


@pytest.fixture
def screen() -> Screen:
    """A screen that keeps what it says in `console.file`."""
    return Screen(Console(file=io.StringIO(), width=200))


@pytest.fixture
def write_sweep_file(project: Path) -> Callable[[str], str]:
    """A function that writes a sweep file of its own and gives its path."""

    def write(text: str) -> str:
        (project / "own.yaml").write_text(text)
        return "own.yaml"

    return write
