import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, roc_auc_score

from helpers.evaluation import external_table, readable
from helpers.evaluation.external import count_by_grade, evaluate_external, external_samples, wrong_by_patient
from helpers.evaluation.questions import YOUDEN
from helpers.evaluation.summary import evaluate as evaluate_own
from helpers.study import EvaluationParams, schemas

NAMES = {"A": "compression", "B": "burst", "C": "normal"}
LOGITS = ["logit_A", "logit_B", "logit_C"]
PARAMS = EvaluationParams(n_bootstrap=200)


def scored(labels, *, cohort="far", folds=3):
    """Logits of several networks that lean towards the label without being sure of it."""
    rng = np.random.default_rng(5)
    rows = []
    for fold in range(folds):
        logits = rng.normal(size=(len(labels), 3)) + 1.5 * np.array([[key == name for name in NAMES] for key in labels])
        frame = pd.DataFrame(logits.astype(np.float32), columns=LOGITS)
        ids = [f"s{number:03d}" for number in range(len(labels))]
        patients = [f"p{number // 2}" for number in range(len(labels))]
        frame = frame.assign(cohort=cohort, sample_id=ids, PatientID=patients, fold=fold, seed=0, y_true=labels)
        rows.append(frame)
    return pd.concat(rows, ignore_index=True)


def ensemble(predictions):
    """Mean probability of each sample over the networks, worked out by hand."""
    probabilities = softmax(predictions[LOGITS].to_numpy(float), axis=1)
    frame = pd.DataFrame(probabilities, columns=list(NAMES)).assign(sample_id=predictions["sample_id"].to_numpy())
    return frame.groupby("sample_id").mean()


def development(labels="ABC" * 12):
    """The study's own predictions, all of them validation."""
    return scored(list(labels), folds=1).drop(columns="cohort").assign(split="validation")


def samples_of(predictions, **columns):
    """The table of external samples that belongs to some predictions."""
    table = predictions.drop_duplicates(["cohort", "sample_id"]).rename(columns={"y_true": "label"})
    return table[["cohort", "sample_id", "label"]].assign(level="L1", **columns)


INTERNAL = evaluate_own(
    scored(list("ABC" * 20), folds=1).drop(columns="cohort").assign(split="test"),
    class_names=NAMES,
    normal_class="C",
    **PARAMS.model_dump(),
)


def evaluate(predictions, *, own=None, samples=None):
    return evaluate_external(
        predictions,
        internal=INTERNAL,
        development=development() if own is None else own,
        samples=samples_of(predictions) if samples is None else samples,
        params=PARAMS,
    )


def test_all_networks_together_judge_every_class():
    labels = list("ABC" * 20)
    predictions = scored(labels)
    mean = ensemble(predictions)
    found = evaluate(predictions)["far"]
    assert found.by_class.overall["accuracy"].estimate == pytest.approx(accuracy_score(labels, mean.idxmax(axis=1)))
    is_fracture = np.array(labels) != "C"
    auroc = roc_auc_score(is_fracture, 1 - mean["C"])
    assert found.fracture_vs_normal["auroc"].estimate == pytest.approx(auroc)
    assert dict(found.fracture_vs_normal) == dict(found.by_class.fracture_vs_normal)


def test_fractures_of_unknown_kind_answer_the_one_question_only():
    labels = ["fracture", "C"] * 25
    predictions = scored(labels)
    found = evaluate(predictions)["far"]
    assert found.by_class is None
    is_fracture = np.array(labels) == "fracture"
    mean = ensemble(predictions)
    wins = mean.idxmax(axis=1) != "C"
    metrics = found.fracture_vs_normal
    assert metrics["auroc"].estimate == pytest.approx(roc_auc_score(is_fracture, 1 - mean["C"]))
    assert metrics["sensitivity"].estimate == pytest.approx(wins[is_fracture].mean())
    assert metrics["specificity"].estimate == pytest.approx((~wins)[~is_fracture].mean())
    document = json.loads(json.dumps(found.to_json_dict(), allow_nan=False))
    assert document["samples_by_label"] == {"C": 25, "fracture": 25}
    assert (document["n_samples"], document["n_patients"]) == (50, 25)


