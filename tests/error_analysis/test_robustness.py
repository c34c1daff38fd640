from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from helpers.error_analysis.perturbations import PERTURBATIONS
from helpers.error_analysis.robustness import breaking_points, pick_balanced, robustness_table, stress
from helpers.evaluation import out_of_fold
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


@pytest.fixture(scope="module")
def stressed(held_out):
    return stress(held_out.tested["sample_id"].tolist(), held_out=held_out)


def test_unchanged_images_get_the_predictions_of_training(stressed, trained):
    _, predictions, _, _ = trained
    expected = out_of_fold(predictions, classes=["A", "B"]).set_index("sample_id")
    found = stressed[stressed["severity"] == 0].set_index("sample_id").loc[expected.index]
    np.testing.assert_allclose(found["p_A"], expected["p_A"], atol=0.02)
    assert (found["y_true"] == expected["y_true"]).all()
    assert (found["PatientID"] == expected["PatientID"]).all()


def test_every_image_meets_every_severity_once(stressed, held_out):
    steps = 1 + sum(len(kind.severities) for kind in PERTURBATIONS)
    assert len(stressed) == steps * len(held_out.tested)
    assert not stressed.duplicated(["sample_id", "change", "severity"]).any()
    np.testing.assert_allclose(stressed[["p_A", "p_B"]].sum(axis=1), 1)


def test_report_ends_with_all(held_out):
    reports = []
    stress(["s0", "s10"], held_out=held_out, report=lambda *numbers: reports.append(numbers))
    assert reports[-1][0] == reports[-1][1] == 2 * 28


def answers(change: str, severity: float, y_pred: list[str]) -> pd.DataFrame:
    known = {
        "sample_id": [f"s{i}" for i in range(8)],
        "PatientID": [f"p{i}" for i in range(8)],
        "y_true": ["A", "B"] * 4,
    }
    return pd.DataFrame({**known, "y_pred": y_pred, "p_A": 0.5, "p_B": 0.5, "change": change, "severity": severity})


@pytest.fixture
def made() -> pd.DataFrame:
    """All right unchanged, and in all changes but noise, which takes every A for a B from its second severity on."""
    right, all_b = ["A", "B"] * 4, ["B"] * 8
    parts = [answers("unchanged", 0.0, right)]
    for kind in PERTURBATIONS:
        for place, severity in enumerate(kind.severities):
            parts.append(answers(kind.name, float(severity), all_b if kind.name == "noise" and place else right))
    return pd.concat(parts, ignore_index=True)


def test_balanced_accuracy_and_what_is_lost_of_it(made):
    table = robustness_table(made, classes=["A", "B"], params=PARAMS)
    noise = table[table["change"] == "noise"]
    assert noise["severity"].tolist() == [0, 2, 5, 10]
    assert noise["estimate"].tolist() == [1, 1, 0.5, 0.5]
    assert noise["lost"].tolist() == [0, 0, 0.5, 0.5]
    part = made[(made["change"] == "noise") & (made["severity"] == 10)]
    assert balanced_accuracy_score(part["y_true"], part["y_pred"]) == noise["estimate"].iloc[-1]


def test_breaking_point_lies_between_the_severities_tried(made):
    points = breaking_points(robustness_table(made, classes=["A", "B"], params=PARAMS)).set_index("change")
    assert points.loc["noise", "5 points lost at"] == f"{2 + 0.1 * 3:.2g}"
    assert (points.drop(index="noise")["5 points lost at"] == "not reached").all()
    assert points.loc["noise", "points lost there"].startswith("50.0")


def test_quality_that_fails_at_once_has_no_straight_line_from_zero(made):
    made.loc[made["change"] == "JPEG", "y_pred"] = "B"
    points = breaking_points(robustness_table(made, classes=["A", "B"], params=PARAMS)).set_index("change")
    assert points.loc["JPEG", "5 points lost at"] == "already at 50"


def test_samples_are_of_all_classes_and_of_different_patients(held_out):
    picked = pick_balanced(held_out, n=6)
    table = held_out.samples.table.set_index("sample_id").loc[picked]
    assert table["label"].value_counts().to_dict() == {"A": 3, "B": 3}
    assert table["PatientID"].is_unique
    assert picked == pick_balanced(held_out, n=6)
    assert set(picked) <= set(held_out.tested["sample_id"])


def test_images_of_one_grey_level_are_read_without_error(held_out):
    flat = replace(held_out.samples, images=np.zeros_like(held_out.samples.images))
    found = stress(["s0", "s10"], held_out=replace(held_out, samples=flat))
    assert found["p_A"].between(0, 1).all()
