import numpy as np
import pandas as pd
import pytest
from scipy.special import logit, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from helpers.evaluation.calibration import (
    ALL_CLASSES,
    ANSWER,
    N_BINS,
    TITLES,
    Forecast,
    bins_side_by_side,
    brier_decomposition,
    calibration_metrics,
    debiased_error,
    expected_calibration_error,
    forecasts,
    recalibration,
    reliability,
)
from helpers.evaluation.patient_bootstrap import PatientBootstrap
from helpers.evaluation.predictions import out_of_fold
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=300)


def patients_of(n, *, size=1):
    """Rows of n images, `size` of each patient."""
    rows = pd.DataFrame({"sample_id": [f"s{place}" for place in range(n)]})
    return PatientBootstrap.of(rows.assign(PatientID=[f"p{place // size}" for place in range(n)]), params=PARAMS)


def true_forecast(n, *, stretch=1.0, seed=0):
    """Outcomes drawn with a probability whose log odds are then stretched."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 1.5, n)
    happened = rng.random(n) < 1 / (1 + np.exp(-log_odds))
    return Forecast.of(1 / (1 + np.exp(-stretch * log_odds)), happened)


@pytest.fixture(scope="module")
def samples(make_study):
    return out_of_fold(make_study(seed=0), classes="ABC")


def test_true_probabilities_have_slope_one_and_intercept_zero():
    found = recalibration(true_forecast(20_000), boot=patients_of(20_000))
    assert found["slope"].estimate == pytest.approx(1, abs=0.05)
    assert found["intercept"].estimate == pytest.approx(0, abs=0.05)
    assert found["slope"].ci_low < 1 < found["slope"].ci_high


@pytest.mark.parametrize("stretch", [0.5, 2.0])
def test_slope_is_the_inverse_of_a_stretch(stretch):
    found = recalibration(true_forecast(20_000, stretch=stretch), boot=patients_of(20_000))
    assert found["slope"].estimate == pytest.approx(1 / stretch, rel=0.06)


def test_intercept_of_one_probability_is_the_distance_of_log_odds():
    happened = np.arange(200) < 140
    probability = np.full(200, 0.5) + np.where(np.arange(200) % 2, 1e-9, -1e-9)
    found = recalibration(Forecast.of(probability, happened), boot=patients_of(200))
    assert found["intercept"].estimate == pytest.approx(logit(0.7), abs=1e-6)


def test_copies_of_a_patient_do_not_narrow_the_interval():
    single = true_forecast(300, seed=1)
    copied = Forecast.of(np.repeat(single.probability, 4), np.repeat(single.happened, 4))
    alone = recalibration(single, boot=patients_of(300))["slope"]
    together = recalibration(copied, boot=patients_of(1200, size=4))["slope"]
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.ci_high - together.ci_low == pytest.approx(alone.ci_high - alone.ci_low, rel=0.02)


@pytest.mark.parametrize(
    ("probability", "happened", "reason"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], "separates"),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 1, 1], "always or never"),
    ],
)
def test_line_that_does_not_exist_is_explained(probability, happened, reason):
    found = recalibration(Forecast.of(np.array(probability), np.array(happened)), boot=patients_of(4))
    assert np.isnan(found["slope"].estimate)
    assert reason in found["intercept"].note


def test_single_patient_has_no_line():
    forecast = Forecast.of(np.array([0.1, 0.6, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    assert "single patient" in recalibration(forecast, boot=patients_of(4, size=4))["slope"].note


def test_expected_calibration_error_is_that_of_scikit_learns_bins():
    forecast = true_forecast(1000, stretch=2.0)
    share, mean = calibration_curve(forecast.happened, forecast.probability, n_bins=N_BINS, strategy="quantile")
    found = expected_calibration_error(forecast, boot=patients_of(1000))
    assert found.estimate == pytest.approx(np.abs(share - mean).mean(), abs=1e-3)
    assert "more than chance" in found.note


def test_true_probabilities_show_no_more_error_than_chance():
    found = expected_calibration_error(true_forecast(500), boot=patients_of(500))
    assert found.estimate > 0.01
    assert found.note.startswith("no more than chance")


def test_debiased_error_of_true_probabilities_averages_to_zero_even_with_copies():
    squares, plain = [], []
    for seed in range(60):
        single = true_forecast(200, seed=seed)
        copied = Forecast.of(np.repeat(single.probability, 3), np.repeat(single.happened, 3))
        squares.append(debiased_error(copied, boot=patients_of(600, size=3)).estimate ** 2)
        plain.append(((copied.excess @ copied.members) ** 2 / copied.members.sum(axis=0)).sum() / 600)
    # negative squares are cut at 0, so that about half of what scatter leaves remains
    assert np.mean(squares) < 0.2 * np.mean(plain)


def test_debiased_error_of_independent_images_is_kumars():
    """Kumar 2019 takes the variance of the share in each bin off; probabilities are equal within bins here."""
    rng = np.random.default_rng(0)
    probability = np.repeat([0.2, 0.5, 0.8], 50)
    happened = (rng.random(150) < probability + 0.15).astype(float)
    forecast = Forecast(probability, happened, np.repeat([0, 1, 2], 50))
    share = happened.reshape(3, 50).mean(axis=1)
    expected = ((share - [0.2, 0.5, 0.8]) ** 2 - share * (1 - share) / 49).mean()
    assert debiased_error(forecast, boot=patients_of(150)).estimate == pytest.approx(np.sqrt(expected))


def test_overall_scores_are_those_of_scikit_learn(samples):
    found = calibration_metrics(samples, classes="ABC", params=PARAMS)
    probabilities = samples[["p_A", "p_B", "p_C"]].to_numpy()
    brier = sum(brier_score_loss(samples["y_true"] == key, samples[f"p_{key}"]) for key in "ABC")
    assert found[ALL_CLASSES]["log_loss"].estimate == pytest.approx(log_loss(samples["y_true"], probabilities))
    assert found[ALL_CLASSES]["brier"].estimate == pytest.approx(brier)
    by_class = [found[key]["calibration_error"].estimate for key in "ABC"]
    assert found[ALL_CLASSES]["calibration_error"].estimate == pytest.approx(np.mean(by_class))
    assert {name for metrics in found.values() for name in metrics} == set(TITLES)


def test_mean_error_is_that_of_the_class(samples):
    found = calibration_metrics(samples, classes="ABC", params=PARAMS)
    expected = samples["p_B"].mean() - (samples["y_true"] == "B").mean()
    assert found["B"]["mean_error"].estimate == pytest.approx(expected)


def test_bins_hold_all_images_once(samples):
    bins = reliability(samples, classes="ABC", params=PARAMS)
    assert set(bins["of"]) == {ANSWER, *"ABC"}
    for name, rows in bins.groupby("of"):
        assert rows["n_samples"].sum() == len(samples)
        assert rows["mean_probability"].is_monotonic_increasing
        happened = forecasts(samples, classes="ABC")[name].happened
        assert np.average(rows["share"], weights=rows["n_samples"]) == pytest.approx(happened.mean())
        assert (rows["ci_low"] <= rows["share"]).all()
        assert (rows["share"] <= rows["ci_high"]).all()


def test_equal_probabilities_share_one_bin():
    forecast = Forecast.of(np.full(20, 0.3), np.arange(20) < 6)
    assert set(forecast.bins) == {0}
    assert np.abs(forecast.excess.sum()) < 1e-12


def test_brier_score_is_the_sum_of_its_parts(samples):
    table = brier_decomposition(samples, classes="ABC")
    total = table["reliability"] - table["resolution"] + table["uncertainty"] + table["within_bins"]
    np.testing.assert_allclose(total, table["brier"])
    last = table[table["class"] == ALL_CLASSES].iloc[0]
    assert last["brier"] == pytest.approx(table["brier"].iloc[:-1].sum())


def test_brier_parts_of_few_probabilities_are_murphys():
    """Three probabilities in bins of their own: nothing is hidden within bins."""
    found = pd.DataFrame({"p_A": np.repeat([0.1, 0.5, 0.9], 40), "y_true": ["A", "B", "B", "B"] * 30, "y_pred": "A"})
    table = brier_decomposition(found.assign(p_B=1 - found["p_A"]), classes="AB").set_index("class")
    assert table.loc["A", "within_bins"] == pytest.approx(0, abs=1e-12)
    assert table.loc["A", "uncertainty"] == pytest.approx(0.25 * 0.75)
    assert table.loc["A", "resolution"] == pytest.approx(0, abs=1e-12)
    expected = np.mean((np.array([0.1, 0.5, 0.9]) - 0.25) ** 2)
    assert table.loc["A", "reliability"] == pytest.approx(expected)


def test_simulated_softmax_is_calibrated_in_every_class():
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1.5, (6000, 3))
    codes = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    probabilities = softmax(logits, axis=1)
    table = pd.DataFrame(probabilities, columns=["p_A", "p_B", "p_C"])
    letters = np.array(list("ABC"))
    ids = [str(place) for place in range(6000)]
    table = table.assign(
        sample_id=ids, PatientID=ids, y_true=letters[codes], y_pred=letters[probabilities.argmax(axis=1)]
    )
    found = calibration_metrics(table, classes="ABC", params=EvaluationParams(n_bootstrap=100))
    for name in (ANSWER, *"ABC"):
        assert found[name]["slope"].estimate == pytest.approx(1, abs=0.12)
        assert found[name]["debiased_error"].estimate < 0.02


def test_bins_of_two_stages_stand_side_by_side():
    one = pd.DataFrame(
        {"of": ["answer given", "A"], "bin": [0, 0], "mean_probability": [0.8, 0.3], "share": [0.5, 0.25]}
    )
    one = one.assign(ci_low=[0.25, None], ci_high=[0.75, None])
    found = bins_side_by_side({"before": one, "after": one.iloc[:1].assign(share=0.6)})
    assert list(found) == ["of", "before: probability", "before: share", "after: probability", "after: share"]
    assert found["before: share"][0].startswith("0.50 (0.25")
    assert found["before: share"][1] == "0.25"
    assert found["after: share"][0].startswith("0.60 (")
    assert pd.isna(found["after: share"][1])
