import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from helpers.evaluation.sample_size import PatientKinds, half_width_curves, patients_needed
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=500)


def cohort(right, *, images_per_patient=1):
    right = np.asarray(right)
    ids = np.array([f"s{place}" for place in range(len(right))])
    patients = [f"p{place // images_per_patient}" for place in range(len(right))]
    return pd.DataFrame({"sample_id": ids, "PatientID": patients, "y_true": "A", "y_pred": np.where(right, "A", "B")})


def kinds_of(table):
    return PatientKinds.of(table, rows=np.ones(len(table), dtype=bool), params=PARAMS)


def test_single_images_need_what_the_binomial_says():
    kinds = kinds_of(cohort(np.arange(200) < 160))
    found = kinds.half_width(400, confidence=0.95, rng=np.random.default_rng(0))
    assert found == pytest.approx(norm.ppf(0.975) * np.sqrt(0.8 * 0.2 / 400), rel=0.08)


def test_copies_of_an_image_add_no_certainty():
    alone = kinds_of(cohort(np.arange(200) < 160))
    copied = kinds_of(cohort(np.repeat(np.arange(200) < 160, 4), images_per_patient=4))
    found = [kinds.half_width(100, confidence=0.95, rng=np.random.default_rng(0)) for kinds in (alone, copied)]
    assert found[0] == pytest.approx(found[1], rel=0.08)


def test_kinds_hold_all_patients():
    kinds = kinds_of(cohort([True, True, False, True, False, False], images_per_patient=2))
    assert kinds.n_patients == 3
    assert kinds.share.sum() == pytest.approx(1)
    assert (kinds.share * kinds.right).sum() * 3 == pytest.approx(3)


def test_spread_of_this_run_is_as_uncertain_as_the_plain_bootstrap_says():
    flags = np.random.default_rng(0).random(120) < 0.8
    kinds = kinds_of(cohort(flags))
    found = kinds.relative_spreads(2000, rng=np.random.default_rng(1))
    rng = np.random.default_rng(2)
    shares = flags[rng.integers(0, 120, (2000, 120))].mean(axis=1)
    expected = np.sqrt(shares * (1 - shares)) / np.sqrt(flags.mean() * (1 - flags.mean()))
    np.testing.assert_allclose(
        np.quantile(found, [0.025, 0.5, 0.975]), np.quantile(expected, [0.025, 0.5, 0.975]), rtol=0.05
    )


def test_curves_fall_for_every_measure_with_images():
    table = cohort(np.random.default_rng(0).random(150) < 0.8, images_per_patient=2)
    table["y_true"] = np.where(np.arange(150) % 3 == 0, "B", "A")
    curves = half_width_curves(table, classes="ABC", params=PARAMS, sizes=(50, 200, 800))
    assert curves["measure"].unique().tolist() == ["accuracy", "sensitivity of A", "sensitivity of B"]
    for _, curve in curves.groupby("measure"):
        assert curve["half_width"].is_monotonic_decreasing
        assert (curve["low"] <= curve["half_width"]).all()
        assert (curve["half_width"] <= curve["high"]).all()


def test_without_an_error_no_width_is_promised():
    curves = half_width_curves(cohort(np.ones(20, dtype=bool)), classes="A", params=PARAMS, sizes=(50, 100))
    assert curves.empty
    assert patients_needed(curves).empty


def test_needed_patients_follow_the_square_root_law():
    sizes = np.array([50, 200, 800])
    curves = pd.DataFrame({"measure": "accuracy", "n_patients": sizes, "half_width": 0.6 / np.sqrt(sizes)})
    curves = curves.assign(low=0.8 * curves["half_width"], high=2 * curves["half_width"])
    row = patients_needed(curves, half_width=0.03).iloc[0]
    assert row["n_patients"] == 400
    assert row["low"] == 256
    assert pd.isna(row["high"])


def test_smallest_size_that_is_enough_already_is_the_answer():
    curves = pd.DataFrame({"measure": "m", "n_patients": [50, 100], "half_width": [0.02, 0.01]})
    assert patients_needed(curves.assign(low=0.01, high=0.02)).loc[0, "n_patients"] == 50
