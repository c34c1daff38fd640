import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.error_analysis import carried_threshold, count_calls, describe_shown, most_disputed, score_samples
from helpers.evaluation import evaluate_external, external_samples
from helpers.study import EvaluationParams

NAMES = {"A": "compression", "C": "normal"}
PARAMS = EvaluationParams(n_bootstrap=200)
SCORES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def logits(p_fracture):
    """Logits of classes A and C for a probability of A."""
    p = np.asarray(p_fracture, dtype=float)
    return pd.DataFrame({"logit_A": np.log(p), "logit_C": np.log1p(-p)}).astype(np.float32)


def predicted(labels, *, by_network, cohort="far"):
    """Predictions of a network for each row of `by_network`, (fold, seed) → probabilities of fracture."""
    ids = [f"s{number}" for number in range(len(labels))]
    parts = [
        logits(p).assign(cohort=cohort, sample_id=ids, PatientID=ids, y_true=labels, fold=fold, seed=seed)
        for (fold, seed), p in by_network.items()
    ]
    return pd.concat(parts, ignore_index=True)


def known(predictions, **columns):
    table = predictions.drop_duplicates(["cohort", "sample_id"]).rename(columns={"y_true": "label"})
    return table[["cohort", "sample_id", "label"]].assign(level="L1", **columns)


def indexed(samples):
    """Cached in the opposite order within each cohort."""
    return samples.assign(row=samples.groupby("cohort").cumcount(ascending=False))[["cohort", "sample_id", "row"]]


def score(predictions, *, threshold=0.5, **columns):
    samples = known(predictions, **columns)
    return score_samples(
        predictions, samples=samples, index=indexed(samples), normal_class="C", threshold=threshold, params=PARAMS
    )


def table_of(pairs, *, threshold=0.5):
    """Scores of one cohort, the highest first."""
    table = pd.DataFrame(pairs, columns=["score", "is_fracture"]).sort_values("score", ascending=False)
    table["label"] = table["is_fracture"].map({True: "A", False: "C"})
    return table.assign(is_right=(table["score"] >= threshold) == table["is_fracture"])


def test_score_is_the_mean_of_folds_and_seeds_and_decides_at_the_threshold():
    networks = {(0, 0): [0.2, 0.9, 0.1], (1, 0): [0.4, 0.7, 0.3], (0, 1): [0.3, 0.9, 0.1], (1, 1): [0.7, 0.7, 0.1]}
    table = score(predicted(["A", "fracture", "C"], by_network=networks), threshold=0.4, grade=["1", "3", None])
    assert table["sample_id"].tolist() == ["s1", "s0", "s2"]
    assert table["score"].tolist() == pytest.approx([0.8, 0.4, 0.15])
    assert table["grade"].tolist() == pytest.approx([3, 1, np.nan], nan_ok=True)
    assert table["is_fracture"].tolist() == [True, True, False]
    assert table["row"].tolist() == [1, 2, 0]


def test_a_call_is_right_where_it_agrees_with_the_label():
    table = score(predicted(["A", "A", "C", "C"], by_network={(0, 0): [0.9, 0.2, 0.8, 0.1]}))
    assert table.set_index("sample_id")["is_right"].to_dict() == {"s0": True, "s1": False, "s2": False, "s3": True}


def test_cohorts_keep_to_themselves():
    near = predicted(["A", "C"], by_network={(0, 0): [0.9, 0.2]}, cohort="near")
    far = predicted(["C", "A"], by_network={(0, 0): [0.7, 0.6]}, cohort="far")
    table = score(pd.concat([near, far], ignore_index=True))
    assert table["cohort"].tolist() == ["near", "near", "far", "far"]
    assert table["label"].tolist() == ["A", "C", "C", "A"]


def test_scores_and_calls_are_those_of_notebook_04():
    rng = np.random.default_rng(3)
    labels = ["A", "C"] * 20
    predictions = predicted(labels, by_network={(fold, 0): rng.uniform(0.05, 0.95, 40) for fold in range(3)})
    development = predicted(labels, by_network={(0, 0): rng.uniform(0.05, 0.95, 40)}).assign(split="validation")
    samples = known(predictions, grade="2")
    found = evaluate_external(
        predictions, development=development, samples=samples, class_names=NAMES, normal_class="C", params=PARAMS
    )["far"]
    expected = external_samples(found, samples=samples).set_index("sample_id")
    threshold = carried_threshold(development, normal_class="C")
    table = score(predictions, threshold=threshold, grade="2").set_index("sample_id").loc[expected.index]
    np.testing.assert_array_equal(table["score"], expected["score"])
    np.testing.assert_array_equal(table["is_right"], (expected["called"] == "fracture") == (expected["label"] == "A"))


def test_threshold_is_one_half_where_validation_cannot_tell():
    development = predicted(["A", "A"], by_network={(0, 0): [0.9, 0.8]}).assign(split="validation")
    assert carried_threshold(development, normal_class="C") == 0.5


@given(pairs=SCORES, n=st.integers(1, 30))
def test_no_sample_left_out_is_more_disputed_than_one_shown(pairs, n):
    table = table_of(pairs)
    shown = most_disputed(table, n=n)
    assert len(shown) == min(n, len(table))
    assert shown["score"].is_monotonic_decreasing
    distances = sorted((abs(score - is_fracture) for score, is_fracture in pairs), reverse=True)
    of_shown = (shown["score"] - shown["is_fracture"]).abs().sort_values(ascending=False)
    assert of_shown.tolist() == pytest.approx(distances[:n])


def test_calls_are_counted_by_label_and_grade():
    table = score(predicted(["A", "A", "A", "C"], by_network={(0, 0): [0.9, 0.7, 0.2, 0.6]}), grade=["1", "1", "2", ""])
    counted = count_calls(table)
    assert counted[["label", "grade", "samples", "called fracture"]].fillna("").to_numpy().tolist() == [
        ["A", "1", 2, 2], ["A", "2", 1, 0], ["C", "", 1, 1],
    ]  # fmt: skip
    assert counted["median score"].tolist() == pytest.approx([0.8, 0.2, 0.6])


def test_without_external_samples_nothing_is_counted():
    assert count_calls(pd.DataFrame()).empty


def test_words_say_whether_some_are_left_out():
    table = table_of([(0.9, True), (0.6, False), (0.1, False)])
    everything = describe_shown(table, n_samples=3, threshold=0.5, class_names=NAMES)
    assert everything == (
        "all 3 samples, the highest score first; 2 of them reach the threshold of 0.500 (A compression, C normal)"
    )
    some = describe_shown(most_disputed(table, n=2), n_samples=3, threshold=0.5, class_names={"C": "normal"})
    assert some.startswith("the 2 of 3 samples whose score and label disagree most, ")


def test_labels_without_a_name_need_no_key():
    table = table_of([(0.9, True)]).assign(label="fracture")
    assert describe_shown(table, n_samples=1, threshold=0.5, class_names=NAMES).endswith("threshold of 0.500")
