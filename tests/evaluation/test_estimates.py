import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.estimates import (
    Bounds,
    Resampling,
    Support,
    class_metrics,
    metric_from_replicates,
    overall_metrics,
    row_fractions,
)
from helpers.evaluation.predictions import fold_predictions, out_of_fold

TEN = Support(n_samples=30, n_patients=10, n_limiting=10)


def build(estimate, replicates, **options):
    options = {"support": TEN, "confidence": 0.95, "undefined": "no sample has this class"} | options
    return metric_from_replicates(estimate, np.asarray(replicates, dtype=float), **options)


@pytest.fixture
def resample(make_answers):
    """Draw 200 replicates for given labels, answers and patients."""

    def draw(y_true, y_pred, *, patients=None, classes="ABC"):
        table = out_of_fold(make_answers(y_true, y_pred, patients=patients, classes=classes), classes=classes)
        sample = ClusteredSample.from_frame(table, classes=classes)
        return Resampling.draw(sample, n_replicates=200, confidence=0.95, rng=np.random.default_rng(0))

    return draw


def test_ordinary_metric_gets_the_percentile_interval():
    replicates = np.linspace(0.5, 0.9, 401)
    metric = build(0.7, replicates)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((0.51, 0.89))
    assert metric.ci_method == "patient-clustered bootstrap, percentile"
    assert (metric.n_samples, metric.n_patients, metric.n_dropped, metric.note) == (30, 10, 0, None)


def test_undefined_estimate_has_no_interval_and_says_why():
    metric = build(math.nan, [np.nan] * 5)
    assert math.isnan(metric.estimate)
    assert metric.ci_low is None
    assert metric.ci_method is None
    assert metric.note == "undefined: no sample has this class"


@pytest.mark.parametrize(("n_undefined", "noted"), [(10, False), (11, True)])
def test_undefined_replicates_are_dropped_counted_and_noted_above_a_tenth(n_undefined, noted):
    replicates = np.concatenate([np.full(n_undefined, np.nan), np.linspace(0.2, 0.4, 100 - n_undefined)])
    metric = build(0.3, replicates)
    assert metric.n_dropped == n_undefined
    assert metric.ci_low == pytest.approx(0.205)
    assert (metric.note is not None) is noted
    if noted:
        assert metric.note == "interval from 89 of 100 replicates; in the others no sample has this class"


def test_estimate_outside_its_interval_is_noted():
    assert "outside its interval" in build(0.95, np.linspace(0.2, 0.4, 100)).note


def test_estimate_without_any_defined_replicate_has_no_interval():
    metric = build(0.5, [np.nan] * 4)
    assert metric.ci_low is None
    assert metric.note.startswith("no interval: undefined in every replicate")


@pytest.mark.parametrize(
    ("estimate", "low", "high"), [(1.0, 0.025 ** (1 / 10), 1.0), (0.0, 0.0, 1 - 0.025 ** (1 / 10))]
)
def test_no_exception_among_ten_patients_gives_the_clopper_pearson_limit(estimate, low, high):
    metric = build(estimate, [estimate] * 50)
    assert (metric.ci_low, metric.ci_high) == pytest.approx((low, high))
    assert metric.ci_method == "Clopper-Pearson on patients"
    assert "10 patients" in metric.note


def test_limit_at_perfection_counts_the_smallest_group():
    support = dataclasses.replace(TEN, n_limiting=4)
    assert build(1.0, [1.0] * 50, support=support).ci_low == pytest.approx(0.025 ** (1 / 4))


def test_limit_of_chance_corrected_metric_is_put_on_its_own_scale():
    metric = build(1.0, [1.0] * 50, bounds=Bounds(lower=-1.0, chance=0.4))
    assert metric.ci_low == pytest.approx((0.025 ** (1 / 10) - 0.4) / 0.6)
    assert metric.ci_high == 1.0


@pytest.mark.parametrize("lower", [0.0, -1.0])
def test_same_value_in_every_replicate_gives_no_interval_of_zero_width(lower):
    metric = build(1 / 3, [1 / 3] * 50, bounds=Bounds(lower=lower))
    assert metric.ci_low is None
    assert metric.note == "no interval: the same value in every replicate"


def test_zero_is_no_bound_of_a_metric_that_can_be_negative():
    assert build(0.0, [0.0] * 50, bounds=Bounds(lower=-1.0)).ci_low is None


def test_fewer_than_two_patients_give_no_interval():
    metric = build(0.5, [0.4, 0.6], support=Support(n_samples=3, n_patients=1, n_limiting=1))
    assert metric.ci_low is None
    assert "fewer than two patients" in metric.note


