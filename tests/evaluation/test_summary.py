import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from helpers.evaluation import EvaluationError, PredictionsError, all_metrics, evaluate, headline
from helpers.evaluation.summary import percent_with_interval


def run(predictions, *, class_names, normal_class="C", **options):
    return evaluate(predictions, class_names=class_names, normal_class=normal_class, n_bootstrap=100, **options)


def estimates(evaluation):
    return {path: metric.estimate for path, metric in all_metrics(evaluation)}


def test_estimates_equal_scikit_learn_on_the_held_out_table(evaluation):
    table = evaluation.samples
    truth, answer = table["y_true"], table["y_pred"]
    probabilities = table[["p_A", "p_B", "p_C"]].to_numpy()
    expected = {
        "overall.accuracy": sk.accuracy_score(truth, answer),
        "overall.balanced_accuracy": sk.balanced_accuracy_score(truth, answer),
        "overall.macro_f1": sk.f1_score(truth, answer, average="macro"),
        "overall.cohen_kappa": sk.cohen_kappa_score(truth, answer),
        "overall.mcc": sk.matthews_corrcoef(truth, answer),
        "overall.macro_auroc": sk.roc_auc_score(truth, probabilities, multi_class="ovr"),
        "per_class.B.sensitivity": sk.recall_score(truth == "B", answer == "B"),
        "per_class.B.ppv": sk.precision_score(truth == "B", answer == "B"),
        "per_class.A.auroc": sk.roc_auc_score(truth == "A", table["p_A"]),
        "fracture_vs_normal.sensitivity": sk.recall_score(truth != "C", answer != "C"),
        "fracture_vs_normal.specificity": sk.recall_score(truth == "C", answer == "C"),
        "fracture_vs_normal.auroc": sk.roc_auc_score(truth != "C", 1 - table["p_C"]),
        "baseline.accuracy": truth.value_counts(normalize=True).max(),
        "baseline.balanced_accuracy": 1 / 3,
    }
    found = estimates(evaluation)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_confusion_has_reference_in_rows(evaluation):
    table = evaluation.samples
    expected = sk.confusion_matrix(table["y_true"], table["y_pred"], labels=list("ABC"))
    np.testing.assert_array_equal(evaluation.confusion, expected)
    assert evaluation.confusion.dtype == np.int64
    assert (expected != expected.T).any(), "the test needs an asymmetric matrix"


def test_each_fold_is_graded_on_its_own_test_rows(evaluation, study_predictions):
    for fold, metrics in evaluation.per_fold.items():
        rows = study_predictions[(study_predictions["fold"] == fold) & (study_predictions["split"] == "test")]
        answers = np.array(list("ABC"))[rows[["logit_A", "logit_B", "logit_C"]].to_numpy().argmax(axis=1)]
        assert metrics["accuracy"].estimate == pytest.approx((answers == rows["y_true"]).mean())
        assert metrics["accuracy"].n_patients == rows["PatientID"].nunique()
    assert list(evaluation.per_fold) == [0, 1, 2]


def test_training_accuracy_is_that_of_single_models(evaluation, study_predictions):
    rows = study_predictions[study_predictions["split"] == "train"]
    answers = np.array(list("ABC"))[rows[["logit_A", "logit_B", "logit_C"]].to_numpy().argmax(axis=1)]
    metric = evaluation.training["accuracy"]
    assert metric.estimate == pytest.approx((answers == rows["y_true"]).mean())
    assert metric.n_samples == rows["sample_id"].nunique() < len(rows)
    assert metric.estimate > evaluation.overall["accuracy"].estimate


def test_without_training_rows_nothing_is_claimed(study_predictions, class_names):
    tested = study_predictions[study_predictions["split"] == "test"]
    result = run(tested, class_names=class_names)
    assert dict(result.training) == {}
    assert result.to_json_dict()["training"] == {}


def test_same_seed_same_document_other_seed_other_intervals_only(study_predictions, class_names):
    first, again, other = (
        run(study_predictions, class_names=class_names, seed=seed).to_json_dict() for seed in (1, 1, 2)
    )
    assert first == again
    assert first["overall"]["accuracy"]["estimate"] == other["overall"]["accuracy"]["estimate"]
    assert first["overall"]["accuracy"]["ci_low"] != other["overall"]["accuracy"]["ci_low"]


def test_row_order_changes_nothing_at_all(study_predictions, class_names):
    shuffled = study_predictions.sample(frac=1, random_state=0)
    expected = run(study_predictions, class_names=class_names).to_json_dict()
    assert run(shuffled, class_names=class_names).to_json_dict() == expected


def test_renaming_classes_only_renames_numbers(study_predictions, class_names):
    keys = {"A": "x", "B": "y", "C": "z"}
    columns = {f"logit_{old}": f"logit_{new}" for old, new in keys.items()}
    renamed = study_predictions.rename(columns=columns).assign(y_true=study_predictions["y_true"].map(keys))
    expected = run(study_predictions, class_names=class_names)
    found = run(renamed, class_names={"x": "compression", "y": "burst", "z": "normal"}, normal_class="z")
    assert list(estimates(found).values()) == list(estimates(expected).values())


