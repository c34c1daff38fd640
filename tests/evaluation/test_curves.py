import pandas as pd
import pytest
from sklearn.metrics import auc

from helpers.evaluation.curves import roc_points, sensitivities


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


def test_sensitivity_is_the_largest_that_a_rate_of_false_positives_allows():
    """B above 0.6: one of two; A at 0.5 is the first false positive of four."""
    samples = pd.DataFrame({"y_true": list("BBAAAA"), "p_B": [0.9, 0.4, 0.5, 0.3, 0.2, 0.1]})
    samples["p_A"] = 1 - samples["p_B"]
    found = sensitivities(roc_points(samples, classes="AB"), rates=[0.2, 0.25])
    assert found["false_positive_rate"].tolist() == [0.2, 0.25]
    assert found["B"].tolist() == [0.5, 1.0]
