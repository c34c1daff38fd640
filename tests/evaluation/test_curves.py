import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc

from helpers.evaluation.curves import reliability_bins, roc_points
from helpers.evaluation.intervals import wilson_interval


def test_area_under_the_points_is_the_reported_auroc(evaluation):
    points = roc_points(evaluation.samples, classes="ABC")
    for key, curve in points.groupby("class"):
        area = auc(curve["false_positive_rate"], curve["true_positive_rate"])
        assert area == pytest.approx(evaluation.per_class[key]["auroc"].estimate)
        ends = curve[["false_positive_rate", "true_positive_rate"]].iloc[[0, -1]].to_numpy().tolist()
        assert ends == [[0, 0], [1, 1]]


def test_class_without_positives_or_negatives_has_no_curve():
    samples = pd.DataFrame({"y_true": ["A", "B"], "p_A": [0.9, 0.2], "p_B": [0.1, 0.8], "p_C": [0.0, 0.0]})
    assert roc_points(samples, classes="ABC")["class"].unique().tolist() == ["A", "B"]
    alone = roc_points(samples.iloc[:1], classes="ABC")
    assert alone.empty
    assert "class" in alone


def test_bins_count_every_sample_once_and_grade_it():
    top = np.array([0.55, 0.58, 0.95, 1.0, 0.6])
    samples = pd.DataFrame({"y_true": list("AABAB"), "y_pred": list("AAAAA"), "p_A": top, "p_B": 1 - top})
    bins = reliability_bins(samples, classes="AB")
    assert bins["bin_low"].tolist() == pytest.approx([0.5, 0.6, 0.9])
    assert bins["n_samples"].tolist() == [2, 1, 2]
    assert bins["accuracy"].tolist() == [1.0, 0.0, 0.5]
    assert bins["mean_confidence"].tolist() == pytest.approx([0.565, 0.6, 0.975])
    interval = wilson_interval(1, 2)
    assert bins.loc[2, ["ci_low", "ci_high"]].tolist() == [interval.low, interval.high]


def test_bins_hold_all_samples_of_a_study(evaluation):
    bins = reliability_bins(evaluation.samples, classes="ABC", n_bins=5)
    assert bins["n_samples"].sum() == len(evaluation.samples)
    weighted = np.average(bins["accuracy"], weights=bins["n_samples"])
    assert weighted == pytest.approx(evaluation.overall["accuracy"].estimate)
