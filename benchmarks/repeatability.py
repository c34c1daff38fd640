"""Measure how far the answers of a study move when it is computed in another way.

    .venv/bin/python benchmarks/repeatability.py [runs/default] [--epochs 2] [--folds 1]

The networks of a run are trained again on its images, with few epochs and folds: twice in the same way, then with
another number of threads, in two processes, with another size of the batches in which images are read, with another
number format, and, where there is one, on a GPU. A line gives the largest and the mean difference of a probability of a
test image, and how many answers change. The run itself stays as it is.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax

from helpers.study import Run
from helpers.study.engine import open_executor
from helpers.study.params import StudyParams, TrainingParams
from helpers.study.paths import project_file
from helpers.training import Samples, cross_validate, inputs, load_initialisation


def probabilities(run: Run, params: TrainingParams, *, splits: pd.DataFrame, jobs: int = 1) -> np.ndarray:
    """Train anew; gives the held-out probabilities, float (N, K)."""
    samples = Samples.align(
        run.read_array("images"), image_index=run.read_table("image_index"), cohort=run.read_table("cohort"),
        classes=tuple(run.study.cohort.class_names),
    )  # fmt: skip
    start = load_initialisation(params.weights, backbone=params.backbone)
    with tempfile.TemporaryDirectory() as folder, open_executor(StudyParams(jobs=jobs)) as executor:
        result = cross_validate(
            samples, splits, params=params, initialisation=start, spacing_mm=run.study.preprocessing.spacing_mm,
            folder=Path(folder), report=lambda line: None, executor=executor,
        )  # fmt: skip
    tested = result.predictions.query("split == 'test'").sort_values(["fold", "sample_id"])
    return softmax(tested.filter(like="logit_").to_numpy(dtype=float), axis=1)


def ways(params: TrainingParams) -> dict[str, dict]:
    """Other ways to compute the same study: changed parameters, processes, images read at once."""
    other = 1 if params.threads > 1 else 2
    found = {
        "the same again": {},
        "two processes (study.jobs: 2)": {"jobs": 2},
        f"threads: {other} instead of {params.threads}": {"changes": {"threads": other}},
        f"{inputs.PREDICT_BATCH // 4} images read at once instead of {inputs.PREDICT_BATCH}": {
            "batch": inputs.PREDICT_BATCH // 4
        },
        f"precision: {'fp32' if params.precision == 'bf16' else 'bf16'} instead of {params.precision}": {
            "changes": {"precision": "fp32" if params.precision == "bf16" else "bf16"}
        },
    }
    return found | ({"GPU": {"changes": {"device": "cuda"}}} if torch.cuda.is_available() else {})


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="runs/default")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folds", type=int, default=1)
    options = parser.parse_args()
    run, usual = Run(project_file(options.run)), inputs.PREDICT_BATCH
    few = {"epochs": options.epochs, "patience": options.epochs, "device": "cpu"}
    params = run.study.training.model_copy(update=few)
    splits = run.read_table("splits").query("fold < @options.folds")
    reference = probabilities(run, params, splits=splits)
    for name, way in ways(params).items():
        inputs.PREDICT_BATCH = way.get("batch", usual)
        changed = params.model_copy(update=way.get("changes", {}))
        found = probabilities(run, changed, splits=splits, jobs=way.get("jobs", 1))
        moved, others = np.abs(found - reference), found.argmax(1) != reference.argmax(1)
        sys.stdout.write(
            f"{name:45s} largest {moved.max():.1e}, mean {moved.mean():.1e}, answers {others.sum()} of {len(others)}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
