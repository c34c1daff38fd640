"""Keep the backbone of a finished run as the initialisation `phantom`, with a model card beside it."""

from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from helpers.study import ParameterError, Run
from helpers.study.artefacts import file_sha256, write_json_atomic
from helpers.study.paths import phantom_weights
from helpers.training.fit import write_tensors
from helpers.training.weights import backbone_only


def register_weights(run: Run) -> Path:
    """Write `weights/phantom_<backbone>.safetensors` and its card `.json` from the first network of a run.

    Parameters
    ----------
    run
        A run on the simulated cohort whose notebook 03 has finished.

    Returns
    -------
    The file of the weights.

    Raises
    ------
    ParameterError
        If the run was not trained on simulated images.
    ArtefactError
        If the run has not come to its end.
    """
    study = run.study
    if study.cohort.source != "phantom":
        raise ParameterError(
            f"run {study.study.name} was trained on source {study.cohort.source}: phantom weights come from simulated "
            "images; use the checkpoint of another run by its path"
        )
    model, predictions = run.read_json("model"), run.read_table("predictions")
    seed = study.training.seeds[0]
    checkpoint = run.path("checkpoints/") / f"fold0_seed{seed}.safetensors"
    file = phantom_weights(study.training.backbone)
    write_tensors(file, backbone_only(load_file(checkpoint)), metadata={"run": study.study.name})
    rows = predictions[(predictions["fold"] == 0) & (predictions["seed"] == seed)]
    write_json_atomic(file.with_suffix(".json"), _card(run, model=model, rows=rows, sha256=file_sha256(file)))
    return file


def _card(run: Run, *, model: dict[str, Any], rows: pd.DataFrame, sha256: str) -> dict[str, Any]:
    """What someone must know before starting from these weights; `rows` are what their one network predicted."""
    study, start = run.study, model["initialisation"]
    cohort, trained = study.cohort, rows[rows["split"] == "train"]
    return {
        "note": f"Trained by this project on {len(trained)} simulated CT images of {trained['PatientID'].nunique()} "
        f"simulated patients, from the start {start['name']}. No real patient was seen "
        f"{'in this training' if start['is_transfer'] else 'at all'}.",
        "licence": "Apache-2.0" + (f"; its own start: {start['licence']}" if start["is_transfer"] else ""),
        "sha256": sha256,
        "backbone": study.training.backbone,
        "start": start,
        "input": {**model["input"], "spacing_mm": study.preprocessing.spacing_mm},
        "training": study.training.model_dump(),
        "cohort": {name: value for name, value in cohort.model_dump().items() if name.startswith("phantom_")},
        "simulated_test": _scores(rows[rows["split"] == "test"]),
        "limits": "Scores on simulated images say nothing about real ones, and simulated burst fractures were never "
        "checked against real ones.",
    }


def _scores(rows: pd.DataFrame) -> dict[str, Any]:
    """How one network does on the part that it never saw."""
    logits = rows.filter(regex="^logit_")
    answers = logits.idxmax(axis=1).str.removeprefix("logit_")
    return {
        "images": len(rows),
        "patients": int(rows["PatientID"].nunique()),
        "accuracy": float(accuracy_score(rows["y_true"], answers)),
        "balanced_accuracy": float(balanced_accuracy_score(rows["y_true"], answers)),
    }
