import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from helpers.evaluation.metrics import (
    CLASS_METRICS,
    COUNT_METRICS,
    METRIC_TITLES,
    PROBABILITY_METRICS,
    metric_title,
    ratio,
    weighted_auroc,
    weighted_average_precision,
    weighted_kappa,
)


@st.composite
def weighted_labels(draw):
    """(reference, predicted, weights, n_classes) with at least one sample of positive weight."""
    n_classes = draw(st.integers(2, 4))
    n_samples = draw(st.integers(1, 30))
    codes = st.lists(st.integers(0, n_classes - 1), min_size=n_samples, max_size=n_samples)
    weights = draw(st.lists(st.integers(0, 4), min_size=n_samples, max_size=n_samples).filter(any))
    return np.array(draw(codes)), np.array(draw(codes)), np.array(weights, dtype=float), n_classes


def confusion(reference, predicted, weights, n_classes):
    return sk.confusion_matrix(reference, predicted, labels=range(n_classes), sample_weight=weights).astype(float)


def by_scikit_learn(name, reference, predicted, weights, n_classes):
    """The same metric from scikit-learn, NaN where its definition is 0/0."""
    kept = weights > 0
    reference, predicted, weights = reference[kept], predicted[kept], weights[kept]
    labels = list(range(n_classes))
    options = {"sample_weight": weights}
    per_class = options | {"labels": labels, "average": None, "zero_division": np.nan}
    one_answer = len(np.unique(reference)) == 1 or len(np.unique(predicted)) == 1
    one_class = len(np.unique(np.concatenate([reference, predicted]))) == 1

    def negative(score, code):
        swapped = score(reference != code, predicted != code, zero_division=np.nan, **options)
        return float(swapped)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        computed = {
            "accuracy": lambda: sk.accuracy_score(reference, predicted, **options),
            "balanced_accuracy": lambda: np.mean(sk.recall_score(reference, predicted, **per_class)),
            "macro_f1": lambda: np.mean(sk.f1_score(reference, predicted, **per_class)),
            "cohen_kappa": lambda: math.nan if one_class else sk.cohen_kappa_score(reference, predicted, **options),
            "mcc": lambda: math.nan if one_answer else sk.matthews_corrcoef(reference, predicted, **options),
            "sensitivity": lambda: sk.recall_score(reference, predicted, **per_class),
            "ppv": lambda: sk.precision_score(reference, predicted, **per_class),
            "f1": lambda: sk.f1_score(reference, predicted, **per_class),
            "specificity": lambda: [negative(sk.recall_score, code) for code in labels],
            "npv": lambda: [negative(sk.precision_score, code) for code in labels],
        }
        return computed[name]()


@pytest.mark.parametrize("name", [*COUNT_METRICS, *CLASS_METRICS])
@settings(max_examples=50)
@given(case=weighted_labels())
def test_metric_equals_scikit_learn_with_sample_weights(name, case):
    definition = (COUNT_METRICS | CLASS_METRICS)[name]
    expected = by_scikit_learn(name, *case)
    np.testing.assert_allclose(definition.formula(confusion(*case)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*COUNT_METRICS, *CLASS_METRICS])
def test_many_matrices_at_once_equal_one_by_one(name):
    formula = (COUNT_METRICS | CLASS_METRICS)[name].formula
    counts = np.random.default_rng(0).integers(0, 4, size=(50, 3, 3)).astype(float)
    np.testing.assert_array_equal(formula(counts), np.stack([formula(matrix) for matrix in counts]))


@pytest.mark.parametrize("name", [*COUNT_METRICS, *CLASS_METRICS])
def test_order_of_classes_only_permutes_class_values(name):
    formula = (COUNT_METRICS | CLASS_METRICS)[name].formula
    counts = np.array([[20.0, 3, 1], [4, 30, 2], [0, 5, 9]])
    order = [2, 0, 1]
    permuted, original = formula(counts[np.ix_(order, order)]), formula(counts)
    np.testing.assert_allclose(permuted, original[order] if name in CLASS_METRICS else original, rtol=1e-12)


