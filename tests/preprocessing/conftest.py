import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.cohort.reading import read_cohort
from helpers.study import CohortParams, SplitParams, open_run


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Three 8-bit images of 60 x 80 pixels at 1 mm with two boxes each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rows = []
    for patient in range(3):
        pixels = np.random.default_rng(patient).integers(1, 255, (60, 80), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{patient}.png")
        for label, x0 in (("A", 10), ("B", 50)):
            rows.append((f"{patient}.png", patient, label, x0, 10, x0 + 20, 50))
    table = pd.DataFrame(rows, columns=["file", "PatientID", "label", "x0", "y0", "x1", "y1"])
    table.to_csv(tmp_path / "labels.csv", index=False)
    return read_cohort(
        CohortParams(
            source="images",
            folder="images",
            labels="labels.csv",
            class_names={"A": "a", "B": "b"},
            normal_class=None,
            mm_per_px=1.0,
        )
    )


@pytest.fixture
def run(tmp_path, cohort):
    """A run folder as stage 02 sees it."""
    params = CohortParams()
    open_run(str(tmp_path / "run"), params, SplitParams(), stage="01_data_audit")
    return open_run(str(tmp_path / "run"), stage="02_preprocessing")
