"""A cohort that a small network can learn in seconds: the class is where a bright bar lies."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.study.params import TrainingParams
from helpers.training import InputTransform, Samples

CLASSES = ("A", "B", "C")


@pytest.fixture
def params() -> TrainingParams:
    return TrainingParams(
        backbone="resnet18", weights="none", frozen_stages=0, batch_norm="learned", input_size=32, epochs=2,
        batch_size=8, head_units=16, rotation_deg=2.0, shift_mm=0.5,
        scale_percent=2.0, window_center=0.0, window_width=2000.0, threads=1,
    )  # fmt: skip


@pytest.fixture
def samples() -> Samples:
    rng = np.random.default_rng(7)
    n = 36
    labels = [CLASSES[i % 3] for i in range(n)]
    images = rng.normal(0, 60, (n, 40, 40)).astype(np.int16)
    for image, label in zip(images, labels, strict=True):
        image[8 + 10 * CLASSES.index(label) : 14 + 10 * CLASSES.index(label), 8:32] += 900
    table = pd.DataFrame(
        {
            "sample_id": [f"s{i:02d}" for i in range(n)],
            "PatientID": [f"p{i // 2:02d}" for i in range(n)],
            "label": labels,
        }
    )
    return Samples(images, table, CLASSES)


@pytest.fixture
def splits(samples) -> pd.DataFrame:
    """Two folds by patient; the patients that are not tested give every fourth to validation."""
    patient = samples.table["PatientID"].str[1:].astype(int).to_numpy()
    parts = []
    for fold in (0, 1):
        split = np.where((patient // 3) % 2 == fold, "test", np.where(patient % 4 == 0, "validation", "train"))
        parts.append(pd.DataFrame({"sample_id": samples.table["sample_id"], "fold": fold, "split": split}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def transform(params) -> InputTransform:
    return InputTransform(params, 0.5, True, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small run slower on two threads, and far slower beside another process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
