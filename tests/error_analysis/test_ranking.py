import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from helpers.error_analysis import (
    calibrated_out_of_fold,
    count_kinds,
    pick_correct,
    pick_explained,
    rank_predictions,
    ranked_errors,
)
from helpers.error_analysis.ranking import EXPLAINED

NAMES = {"A": "compression", "B": "burst", "C": "normal"}


@pytest.fixture
def predictions() -> pd.DataFrame:
    rows = [
        ("s1", "p1", "A", "A", 0.7, 0.2, 0.1),
        ("s2", "p1", "A", "B", 0.1, 0.9, 0.0),
        ("s3", "p2", "B", "A", 0.6, 0.3, 0.1),
        ("s4", "p3", "C", "C", 0.0, 0.05, 0.95),
        ("s5", "p4", "A", "B", 0.4, 0.5, 0.1),
        ("s6", "p5", "B", "B", 0.0, 1.0, 0.0),
    ]
    return pd.DataFrame(rows, columns=["sample_id", "PatientID", "y_true", "y_pred", "p_A", "p_B", "p_C"])


@pytest.fixture
def ranked(predictions) -> pd.DataFrame:
    cohort = pd.DataFrame(
        {"sample_id": predictions["sample_id"], "level": ["L1", None, "L2", "L3", "L4", "L5"], "PatientAge": None}
    )
    return rank_predictions(predictions, cohort=cohort)


def test_calibration_changes_how_sure_but_not_what_is_answered():
    """Twice the logits that are true: the temperature that half the validation images ask for brings them back."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (600, 2))
    labels = (rng.random(600) < softmax(logits, axis=1)[:, 1]).astype(int)
    ids = {"sample_id": [f"s{i:03d}" for i in range(600)], "PatientID": [f"p{i:03d}" for i in range(600)]}
    table = pd.DataFrame({**ids, "fold": 0, "seed": 0, "y_true": np.take(["A", "B"], labels)})
    table = table.assign(split=["validation", "test"] * 300, logit_A=2 * logits[:, 0], logit_B=2 * logits[:, 1])
    found = calibrated_out_of_fold(table, classes=["A", "B"])
    assert found["y_pred"].tolist() == np.take(["A", "B"], logits[1::2].argmax(axis=1)).tolist()
    np.testing.assert_allclose(found[["p_A", "p_B"]], softmax(logits[1::2], axis=1), atol=0.08)


def test_most_confident_error_comes_first(ranked):
    errors = ranked_errors(ranked)
    assert errors["sample_id"].tolist() == ["s2", "s3", "s5"]
    assert errors["rank"].tolist() == [1, 2, 3]
    assert errors["kind"].tolist() == ["A → B", "B → A", "A → B"]
    assert errors["confidence"].tolist() == [0.9, 0.6, 0.5]
    assert errors["p_true"].tolist() == [0.1, 0.3, 0.4]


def test_known_columns_come_along_and_empty_ones_do_not(ranked):
    assert ranked.set_index("sample_id").loc["s1", "level"] == "L1"
    assert "PatientAge" not in ranked


def test_kinds_count_images_patients_and_share(ranked):
    kinds = count_kinds(ranked, class_names=NAMES)
    first = kinds.iloc[0]
    assert (first["reference"], first["predicted"]) == ("A compression", "B burst")
    assert (first["images"], first["patients"]) == (2, 2)
    assert first["share of the class"] == pytest.approx(2 / 3)
    assert len(kinds) == 2


def test_correct_ones_take_the_classes_in_turn(ranked):
    assert pick_correct(ranked, n=2)["sample_id"].tolist() == ["s1", "s6"]
    assert pick_correct(ranked, n=10)["sample_id"].tolist() == ["s1", "s6", "s4"]


def test_no_errors_gives_empty_tables(predictions):
    perfect = predictions.assign(y_pred=predictions["y_true"])
    ranked = rank_predictions(perfect, cohort=pd.DataFrame({"sample_id": predictions["sample_id"], "level": None}))
    assert ranked_errors(ranked).empty
    assert count_kinds(ranked, class_names=NAMES).empty


def test_all_are_explained_unless_they_are_too_many():
    ranked = pd.DataFrame({"sample_id": [f"s{number}" for number in range(EXPLAINED + 500)], "y_pred": "A"})
    few = ranked.head(40)
    pd.testing.assert_frame_equal(pick_explained(few, shown=few.head(2)), few)
    shown = ranked.iloc[[3, 2400]]
    drawn = pick_explained(ranked, shown=shown)
    assert len(drawn) == EXPLAINED
    assert drawn["sample_id"].is_unique
    assert set(shown["sample_id"]) <= set(drawn["sample_id"])
    assert drawn["sample_id"].tail(100).tolist() != ranked["sample_id"][1900:2000].tolist()
    pd.testing.assert_frame_equal(drawn, pick_explained(ranked, shown=shown))
