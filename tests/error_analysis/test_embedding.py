from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.error_analysis.embedding import (
    FeatureSpace,
    nearest_training,
    probe_table,
    without_last_layer,
)
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


@pytest.fixture(scope="module")
def space(held_out, trained) -> FeatureSpace:
    return FeatureSpace.of(held_out, predictions=trained[1])


def test_features_and_last_layer_give_the_logits_of_training(space, held_out, trained):
    network = held_out.network(fold=0, seed=0)
    with torch.inference_mode():
        logits = network.fc[-1](torch.from_numpy(space.features)).numpy()
    own = trained[1].query("fold == 0 and seed == 0").set_index("sample_id").loc[space.table["sample_id"]]
    np.testing.assert_allclose(logits, own[["logit_A", "logit_B"]], atol=0.02)
    assert (space.table["split"].to_numpy() == own["split"].to_numpy()).all()


def test_the_network_itself_is_not_changed(held_out):
    network = held_out.network(fold=0, seed=0)
    without_last_layer(network)
    assert isinstance(network.fc[-1], torch.nn.Linear)


def test_features_of_a_stage_are_the_means_of_its_maps(held_out, trained):
    found = FeatureSpace.of(held_out, predictions=trained[1], stage="layer1")
    network, images = held_out.network(fold=0, seed=0), held_out.transform.plain(held_out.samples.images[:3])
    with torch.inference_mode():
        maps = network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(images)))))
    np.testing.assert_allclose(found.features[:3], maps.mean((2, 3)), rtol=0.05, atol=0.02)
    assert found.features.shape == (16, 64)


def test_other_images_get_the_same_features(space, held_out):
    np.testing.assert_allclose(space.read(held_out.samples.images[:3]), space.features[:3], atol=0.05)
    grey = np.full((2, 36, 36), 100, dtype=np.uint8)
    assert np.isfinite(space.read(grey)).all()


def test_neighbours_are_training_images_of_other_patients_the_nearest_first(space):
    patients = space.table["PatientID"].where(space.table["sample_id"] != "s12", "p3")
    space = replace(space, table=space.table.assign(PatientID=patients))
    found = nearest_training(space, sample_ids=["s3", "s0"], n=3)
    assert found["sample_id"].tolist() == ["s3"] * 3 + ["s0"] * 3
    training = set(space.table.loc[space.table["split"] == "train", "sample_id"])
    assert set(found["neighbour"]) <= training
    assert "s12" not in set(found.loc[found["sample_id"] == "s3", "neighbour"])
    for _, near in found.groupby("sample_id"):
        assert near["distance"].is_monotonic_increasing
    row = {name: place for place, name in enumerate(space.table["sample_id"])}
    a, b = (space.features[row[name]].astype(float) for name in found.iloc[0][["sample_id", "neighbour"]])
    assert found.iloc[0]["distance"] == pytest.approx(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-3)
    assert nearest_training(space, sample_ids=[], n=3).empty


def made_space(space: FeatureSpace, *, readable: bool) -> tuple[FeatureSpace, pd.DataFrame]:
    rng = np.random.default_rng(0)
    scanner = np.arange(120) // 2 % 2
    features = rng.normal(0, 1, (120, 6)).astype(np.float32)
    features[:, 0] += 4 * scanner * readable
    ids = {"sample_id": [f"s{i}" for i in range(120)], "PatientID": [f"p{i // 2}" for i in range(120)]}
    table = pd.DataFrame({**ids, "label": "A", "split": "train"})
    cohort = table[["sample_id"]].assign(ManufacturerModelName=np.where(scanner, "X", "Y"), SliceThickness=np.nan)
    return replace(space, table=table, features=features), cohort


@pytest.mark.parametrize("readable", [True, False])
def test_scanner_is_read_where_it_can_be(space, readable):
    made, cohort = made_space(space, readable=readable)
    probed = probe_table(made, cohort=cohort, params=PARAMS)
    assert probed["column"].tolist() == ["scanner model"]
    share = float(probed["read right"].iloc[0].split()[0])
    assert (share > 0.9) if readable else (share < 0.7)
    assert probed["most frequent value"].tolist() == ["0.500"]


def test_no_column_to_probe_gives_an_empty_table(space):
    made, cohort = made_space(space, readable=True)
    assert probe_table(made, cohort=cohort[["sample_id"]], params=PARAMS).empty
