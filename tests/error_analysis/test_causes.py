import pandas as pd
import pytest

from helpers.error_analysis.causes import CAUSES, cause_table, find_causes, with_causes
from helpers.error_analysis.ranking import ranked_errors
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=200)


@pytest.fixture
def ranked() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["s0", "s1", "s2", "s3"],
            "PatientID": ["p0", "p1", "p2", "p3"],
            "confidence": [0.9, 0.8, 0.55, 0.5],
            "is_error": [True, True, False, True],
            "SliceThickness": [1.0, 3.0, 5.0, None],
        }
    )


@pytest.fixture
def facts() -> pd.DataFrame:
    ratios = {"anterior_ratio": [0.82, 0.5, 1, 1], "middle_ratio": [0.9, 0.6, 1, 1], "posterior_ratio": 1.0}
    known = {"sample_id": ["s3", "s2", "s1", "s0"], "offset_mm": [0, 0, -5.0, 0], "neighbours_fractured": [1, 0, 0, 0]}
    return pd.DataFrame(known).merge(pd.DataFrame({"sample_id": ["s0", "s1", "s2", "s3"], **ratios}), on="sample_id")


def test_rules_hold_where_they_should(ranked, facts):
    causes = find_causes(ranked, facts=facts)
    expected = {
        "unsure network": [False, False, True, True],
        "height near the border": [True, False, False, False],
        "fractured neighbour": [False, False, False, True],
        "plane beside the middle": [False, True, False, False],
        "thick slice": [False, True, True, False],
    }
    assert causes.to_dict("list") == expected


def test_a_mimic_is_whatever_is_named(ranked, facts):
    named = facts.assign(mimics=["", "Schmorl node", None, "osteophyte, gas in a disc"])
    causes = find_causes(ranked, facts=named)
    assert causes["degenerative mimic"].tolist() == [True, False, True, False]


def test_causes_without_their_columns_are_not_looked_for(ranked):
    causes = find_causes(ranked[["sample_id", "PatientID", "is_error", "confidence"]], facts=ranked[["sample_id"]])
    assert list(causes) == ["unsure network"]
    empty = ranked.assign(SliceThickness=None)
    assert "thick slice" not in find_causes(empty, facts=ranked[["sample_id"]])
    assert set(causes) <= set(CAUSES)


def test_table_sets_errors_beside_right_predictions(ranked, facts):
    table = cause_table(ranked, causes=find_causes(ranked, facts=facts), params=PARAMS).set_index("cause")
    assert table.loc["thick slice", "errors"] == 1
    assert table.loc["thick slice", "share of errors"].startswith("0.33")
    assert table.loc["thick slice", "share of right predictions"] == "1.00"
    assert table.loc["none of these", "errors"] == 0


def test_no_errors_give_a_dash(ranked, facts):
    right = ranked.assign(is_error=False)
    table = cause_table(right, causes=find_causes(right, facts=facts), params=PARAMS)
    assert (table["share of errors"] == "–").all()
    named = with_causes(ranked_errors(right), ranked=right, causes=find_causes(right, facts=facts))
    assert named.empty
    assert {"causes", "note"} <= set(named)


def test_errors_get_their_causes_in_words_and_room_for_a_note(ranked, facts):
    named = with_causes(ranked_errors(ranked), ranked=ranked, causes=find_causes(ranked, facts=facts))
    assert named.set_index("sample_id")["causes"].to_dict() == {
        "s0": "height near the border",
        "s1": "plane beside the middle; thick slice",
        "s3": "unsure network; fractured neighbour",
    }
    assert (named["note"] == "").all()
