import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.decision import THRESHOLDS, benefits_side_by_side, decision_curve, decision_questions
from helpers.evaluation.predictions import out_of_fold
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


@pytest.fixture(scope="module")
def samples(make_study):
    return out_of_fold(make_study(seed=0), classes="ABC")


def test_net_benefit_by_hand():
    """At 0.2 one acts on 4 of 5: 2 ill, 2 well, so 2/5 - 2/5 * 0.25; at 0.5 on 2: 1/5 - 1/5 * 1."""
    table = pd.DataFrame({"p_A": [0.9, 0.3, 0.6, 0.25, 0.1], "y_true": list("AABBB"), "y_pred": list("ABABB")})
    table = table.assign(sample_id=list("abcde"), PatientID=list("ppqrs"), p_B=1 - table["p_A"])
    found = decision_curve(table, positive=["A"], params=PARAMS, thresholds=[0.2, 0.5])
    assert found["net_benefit"].tolist() == pytest.approx([2 / 5 - 2 / 5 / 4, 1 / 5 - 1 / 5])
    assert found["treat_all"].tolist() == pytest.approx([2 / 5 - 3 / 5 / 4, 2 / 5 - 3 / 5])
    assert found["gain"].tolist() == pytest.approx([2 / 5 - 2 / 5 / 4 - (2 / 5 - 3 / 5 / 4), 0])


def test_acting_on_every_image_is_treating_all(samples):
    found = decision_curve(samples, positive=["A", "B", "C"], params=PARAMS)
    np.testing.assert_allclose(found["net_benefit"], found["treat_all"])
    np.testing.assert_allclose(found["net_benefit"], 1)


def test_perfect_probabilities_find_every_ill_patient_at_every_threshold(samples):
    perfect = samples.assign(**{f"p_{key}": (samples["y_true"] == key).astype(float) for key in "ABC"})
    found = decision_curve(perfect, positive=["B"], params=PARAMS)
    np.testing.assert_allclose(found["net_benefit"], (samples["y_true"] == "B").mean())
    assert (found["gain"] >= 0).all()


def test_classes_are_added_up(samples):
    merged = samples.assign(p_A=samples["p_A"] + samples["p_B"], p_B=0.0, y_true=samples["y_true"].replace("B", "A"))
    together = decision_curve(samples, positive=["A", "B"], params=PARAMS)
    pd.testing.assert_frame_equal(together, decision_curve(merged, positive=["A"], params=PARAMS))


def test_bands_hold_the_curve(samples):
    found = decision_curve(samples, positive=["B"], params=PARAMS)
    assert found["threshold"].tolist() == list(THRESHOLDS)
    assert found["net_benefit"].between(found["ci_low"], found["ci_high"]).all()
    assert (found["gain_low"] <= found["gain_high"]).all()
    assert (found["treat_none"] == 0).all()


def test_each_kind_of_fracture_and_any_of_them_is_asked():
    words = {"A": "A compression", "B": "B burst", "C": "C normal"}
    asked = decision_questions(words, normal_class="C")
    assert asked == {"A compression": ["A"], "B burst": ["B"], "any fracture": ["A", "B"]}
    assert decision_questions({"A": "A", "C": "C"}, normal_class="C") == {"A": ["A"]}
    assert list(decision_questions(words, normal_class=None)) == list(words.values())


def test_curves_stand_side_by_side(samples):
    curve = decision_curve(samples, positive=["B"], params=PARAMS)
    found = benefits_side_by_side({"burst": curve, "other": curve.assign(net_benefit=0.5)})
    assert list(found) == ["threshold", "burst", "burst: act on everybody", "other", "other: act on everybody"]
    assert found["burst"].tolist() == curve["net_benefit"].tolist()
    assert (found["other"] == 0.5).all()