@pytest.mark.parametrize("name", [*COUNT_METRICS, *CLASS_METRICS])
def test_doubling_every_sample_changes_nothing(name):
    formula = (COUNT_METRICS | CLASS_METRICS)[name].formula
    counts = np.array([[20.0, 3, 1], [4, 30, 2], [0, 5, 9]])
    np.testing.assert_allclose(formula(2 * counts), formula(counts), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sensitivity", [0.8, 0.9]),
        ("specificity", [0.9, 0.8]),
        ("ppv", [40 / 45, 45 / 55]),
        ("npv", [45 / 55, 40 / 45]),
        ("f1", [80 / 95, 90 / 105]),
        ("accuracy", 0.85),
        ("balanced_accuracy", 0.85),
        ("cohen_kappa", 0.7),
        ("mcc", (40 * 45 - 5 * 10) / math.sqrt(45 * 50 * 50 * 55)),
    ],
)
def test_values_worked_out_by_hand_with_reference_in_rows(name, expected):
    counts = np.array([[40.0, 10.0], [5.0, 45.0]])
    np.testing.assert_allclose((COUNT_METRICS | CLASS_METRICS)[name].formula(counts), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "class_undefined"),
    [("sensitivity", True), ("ppv", True), ("f1", True), ("specificity", False), ("npv", False)],
)
def test_class_that_never_occurs_is_undefined_where_it_is_the_denominator(name, class_undefined):
    counts = np.array([[8.0, 2, 0], [1, 9, 0], [0, 0, 0]])
    values = CLASS_METRICS[name].formula(counts)
    assert bool(np.isnan(values[2])) is class_undefined
    assert not np.isnan(values[:2]).any()


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_macro_metrics_do_not_average_an_absent_class_away(name):
    counts = np.array([[8.0, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert np.isnan(COUNT_METRICS[name].formula(counts))


@st.composite
def weighted_scores(draw):
    n_samples = draw(st.integers(2, 25))
    scores = draw(st.lists(st.integers(0, 6), min_size=n_samples, max_size=n_samples))
    positive = draw(st.lists(st.booleans(), min_size=n_samples, max_size=n_samples))
    row = st.lists(st.integers(0, 3), min_size=n_samples, max_size=n_samples)
    weights = draw(st.lists(row, min_size=1, max_size=4))
    return np.array(scores) / 7, np.array(positive), np.array(weights, dtype=float)


@pytest.mark.parametrize(
    ("measure", "by_scikit_learn"),
    [(weighted_auroc, sk.roc_auc_score), (weighted_average_precision, sk.average_precision_score)],
)
@given(case=weighted_scores())
def test_ranking_equals_scikit_learn_with_ties_and_weights(measure, by_scikit_learn, case):
    scores, positive, weights = case
    for value, row in zip(measure(scores, positive, weights=weights), weights, strict=True):
        if row[positive].sum() == 0 or row[~positive].sum() == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(by_scikit_learn(positive, scores, sample_weight=row), abs=1e-12)


@given(case=weighted_labels(), seed=st.integers(0, 5))
def test_weighted_kappa_equals_scikit_learn_in_any_order_of_classes(case, seed):
    reference, predicted, weights, n_classes = case
    ranks = np.random.default_rng(seed).permutation(n_classes)
    value = weighted_kappa(confusion(reference, predicted, weights, n_classes), ranks=ranks)
    kept = weights > 0
    if len(np.unique(np.concatenate([reference[kept], predicted[kept]]))) == 1:
        assert np.isnan(value)
        return
    options = {"weights": "quadratic", "sample_weight": weights, "labels": range(n_classes)}
    assert value == pytest.approx(sk.cohen_kappa_score(ranks[reference], ranks[predicted], **options), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "by_scikit_learn"),
    [("log_loss", sk.log_loss), ("brier", lambda y, p, labels: 2 * sk.brier_score_loss(y, p[:, 1], pos_label=1))],
)
def test_cost_of_probabilities_equals_scikit_learn(name, by_scikit_learn):
    rng = np.random.default_rng(3)
    reference, positive = np.arange(50) % 2, rng.uniform(0, 1, 50)
    probabilities = np.column_stack([1 - positive, positive])
    found = PROBABILITY_METRICS[name].per_sample(probabilities, reference).mean()
    assert found == pytest.approx(by_scikit_learn(reference, probabilities, labels=[0, 1]))


def test_brier_score_of_three_classes_by_hand():
    costs = PROBABILITY_METRICS["brier"].per_sample(np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]]), np.array([0, 2]))
    np.testing.assert_allclose(costs, [0.25 + 0.09 + 0.04, 2.0])


def test_auroc_of_separated_scores_is_exactly_one():
    positive = np.arange(101) % 3 == 0
    weights = np.random.default_rng(0).integers(1, 9, (20, 101)).astype(float)
    scores = positive + np.random.default_rng(1).uniform(0, 0.9, 101)
    assert set(weighted_auroc(scores, positive, weights=weights)) == {1.0}
    assert set(weighted_auroc(-scores, positive, weights=weights)) == {0.0}


def test_auroc_ignores_monotone_transforms():
    rng = np.random.default_rng(4)
    scores, positive, weights = rng.normal(size=60), rng.random(60) < 0.4, np.ones((1, 60))
    expected = weighted_auroc(scores, positive, weights=weights)
    for transformed in (3 * scores - 5, np.exp(scores), scores**3):
        np.testing.assert_array_equal(weighted_auroc(transformed, positive, weights=weights), expected)


def test_ratio_is_nan_only_at_zero_denominators():
    np.testing.assert_array_equal(ratio(np.array([0, 1, 3]), np.array([0, 0, 2])), [np.nan, np.nan, 1.5])


def test_every_metric_has_a_title():
    of_scores = {"mean_of_seeds", "expected_calibration_error", "mean_score_minus_share"}
    of_scores |= {"brier_of_share", "threshold"}
    of_ranking = {"auroc", "auprc", "macro_auroc", "weighted_kappa"}
    assert set(METRIC_TITLES) == {*COUNT_METRICS, *CLASS_METRICS, *PROBABILITY_METRICS, *of_ranking, *of_scores}
    assert metric_title("auroc") == "AUROC"
    assert metric_title("seed_2") == "AUROC, seed 2"
    assert metric_title("fracture_sensitivity") == "Sensitivity, any fracture"
