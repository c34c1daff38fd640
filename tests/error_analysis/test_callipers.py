import numpy as np
import pandas as pd
import pytest

from helpers.error_analysis.callipers import calliper_predictions, calliper_readings, compare_callipers
from helpers.evaluation import out_of_fold
from helpers.study import EvaluationParams

NAMES = {"A": "compression", "B": "burst", "C": "normal"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Truth of 300 samples whose classes are set apart as the simulator does it."""
    rng = np.random.default_rng(3)
    n = 300
    label = np.array(["A", "B", "C"] * (n // 3))
    ratios = np.where(label == "C", rng.uniform(0.86, 1.0, n), rng.uniform(0.5, 0.78, n))
    narrowing = np.where(label == "B", rng.uniform(0.12, 0.5, n), 0.0)
    known = {"sample_id": [f"s{i}" for i in range(n)], "PatientID": [f"p{i // 2}" for i in range(n)], "label": label}
    heights = {f"{name}_ratio": ratios for name in ("anterior", "middle", "posterior")}
    heights |= {f"{name}_height_mm": 26 * ratios for name in ("anterior", "middle", "posterior")}
    return pd.DataFrame(known | heights | {"canal_mm": 16.0, "canal_narrowing": narrowing})


@pytest.fixture(scope="module")
def splits(table) -> pd.DataFrame:
    blocks = table["PatientID"].str[1:].astype(int) // 3  # patients of all classes
    parts = []
    for fold in range(3):
        split = np.select([blocks % 3 == fold, blocks % 3 == (fold + 1) % 3], ["test", "validation"], "train")
        parts.append(pd.DataFrame({"sample_id": table["sample_id"], "fold": fold, "split": split}))
    return pd.concat(parts, ignore_index=True)


def accuracy(table, splits, *, error_mm: float) -> float:
    readings = calliper_readings(table, error_mm=error_mm, rng=np.random.default_rng(0))
    tested = out_of_fold(calliper_predictions(readings, truth=table, splits=splits), classes=list(NAMES))
    assert len(tested) == len(table)
    return (tested["y_true"] == tested["y_pred"]).mean()


def test_without_an_error_the_truth_is_read(table):
    table = table.assign(middle_height_mm=20.0, middle_ratio=0.4, posterior_height_mm=21.0, posterior_ratio=0.45)
    readings = calliper_readings(table, error_mm=0.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(readings["lowest"], 0.4)
    np.testing.assert_allclose(readings["narrowing"], table["canal_narrowing"], atol=1e-12)


def test_errors_have_the_size_that_is_asked_for(table):
    """Of a share h / H with errors s and s / sqrt(2): variance (s / H)^2 (1 + share^2 / 2), to first order."""
    readings = calliper_readings(table, error_mm=0.5, rng=np.random.default_rng(0))
    share = 1 - table["canal_narrowing"]
    deviation = (readings["narrowing"] - table["canal_narrowing"]) / np.sqrt(1 + share**2 / 2)
    assert deviation.std() == pytest.approx(0.5 / 16, rel=0.15)
    assert abs(deviation.mean()) < 0.01


def test_surer_hands_are_right_more_often(table, splits):
    sure, unsure, wild = (accuracy(table, splits, error_mm=error_mm) for error_mm in (0.0, 1.5, 20.0))
    assert sure > 0.95
    assert sure > unsure > wild
    assert wild < 0.55


def test_the_validation_part_is_not_learned_from(table, splits):
    readings = calliper_readings(table, error_mm=1.0, rng=np.random.default_rng(0))
    known = splits[(splits["fold"] == 0) & (splits["split"] == "validation")]["sample_id"]
    in_validation = table["sample_id"].isin(known)
    changed = table.assign(label=table["label"].mask(in_validation, "C"))
    fold = splits[splits["fold"] == 0]
    found = [calliper_predictions(readings, truth=truth, splits=fold) for truth in (table, changed)]
    pd.testing.assert_frame_equal(*found)


def test_a_rare_class_weighs_as_much_as_the_others(table, splits):
    """Readings that say nothing give every class the same probability, however few samples it has."""
    rare = table[(table["label"] != "B") | (np.arange(len(table)) % 10 == 1)].reset_index(drop=True)
    readings = pd.DataFrame({"lowest": 1.0, "narrowing": 0.0}, index=rare.index)
    logits = calliper_predictions(readings, truth=rare, splits=splits).filter(regex="^logit_")
    np.testing.assert_allclose(np.exp(logits), 1 / 3, atol=1e-3)


def test_what_is_tested_is_never_learned_from(table, splits):
    """Labels that say nothing of the readings cannot be told out of fold."""
    shuffled = table.assign(label=np.random.default_rng(0).permutation(table["label"]))
    assert accuracy(shuffled, splits, error_mm=0.0) < 0.45


def test_the_network_stands_beside_the_callipers(table, splits, monkeypatch):
    monkeypatch.setattr("helpers.error_analysis.callipers.READINGS", 2)
    readings = calliper_readings(table, error_mm=0.0, rng=np.random.default_rng(0))
    network = calliper_predictions(readings, truth=table, splits=splits)
    compared = compare_callipers(
        network, truth=table, splits=splits, class_names=NAMES, params=EvaluationParams(n_bootstrap=100)
    )
    assert compared["reader"].tolist()[-1] == "network"
    assert [text.split(" ")[0] for text in compared["reader"]] == ["callipers,"] * 3 + ["network"]
    share = float(compared["right of all"].iloc[-1].split(" ")[0])
    assert share == pytest.approx(accuracy(table, splits, error_mm=0.0), abs=5e-4)
    assert list(compared) == ["reader", "right of all", *(f"right of {key} {name}" for key, name in NAMES.items())]
