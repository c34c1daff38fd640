"""A simulated cohort with truth and two trained networks, small enough for every test."""

import numpy as np
import pandas as pd
import pytest

from helpers.cohort.reading import read_cohort
from helpers.cohort.truth import Truth, read_truth
from helpers.error_analysis.held_out import HeldOut
from helpers.study import CohortParams, TrainingParams
from helpers.training import InputTransform, Samples, cross_validate, load_initialisation


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Cohort table of 18 images of 9 patients, and its truth."""
    params = CohortParams(
        folder=str(tmp_path_factory.mktemp("data")),
        phantom_images={"A": 6, "B": 6, "C": 6},
        phantom_patients=9,
        phantom_seed=1,
    )
    cohort = read_cohort(params).table
    return cohort, read_truth(cohort, params=params)


@pytest.fixture
def truth(simulated) -> Truth:
    return simulated[1]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Noise images of 16 patients with the networks of two folds: samples, predictions, parameters, checkpoints."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"sample_id": [f"s{i}" for i in range(16)], "PatientID": [f"p{i}" for i in range(16)], "label": ["A", "B"] * 8}
    )
    samples = Samples(rng.integers(-300, 900, (16, 36, 36)).astype(np.int16), table, ("A", "B"))
    split = [["test"] * 6 + ["validation"] * 4 + ["train"] * 6, ["train"] * 6 + ["validation"] * 4 + ["test"] * 6]
    splits = pd.concat([pd.DataFrame({"sample_id": table["sample_id"], "fold": f, "split": split[f]}) for f in (0, 1)])
    params = TrainingParams(
        backbone="resnet18",
        weights="none",
        batch_norm="learned",
        frozen_stages=0,
        input_size=32,
        epochs=1,
        batch_size=6,
        head_units=16,
        threads=1,
    )
    folder = tmp_path_factory.mktemp("checkpoints")
    start = load_initialisation("none", backbone="resnet18")
    result = cross_validate(
        samples, splits, params=params, initialisation=start, spacing_mm=0.5, folder=folder, report=lambda line: None
    )
    return samples, result.predictions, params, folder


@pytest.fixture(scope="session")
def held_out(trained) -> HeldOut:
    samples, predictions, params, folder = trained
    transform = InputTransform(params, 0.5, True, (0.0,) * 3, (1.0,) * 3)
    return HeldOut.of(predictions, samples=samples, transform=transform, checkpoints=folder)