def test_a_class_that_is_absent_leaves_its_numbers_open():
    found = evaluate(scored(["A", "C"] * 20))["far"]
    document = found.to_json_dict()["by_class"]
    assert document["overall"]["accuracy"]["estimate"] is not None
    assert document["per_class"]["B"]["sensitivity"]["estimate"] is None


def test_one_class_alone_measures_nothing():
    document = evaluate(scored(["A"] * 8))["far"].to_json_dict()
    assert document["by_class"] is None
    assert document["fracture_vs_normal"] is None
    assert document["n_samples"] == 8


def test_a_fracture_must_win_by_itself_as_in_the_own_cohort():
    predictions = scored(["fracture", "C"] * 2, folds=1)
    predictions[LOGITS] = np.log(np.array([0.3, 0.3, 0.4], dtype=np.float32))
    metrics = evaluate(predictions)["far"].fracture_vs_normal
    assert (metrics["sensitivity"].estimate, metrics["specificity"].estimate) == (0.0, 1.0)


def test_the_table_keeps_cohorts_and_questions_apart():
    predictions = pd.concat([scored(list("ABC" * 10)), scored(["fracture", "C"] * 10, cohort="near")])
    table = external_table(evaluate(predictions))
    pairs = table[["cohort", "question"]].drop_duplicates().to_numpy().tolist()
    assert pairs[:3] == [["far", "fracture or normal"], ["far", "all classes"], ["far", "any fracture, by score"]]
    assert [question for name, question in pairs if name == "near"][0] == "fracture or normal"
    assert ["near", "all classes"] not in pairs
    assert "interval" in readable(table).columns
    assert external_table({}).empty
    assert readable(external_table({})).empty


def test_the_score_has_its_own_part_of_the_document():
    predictions = scored(["A", "B", "C", "C"] * 10)
    grades = [3.0, 1.0, 0.0, 0.0] * 10
    found = evaluate(predictions, samples=samples_of(predictions, grade=grades))["far"]
    document = json.loads(json.dumps(found.to_json_dict(), allow_nan=False))["fracture_score"]
    assert document["moderate_or_severe_counts"] == {"fractures": 10, "normal": 20, "left_out": 10}
    point = document["operating_points"][YOUDEN]
    assert point["threshold"]["on_validation"]["sensitivity"]["n_samples"] == 24
    for metric in (
        document["auroc"]["mean_of_seeds"], point["metrics"]["sensitivity"], document["calibration"]["brier"],
    ):  # fmt: skip
        assert metric["ci_low"] < metric["estimate"] < metric["ci_high"]


def test_without_grades_or_validation_the_parts_that_need_them_are_empty():
    predictions = scored(["A", "C"] * 10)
    score = evaluate(predictions, own=development("AAA"))["far"].score
    assert (score.moderate_or_severe, score.operating_points, score.thresholds) == ({}, {}, {})
    assert evaluate(scored(["A"] * 6))["far"].score is None


def test_samples_are_listed_by_patient_and_level():
    predictions = scored(["A", "C", "A", "C"])
    samples = samples_of(predictions).assign(level=["L1", "T12", "L2", "T9"])
    found = evaluate(predictions, samples=samples)
    listed = external_samples(found)
    assert listed["sample_id"].tolist() == ["s001", "s000", "s003", "s002"]
    expected = 1 - ensemble(predictions)["C"].loc[listed["sample_id"]]
    np.testing.assert_allclose(listed["score"], expected)
    assert listed["called"].tolist() == (listed["score"] >= found["far"].score.thresholds[YOUDEN].value).tolist()
    assert listed["is_right"].tolist() == (listed["called"] == (listed["label"] == "A")).tolist()
    schemas.EXTERNAL_SCORES.validate(listed)


def test_one_half_decides_where_validation_cannot_tell():
    listed = external_samples(evaluate(scored(["A", "C"] * 10), own=development("AAA")))
    assert listed["called"].tolist() == (listed["score"] >= 0.5).tolist()


def test_samples_of_all_cohorts_are_listed_also_those_of_a_single_class():
    predictions = pd.concat([scored(["A", "C"] * 5), scored(["C"] * 4, cohort="near")])
    listed = external_samples(evaluate(predictions))
    assert listed["cohort"].value_counts().to_dict() == {"far": 10, "near": 4}