def test_order_of_classes_permutes_numbers(study_predictions, class_names):
    expected = estimates(run(study_predictions, class_names=class_names))
    reversed_names = dict(reversed(class_names.items()))
    found = estimates(run(study_predictions, class_names=reversed_names))
    named = [path for path in expected if "confusion" not in path]
    assert {path: found[path] for path in named} == pytest.approx({path: expected[path] for path in named})
    for row in range(3):
        for column in range(3):
            mirrored = f"confusion.row_fractions.{2 - row}.{2 - column}"
            assert found[mirrored] == expected[f"confusion.row_fractions.{row}.{column}"]


def test_doubling_whole_patients_leaves_every_estimate(study_predictions, class_names):
    copy = study_predictions.assign(
        sample_id=study_predictions["sample_id"] + "-copy", PatientID=study_predictions["PatientID"] + "-copy"
    )
    expected = run(study_predictions, class_names=class_names)
    doubled = run(pd.concat([study_predictions, copy]), class_names=class_names)
    assert estimates(doubled) == pytest.approx(estimates(expected))
    assert doubled.overall["accuracy"].n_patients == 2 * expected.overall["accuracy"].n_patients


def test_every_interval_has_width_and_method(evaluation):
    for path, metric in all_metrics(evaluation):
        if path == "baseline.balanced_accuracy":
            assert metric.ci_low is None
            continue
        assert metric.ci_low < metric.ci_high, path
        assert metric.ci_method, path


def test_two_classes(make_study):
    frame = make_study(seed=4).drop(columns="logit_C").query("y_true != 'C'")
    result = run(frame, class_names={"A": "fracture", "B": "normal"}, normal_class="B")
    assert result.confusion.shape == (2, 2)
    assert dict(result.fracture_vs_normal) == dict(result.per_class["A"])


def test_no_normal_class_leaves_the_fracture_question_out(study_predictions, class_names):
    result = run(study_predictions, class_names=class_names, normal_class=None)
    assert dict(result.fracture_vs_normal) == {}


def test_one_patient_gives_estimates_without_intervals(make_answers, class_names):
    result = run(make_answers("AABBC", "ABBBC", patients=["p"] * 5), class_names=class_names)
    assert result.overall["accuracy"].estimate == 0.8
    for _, metric in all_metrics(result):
        assert metric.ci_low is None
        assert metric.note


def test_class_without_any_sample_still_gives_a_document(make_answers, class_names):
    document = run(make_answers("AABB", "ABBA"), class_names=class_names).to_json_dict()
    json.dumps(document, allow_nan=False)
    assert document["overall"]["balanced_accuracy"]["estimate"] is None
    assert document["overall"]["accuracy"]["estimate"] == 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_bootstrap": 0}, "evaluation.n_bootstrap is 0"),
        ({"confidence": 95}, "evaluation.confidence is 95"),
        ({"seed": -1}, "evaluation.seed is -1"),
        ({"normal_class": "N"}, "cohort.normal_class is 'N'"),
    ],
)
def test_impossible_parameter_is_named(study_predictions, class_names, options, words):
    options = {"normal_class": "C"} | options
    with pytest.raises(EvaluationError, match=words):
        evaluate(study_predictions, class_names=class_names, **options)


def test_bad_predictions_stop_before_anything_is_computed(study_predictions, class_names):
    broken = study_predictions.assign(logit_B=np.nan)
    with pytest.raises(PredictionsError, match="logit_B"):
        run(broken, class_names=class_names)


def test_headline_says_the_numbers_of_the_document(evaluation):
    document = json.loads(json.dumps(evaluation.to_json_dict()))
    sentence = headline(document)
    accuracy = document["overall"]["accuracy"]
    assert f"{100 * accuracy['estimate']:.1f} % (95 % interval {100 * accuracy['ci_low']:.1f}–" in sentence
    assert f"on {accuracy['n_samples']} images of {accuracy['n_patients']} patients" in sentence
    assert f"{100 * document['overall']['balanced_accuracy']['estimate']:.1f} %" in sentence
    assert f"{100 * document['baseline']['accuracy']['estimate']:.1f} %." in sentence


@pytest.mark.parametrize(("patients", "told"), [(49, True), (50, False)])
def test_headline_warns_of_few_patients(evaluation, patients, told):
    document = evaluation.to_json_dict()
    document["overall"]["accuracy"]["n_patients"] = patients
    assert ("So few patients" in headline(document)) == told


def test_headline_survives_what_is_undefined(make_answers, class_names):
    document = run(make_answers("AABB", "AABB", patients=["p"] * 4), class_names=class_names).to_json_dict()
    sentence = headline(document)
    assert "balanced accuracy is not defined (undefined: a class has no sample)" in sentence
    assert "100.0 % (no interval: fewer than two patients" in sentence
    assert "on 4 images of 1 patient; " in sentence


def test_percent_with_interval():
    metric = {"estimate": 0.91234, "ci_low": 0.88, "ci_high": 0.9349, "note": None}
    assert percent_with_interval(metric) == "91.2 % (88.0–93.5 %)"
    assert percent_with_interval(metric, level=90.0) == "91.2 % (90 % interval 88.0–93.5 %)"


def test_samples_are_averaged_over_seeds(make_predictions, class_names):
    logits = np.eye(3)
    frame = pd.concat([make_predictions("ABC", logits * scale, seed=seed) for seed, scale in enumerate((1, 3))])
    result = run(frame, class_names=class_names)
    assert result.n_seeds == 2
    assert result.to_json_dict()["cohort"]["n_seeds"] == 2
    expected = np.mean([math.e / (math.e + 2), math.e**3 / (math.e**3 + 2)])
    assert result.samples["p_A"].iloc[0] == pytest.approx(expected)
