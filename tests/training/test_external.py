from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.study import Run, schemas
from helpers.training import cross_validate, load_initialisation
from helpers.training.external import read_cohorts, score_cohorts, score_external


@pytest.fixture
def plain(params):
    return params.model_copy(update={"epochs": 1, "precision": "fp32", "seeds": [0, 1]})


@pytest.fixture
def trained(samples, splits, plain, tmp_path):
    """Predictions of a small run, whose networks lie in `checkpoints`."""
    start = load_initialisation("none", backbone=plain.backbone)
    return cross_validate(
        samples, splits, params=plain, initialisation=start, spacing_mm=0.5, folder=tmp_path / "checkpoints",
        report=lambda line: None,
    ).predictions  # fmt: skip


@pytest.fixture
def same(transform, plain):
    return type(transform)(plain, 0.5, True, transform.mean, transform.std)


def test_networks_say_of_known_images_what_they_said_in_training(samples, trained, same, tmp_path):
    seen = []
    scored = score_external(
        samples, fits=trained, transform=same, checkpoints=tmp_path / "checkpoints",
        report=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    key = ["sample_id", "fold", "seed"]
    both = trained.merge(scored, on=key, suffixes=("", "_again"), validate="one_to_one")
    assert len(both) == len(trained) == len(scored)
    for column in ("logit_A", "logit_B", "logit_C"):
        np.testing.assert_allclose(both[column], both[f"{column}_again"], rtol=1e-4, atol=1e-5)
    assert (both["y_true"] == both["y_true_again"]).all()


def test_every_cohort_is_scored_with_labels_that_no_network_knows(samples, trained, same, tmp_path, monkeypatch):
    run = Run(tmp_path, stage="03_training")
    writer = Run(tmp_path, stage="02_preprocessing")
    tables, indexes = [], []
    for name, images in (("hu", samples.images[:3]), ("grey", np.full((2, 40, 40), 90, np.uint8))):
        with writer.new_array(f"external_images/{name}.npy", shape=images.shape, dtype=images.dtype.name) as array:
            array[:] = images
        ids = [f"{name}{number}" for number in range(len(images))]
        tables.append(pd.DataFrame({"cohort": name, "sample_id": ids, "PatientID": "p", "label": "fracture"}))
        indexes.append(pd.DataFrame({"cohort": name, "row": range(len(ids)), "sample_id": ids}))
    tables = {"external": pd.concat(tables), "external_index": pd.concat(indexes)}
    run.read_table = tables.__getitem__
    named = SimpleNamespace(external=[SimpleNamespace(name=name) for name in ("hu", "grey")])
    monkeypatch.setattr(Run, "study", SimpleNamespace(external=named))
    cohorts = read_cohorts(run, classes=samples.classes)
    assert list(cohorts) == ["hu", "grey"]
    scored = score_cohorts(cohorts, fits=trained, transform=same, checkpoints=tmp_path / "checkpoints")
    schemas.EXTERNAL_PREDICTIONS.validate(scored)
    assert scored.groupby("cohort").size().to_dict() == {"hu": 3 * 4, "grey": 2 * 4}
    assert set(scored["y_true"]) == {"fracture"}
    first = trained[(trained["sample_id"] == samples.table["sample_id"][0])].sort_values(["seed", "fold"])
    again = scored[scored["sample_id"] == "hu0"].sort_values(["seed", "fold"])
    np.testing.assert_allclose(first["logit_A"], again["logit_A"], rtol=1e-4, atol=1e-5)
