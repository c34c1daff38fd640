from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.evaluation import external_tables as tables
from helpers.evaluation.conformal import SetCoverage
from helpers.evaluation.estimates import Metric
from helpers.evaluation.questions import BURST, HIGH_SENSITIVITY, POINT_WORDS, YOUDEN


def share(value: float) -> Metric:
    return Metric(value, value - 0.1, value + 0.1, "some", 8, 4)


def point(threshold: float) -> SimpleNamespace:
    return SimpleNamespace(metric=share(threshold), on_validation={"sensitivity": share(0.9)})


@pytest.fixture
def own():
    found = own_like(0.8)
    found.fracture_vs_normal = {"auroc": share(0.9)}
    return found


@pytest.fixture
def external():
    """One cohort that knows all classes, and one that knows fractures alone."""
    score = SimpleNamespace(
        thresholds={YOUDEN: point(0.4), HIGH_SENSITIVITY: point(0.3)},
        operating_points={YOUDEN: {"sensitivity": share(0.7)}, HIGH_SENSITIVITY: {"sensitivity": share(0.8)}},
        calibration={"brier": share(0.2)},
    )
    curve = pd.DataFrame({"threshold": [0.5], "net_benefit": [0.1]})
    known = {
        "by_class": own_like(0.5), "fracture_vs_normal": {"auroc": share(0.6)}, "drop": {"accuracy": share(0.3)},
        "score": score, "sets": SetCoverage({"by_patient": share(0.7)}, {"A": share(0.6)}), "decisions": {"any": curve},
        "calibration": {"answer given": {"slope": share(0.5), "intercept": share(0.1)}},
        "abstention": {"gain": share(0.4)},
    }  # fmt: skip
    unknown = known | {
        "by_class": None, "drop": {}, "score": None, "sets": None, "decisions": {}, "calibration": {}, "abstention": {},
    }  # fmt: skip
    return {"known": SimpleNamespace(**known), "unknown": SimpleNamespace(**unknown)}


def own_like(accuracy: float) -> SimpleNamespace:
    answer = SimpleNamespace(metrics={"sensitivity": share(accuracy), "specificity": share(0.9), "ppv": share(0.4)})
    questions = {BURST: SimpleNamespace(points={YOUDEN: answer})}
    return SimpleNamespace(overall={"accuracy": share(accuracy)}, questions=questions)


def numbers(table: pd.DataFrame) -> dict[str, list]:
    """First number of each cell, by column."""
    return {
        name: [None if pd.isna(cell) else float(cell.split(" ")[0]) for cell in table[name]]
        for name in table.columns.difference(["metric", "answer", "question"])
    }


def test_main_results_stand_beside_the_own_ones(own, external):
    found = tables.main_results(own, external)
    assert found["metric"].tolist() == ["Accuracy", "AUROC, any fracture"]
    assert numbers(found) == {
        "this study": [0.8, 0.9], "known": [0.5, 0.6], "lost in known": [0.3, None], "unknown": [None, 0.6],
        "lost in unknown": [None, None],
    }  # fmt: skip


def test_operating_points_begin_with_validation(external):
    found = tables.operating_points(external)
    assert found["answer"].tolist() == [POINT_WORDS[YOUDEN]] * 2 + [POINT_WORDS[HIGH_SENSITIVITY]] * 2
    assert numbers(found) == {
        "own validation images": [0.4, 0.9, 0.3, 0.9], "known": [None, 0.7, None, 0.8],
    }  # fmt: skip
    assert numbers(tables.score_calibration(external)) == {"known": [0.2]}


def test_doubts_are_those_that_say_most(external):
    findings = SimpleNamespace(
        calibration={"as trained": {"answer given": {"slope": share(0.9)}}},
        abstention={"gain": share(0.8)},
        prediction_sets=SetCoverage({"by_patient": share(0.9), "empty": share(0.2)}, {"A": share(0.8)}),
        external=external,
    )
    found = tables.doubt_results(findings)
    assert found["question"].tolist() == ["calibration", "abstention", "prediction sets", "prediction sets"]
    assert found["metric"].tolist()[-1] == "Label in the set: A"
    assert numbers(found) == {
        "this study": [0.9, 0.8, 0.9, 0.8], "known": [0.5, 0.4, 0.7, 0.6], "unknown": [None] * 4,
    }  # fmt: skip
    findings.external = {}
    assert tables.doubt_results(findings).empty


def test_written_tables_hold_cohorts_that_have_something(external):
    found = tables.external_tables(external)
    assert found["external_prediction_sets"]["cohort"].tolist() == ["known", "known"]
    assert found["external_prediction_sets"]["title"].tolist()[1] == "Label in the set: A"
    assert found["external_decision_curves"][["cohort", "question"]].to_numpy().tolist() == [["known", "any"]]


def test_without_external_cohorts_every_table_is_empty(own):
    assert tables.external_tables({}) == {}
    for found in (tables.main_results(own, {}), tables.operating_points({}), tables.score_calibration({})):
        assert found.empty


def test_burst_answers_are_those_of_cohorts_that_tell_fractures_apart(own, external):
    found = tables.burst_answers(own, external)
    assert found["answer"].tolist() == [POINT_WORDS[YOUDEN]] * 2
    assert found["metric"].tolist() == ["Sensitivity", "Specificity"]
    assert numbers(found) == {"this study": [0.8, 0.9], "known": [0.5, 0.9]}
    assert tables.burst_answers(own, {"unknown": external["unknown"]}).empty