def test_json_form_is_strict():
    plain = build(math.nan, [np.nan]).to_json_dict()
    assert plain["estimate"] is None
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain) == {
        "estimate", "ci_low", "ci_high", "ci_method", "n_samples", "n_patients", "n_dropped", "note",
    }  # fmt: skip


def test_support_of_class_metrics_is_their_denominator(resample):
    drawn = resample("AAABBBCC", "AABBBCCA", patients=list("pqrpqrst"))
    metrics = class_metrics(drawn, 0)
    supports = {name: (metric.n_samples, metric.n_patients) for name, metric in metrics.items()}
    assert supports == {
        "sensitivity": (3, 3),  # s0 s1 s2: p q r
        "specificity": (5, 5),  # s3 ... s7: p q r s t
        "ppv": (3, 3),  # s0 s1 s7: p q t
        "npv": (5, 4),  # s2 ... s6: r p q r s
        "f1": (4, 4),  # s0 s1 s2 s7: p q r t
        "auroc": (8, 5),
    }


def test_perfect_predictions_get_intervals_from_the_rarest_class(resample):
    drawn = resample("A" * 20 + "B" * 15 + "C" * 5, "A" * 20 + "B" * 15 + "C" * 5)
    metrics = overall_metrics(drawn)
    assert {metric.estimate for metric in metrics.values()} == {1.0}
    assert metrics["accuracy"].ci_low == pytest.approx(0.025 ** (1 / 40))
    for name in ("balanced_accuracy", "macro_f1"):
        assert metrics[name].ci_low == pytest.approx(0.025 ** (1 / 5))
    assert metrics["macro_auroc"].ci_low is None
    assert metrics["macro_auroc"].note == "no interval: perfect separation, with 5 patients in the smallest group"
    chance = (20**2 + 15**2 + 5**2) / 40**2
    for name in ("cohen_kappa", "mcc"):
        assert metrics[name].ci_low == pytest.approx((0.025 ** (1 / 40) - chance) / (1 - chance))


def test_class_known_from_one_patient_has_estimate_but_no_interval(resample):
    drawn = resample("AABBC", "ABBAC", patients=list("pqrst"))
    metrics = class_metrics(drawn, 2)
    assert metrics["sensitivity"].estimate == 1.0
    for name in ("sensitivity", "auroc"):
        assert metrics[name].ci_low is None
        assert "fewer than two patients" in metrics[name].note
    assert metrics["specificity"].ci_low is not None


def test_all_predictions_equal(resample):
    metrics = overall_metrics(resample("AABBCC", "AAAAAA"))
    assert metrics["accuracy"].estimate == pytest.approx(1 / 3)
    assert metrics["cohen_kappa"].estimate == 0.0
    assert math.isnan(metrics["mcc"].estimate)
    assert metrics["macro_auroc"].estimate == 0.5


def test_class_absent_from_reference(resample):
    drawn = resample("AABB", "AABC")
    overall, absent = overall_metrics(drawn), class_metrics(drawn, 2)
    assert overall["accuracy"].estimate == 0.75
    assert math.isnan(overall["balanced_accuracy"].estimate)
    assert overall["balanced_accuracy"].note == "undefined: a class has no sample"
    assert math.isnan(absent["sensitivity"].estimate)
    assert absent["ppv"].estimate == 0.0
    assert all(math.isnan(cell.estimate) for cell in row_fractions(drawn)[2])


def test_class_absent_from_predictions(resample):
    absent = class_metrics(resample("AABBCC", "AABBAB"), 2)
    assert absent["sensitivity"].estimate == 0.0
    assert absent["sensitivity"].ci_high == pytest.approx(1 - 0.025 ** (1 / 2))
    assert math.isnan(absent["ppv"].estimate)
    assert absent["ppv"].note == "undefined: no sample is predicted as this class"


def test_row_fractions_add_up_to_one(resample):
    fractions = row_fractions(resample("AAABBBCC", "AABBBCCA"))
    np.testing.assert_allclose([[cell.estimate for cell in row] for row in fractions],
                               [[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [1 / 2, 0, 1 / 2]])  # fmt: skip


def test_same_image_under_two_models_counts_once(make_answers):
    frames = [make_answers("AABB", answers, classes="AB", fold=fold) for fold, answers in enumerate(("AABA", "AABB"))]
    table = fold_predictions(pd.concat(frames), classes="AB")
    sample = ClusteredSample.from_frame(table, classes="AB")
    drawn = Resampling.draw(sample, n_replicates=50, confidence=0.95, rng=np.random.default_rng(0))
    metric = overall_metrics(drawn)["accuracy"]
    assert metric.estimate == pytest.approx(7 / 8)
    assert (metric.n_samples, metric.n_patients) == (4, 4)
