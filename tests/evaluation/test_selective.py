import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.predictions import out_of_fold
from helpers.evaluation.selective import TITLES, acceptance_metrics, risk_at_coverage, risk_coverage_curve
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


def answered(sureness, right, *, patients=None):
    """Binary answers A, each given with a probability."""
    ids = [f"s{place}" for place in range(len(sureness))]
    table = pd.DataFrame({"sample_id": ids, "PatientID": patients or ids, "p_A": sureness})
    return table.assign(p_B=1 - table["p_A"], y_pred="A", y_true=["A" if flag else "B" for flag in right])


@pytest.fixture(scope="module")
def samples(make_study):
    return out_of_fold(make_study(seed=0), classes="ABC")


def test_curve_and_area_by_hand():
    table = answered([0.9, 0.6, 0.8, 0.7], [True, False, False, True])
    curve = risk_coverage_curve(table, params=PARAMS)
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["error"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert curve["optimum"].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    found = acceptance_metrics(table, params=PARAMS)
    assert found["aurc"].estimate == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found["error"].estimate == 0.5
    assert found["aurc_optimum"].estimate == pytest.approx(0.5 + 0.5 * np.log(0.5))
    assert set(found) == set(TITLES)


def test_equal_probabilities_are_accepted_together():
    curve = risk_coverage_curve(answered([0.8, 0.8, 0.6, 0.8], [True, False, True, True]), params=PARAMS)
    assert curve["coverage"].tolist() == [0.75, 1.0]
    assert curve["error"].tolist() == pytest.approx([1 / 3, 1 / 4])


def test_area_of_the_best_order_comes_near_the_optimum():
    right = np.arange(2000) >= 300
    found = acceptance_metrics(answered(0.5 + np.arange(2000) / 4000, right), params=PARAMS)
    assert found["aurc"].estimate == pytest.approx(found["aurc_optimum"].estimate, abs=2e-3)
    assert found["gain"].estimate == pytest.approx(1, abs=0.02)


def test_random_order_gains_nothing():
    rng = np.random.default_rng(0)
    found = acceptance_metrics(answered(0.5 + rng.random(3000) / 2, rng.random(3000) < 0.8), params=PARAMS)
    assert found["gain"].estimate == pytest.approx(0, abs=0.1)


def test_without_an_error_the_gain_is_undefined():
    found = acceptance_metrics(answered([0.9, 0.8], [True, True]), params=PARAMS)
    assert found["aurc"].estimate == 0
    assert "there is no error" in found["gain"].note


def test_with_errors_only_nothing_is_infinite():
    found = acceptance_metrics(answered([0.9, 0.8], [False, False]), params=PARAMS)
    assert found["aurc"].estimate == found["aurc_optimum"].estimate == 1


def test_risk_at_full_coverage_is_the_error(samples):
    table = risk_at_coverage(samples, params=PARAMS)
    wrong = (samples["y_true"] != samples["y_pred"]).mean()
    assert table["error"].iloc[0] == pytest.approx(wrong)
    assert table["n_accepted"].iloc[0] == len(samples)
    assert table["threshold"].is_monotonic_increasing
    top = samples[["p_A", "p_B", "p_C"]].max(axis=1)
    for row in table.itertuples():
        accepted = top >= row.threshold
        assert accepted.sum() == row.n_accepted >= row.coverage * len(samples)
        assert (samples["y_true"] != samples["y_pred"])[accepted].mean() == pytest.approx(row.error)


def test_no_error_among_the_surest_is_as_sure_as_their_patients_are_many():
    """Forty images of forty patients, the least sure five wrong: of the 20 accepted at one half none is wrong."""
    table = answered(np.linspace(0.99, 0.6, 40), [True] * 35 + [False] * 5)
    half = risk_at_coverage(table, params=PARAMS).set_index("coverage").loc[0.5]
    assert (half["n_accepted"], half["error"], half["ci_low"]) == (20, 0, 0)
    assert half["ci_high"] == pytest.approx(1 - 0.025 ** (1 / 20))


def test_monotone_change_of_probability_changes_no_order(samples):
    columns = ["p_A", "p_B", "p_C"]
    squeezed = samples.assign(**{name: np.sqrt(samples[name]) for name in columns})
    before, after = (acceptance_metrics(table, params=PARAMS) for table in (samples, squeezed))
    assert before["aurc"] == after["aurc"]


def test_band_holds_the_curve(samples):
    curve = risk_coverage_curve(samples, params=PARAMS)
    inside = (curve["band_low"] <= curve["error"] + 1e-12) & (curve["error"] <= curve["band_high"] + 1e-12)
    assert inside.mean() > 0.9
    assert (curve["optimum"] <= curve["error"] + 1e-12).all()