def test_samples_are_counted_by_label_and_grade():
    predictions = scored(["A", "A", "A", "C"])
    samples = samples_of(predictions, grade=["1", "1", "2", None])
    listed = external_samples(evaluate(predictions, samples=samples))
    counted = count_by_grade(listed.assign(called=[True, False, True, True]))
    columns = ["cohort", "label", "grade", "samples", "patients", "called fracture"]
    assert counted[columns].fillna("").to_numpy().tolist() == [
        ["far", "A", "1", 2, 1, 1], ["far", "A", "2", 1, 1, 1], ["far", "C", "", 1, 1, 1],
    ]  # fmt: skip
    grade_one = listed.loc[listed["grade"] == 1, "score"]
    assert counted["median score"][0] == pytest.approx(grade_one.median())


def test_patients_are_listed_by_how_often_they_are_wrong():
    listed = external_samples(evaluate(scored(["A", "C", "A", "C", "C", "C"])))
    listed["is_right"] = [True, False, True, True, False, False]
    found = wrong_by_patient(listed)
    assert found[["PatientID", "samples", "fractures", "wrong"]].to_numpy().tolist() == [
        ["p2", 2, 0, 2],
        ["p0", 2, 1, 1],
    ]
    assert found["called fracture"].tolist() == [listed["called"][4:].sum(), listed["called"][:2].sum()]


def test_without_an_external_cohort_there_is_no_sample():
    assert external_samples({}).empty
    assert count_by_grade(external_samples({})).empty
    assert wrong_by_patient(external_samples({})).empty


def test_drop_is_the_own_value_minus_the_external_one():
    found = evaluate(scored(list("ABC" * 10)))["far"]
    drop, own, other = found.drop["accuracy"], INTERNAL.overall["accuracy"], found.by_class.overall["accuracy"]
    assert drop.estimate == pytest.approx(own.estimate - other.estimate)
    below = np.hypot(own.estimate - own.ci_low, other.ci_high - other.estimate)
    assert drop.ci_low == pytest.approx(drop.estimate - below)
    assert drop.n_patients == 15
    assert set(found.drop) == {
        "accuracy", "balanced_accuracy", "macro_auroc",
        "fracture_sensitivity", "fracture_specificity", "fracture_auroc",
    }  # fmt: skip


def test_fractures_of_unknown_kind_are_compared_as_fractures_alone():
    found = evaluate(scored(["fracture", "C"] * 10))["far"]
    assert all(name.startswith("fracture_") for name in found.drop)
    assert (found.calibration, found.abstention) == ({}, {})


def test_calibration_and_abstention_are_told_where_all_classes_are_known():
    document = evaluate(scored(list("ABC" * 10)))["far"].to_json_dict()
    assert document["calibration"]["answer given"]
    assert document["abstention"]["aurc"]["estimate"] >= document["abstention"]["aurc_optimum"]["estimate"]


def with_probabilities(labels, probabilities, *, patients, fold, **columns):
    """Predictions of one network that gives exactly these probabilities."""
    logits = pd.DataFrame(np.log(probabilities), columns=LOGITS, dtype=np.float32)
    ids = [f"x{place}" for place in range(len(labels))]
    return logits.assign(sample_id=ids, PatientID=list(patients), fold=fold, seed=0, y_true=labels, **columns)


@pytest.fixture(scope="module")
def known_by_hand():
    """Nine patients of validation make each fold ask for 0.6 and 0.3; three external images of two patients."""
    own = [
        with_probabilities(["A"] * 9, [[share, 1 - share - 0.01, 0.01]] * 9, patients="abcdefghi", fold=fold)
        for fold, share in ((0, 0.6), (1, 0.3))
    ]
    shares = [[0.35, 0.25, 0.4], [0.2, 0.1, 0.7], [0.5, 0.25, 0.25]]
    cohort = [
        with_probabilities(["fracture", "C", "C"], shares, patients="ppq", fold=fold, cohort="far") for fold in (0, 1)
    ]
    return evaluate(pd.concat(cohort), own=pd.concat(own).assign(split="validation"))["far"]


