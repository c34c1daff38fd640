import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, roc_auc_score

from helpers.evaluation import evaluate_external, external_table, readable
from helpers.evaluation.external import fracture_or_normal
from helpers.study import EvaluationParams

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


def evaluate(predictions):
    return evaluate_external(predictions, class_names=NAMES, normal_class="C", params=PARAMS)


def test_all_networks_together_judge_every_class():
    labels = list("ABC" * 20)
    predictions = scored(labels)
    mean = ensemble(predictions)
    found = evaluate(predictions)["far"]
    assert found.by_class.overall["accuracy"].estimate == pytest.approx(accuracy_score(labels, mean.idxmax(axis=1)))
    is_fracture = np.array(labels) != "C"
    auroc = roc_auc_score(is_fracture, 1 - mean["C"])
    assert found.fracture.per_class["fracture"]["auroc"].estimate == pytest.approx(auroc)


def test_fractures_of_unknown_kind_answer_the_one_question_only():
    labels = ["fracture", "C"] * 25
    predictions = scored(labels)
    found = evaluate(predictions)["far"]
    assert found.by_class is None
    is_fracture = np.array(labels) == "fracture"
    p_normal = ensemble(predictions)["C"]
    metrics = found.fracture.per_class["fracture"]
    assert metrics["auroc"].estimate == pytest.approx(roc_auc_score(is_fracture, 1 - p_normal))
    assert metrics["sensitivity"].estimate == pytest.approx((p_normal[is_fracture] < 0.5).mean())
    assert metrics["specificity"].estimate == pytest.approx((p_normal[~is_fracture] >= 0.5).mean())
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


def test_merged_logits_keep_the_probabilities():
    predictions = scored(list("ABC"))
    merged = fracture_or_normal(predictions, classes=list(NAMES), normal_class="C")
    both = softmax(merged[["logit_fracture", "logit_C"]].to_numpy(float), axis=1)
    np.testing.assert_allclose(both[:, 1], softmax(predictions[LOGITS].to_numpy(float), axis=1)[:, 2])


def test_the_table_keeps_cohorts_and_questions_apart():
    predictions = pd.concat([scored(list("ABC" * 10)), scored(["fracture", "C"] * 10, cohort="near")])
    table = external_table(evaluate(predictions))
    pairs = table[["cohort", "question"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["far", "fracture or normal"], ["far", "all classes"], ["near", "fracture or normal"]]
    assert "interval" in readable(table).columns
    assert external_table({}).empty
    assert readable(external_table({})).empty