def test_sets_by_hand_with_the_thresholds_of_the_own_validation_patients(known_by_hand):
    """Sets of fold 0: {}, {C}, {}; of fold 1: {A, C}, {C}, {A}; any kind of fracture meets an unknown kind."""
    found = known_by_hand.sets.overall
    assert found["by_patient"].estimate == pytest.approx((3 / 4 + 0) / 2)
    assert found["by_image"].estimate == pytest.approx(3 / 6)
    assert found["size"].estimate == pytest.approx(5 / 6)
    assert found["single"].estimate == pytest.approx(3 / 6)
    assert found["single_right"].estimate == pytest.approx(2 / 3)
    assert found["empty"].estimate == pytest.approx(2 / 6)
    by_label = {name: metric.estimate for name, metric in known_by_hand.sets.by_label.items()}
    assert by_label == {"C normal": 0.5, "fracture of any kind": 0.5}


def test_burst_is_called_by_the_thresholds_of_each_fold_for_its_own_networks():
    """Youden's thresholds are 0.5 in fold 0 and 0.25 in fold 1; each asks the three external images."""

    def with_burst(shares):
        return [[(1 - share) / 2, share, (1 - share) / 2] for share in shares]

    own = [
        with_probabilities(list("BBAC"), with_burst(shares), patients="abcd", fold=fold)
        for fold, shares in enumerate([(0.8, 0.6, 0.4, 0.2), (0.5, 0.3, 0.2, 0.1)])
    ]
    cohort = [
        with_probabilities(list("BAC"), with_burst(shares), patients="pqr", fold=fold, cohort="far")
        for fold, shares in enumerate([(0.55, 0.45, 0.1), (0.2, 0.3, 0.1)])
    ]
    found = evaluate(pd.concat(cohort), own=pd.concat(own).assign(split="validation"))["far"]
    point = found.to_json_dict()["by_class"]["clinical_questions"]["burst_vs_rest"]["points"][YOUDEN]
    assert point["thresholds"] == pytest.approx({"0": 0.5, "1": 0.25})
    assert point["metrics"]["sensitivity"]["estimate"] == pytest.approx(1 / 2)
    assert point["metrics"]["specificity"]["estimate"] == pytest.approx(3 / 4)
    assert (found.n_patients, found.by_class.overall["accuracy"].n_samples) == (3, 3)


def test_net_benefit_by_hand_where_the_kind_of_fractures_is_unknown(known_by_hand):
    """Scores 0.6 of the fracture, 0.3 and 0.75 of the others: all are called at 0.2, two at 0.5, the last at 0.65."""
    assert list(known_by_hand.decisions) == ["any fracture"]
    curve = known_by_hand.decisions["any fracture"].set_index("threshold")
    assert curve.loc[0.2, "net_benefit"] == pytest.approx(1 / 3 - 2 / 3 / 4)
    assert curve.loc[0.5, "net_benefit"] == pytest.approx(1 / 3 - 1 / 3)
    assert curve.loc[0.65, "net_benefit"] == pytest.approx(-1 / 3 * 0.65 / 0.35)
    assert curve.loc[0.5, "treat_all"] == pytest.approx(1 / 3 - 2 / 3)


def test_a_question_is_asked_where_the_cohort_answers_it_both_ways():
    asked = {name: list(found.decisions) for name, found in evaluate(pd.concat([
        scored(list("ABC" * 4)), scored(["A", "C"] * 4, cohort="no burst"), scored(["A", "B"] * 4, cohort="ill"),
        scored(["C"] * 4, cohort="well"),
    ])).items()}  # fmt: skip
    assert asked == {
        "far": ["A compression", "B burst", "any fracture"], "no burst": ["A compression", "any fracture"],
        "ill": ["A compression", "B burst"], "well": [],
    }  # fmt: skip


def test_sets_are_counted_also_for_a_cohort_of_one_class_alone():
    found = evaluate(scored(["C"] * 6))["far"].sets
    assert list(found.by_label) == ["C normal"]
    assert found.by_label["C normal"].estimate == found.overall["by_image"].estimate


def test_without_a_normal_class_a_fracture_of_unknown_kind_says_nothing():
    own = evaluate_own(
        scored(list("ABC" * 4), folds=1).drop(columns="cohort").assign(split="test"),
        class_names=NAMES,
        normal_class=None,
        **PARAMS.model_dump(),
    )
    predictions = scored(["fracture", "A"] * 4)
    found = evaluate_external(
        predictions, internal=own, development=development(), samples=samples_of(predictions), params=PARAMS
    )["far"]
    assert (found.sets, found.decisions, found.samples) == (None, {}, None)
    assert found.to_json_dict()["prediction_sets"] is None
