from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from helpers.evaluation.comparison import MEASURES, ComparisonError, compare, comparison_table
from helpers.evaluation.predictions import out_of_fold
from helpers.study import EvaluationParams

PARAMS = EvaluationParams(n_bootstrap=500)


def answers(y_true, y_pred, *, patients=None):
    """One row per sample, without probabilities."""
    ids = [f"s{place:03d}" for place in range(len(y_true))]
    return pd.DataFrame(
        {"sample_id": ids, "PatientID": patients or ids, "y_true": list(y_true), "y_pred": list(y_pred)}
    )


def right_or_wrong(flags, *, patients=None):
    return answers("A" * len(flags), ["A" if flag else "B" for flag in flags], patients=patients)


@pytest.fixture(scope="module")
def model(make_study):
    return out_of_fold(make_study(seed=0), classes="ABC")


@pytest.fixture(scope="module")
def other(model):
    """The same samples, with noisier probabilities."""
    columns = ["p_A", "p_B", "p_C"]
    noise = np.random.default_rng(0).dirichlet(np.ones(3), len(model))
    mixed = 0.6 * model[columns].to_numpy() + 0.4 * noise
    winners = np.array(list("ABC"))[mixed.argmax(axis=1)]
    return model.assign(**dict(zip(columns, mixed.T, strict=True)), y_pred=winners)


def test_values_are_those_of_scikit_learn(model, other):
    truth = other["y_true"]
    probabilities = other[["p_A", "p_B", "p_C"]].to_numpy()
    expected = {
        "accuracy": (truth == other["y_pred"]).mean(),
        "balanced_accuracy": balanced_accuracy_score(truth, other["y_pred"]),
        "macro_auroc": roc_auc_score(truth, probabilities, multi_class="ovr"),
        "brier": sum(brier_score_loss(truth == key, other[f"p_{key}"]) for key in "ABC"),
    }
    for measure in MEASURES:
        found = compare(model, other, measure=measure, params=PARAMS)
        assert found.second.estimate == pytest.approx(expected[measure])
        assert found.difference.estimate == pytest.approx(found.first.estimate - found.second.estimate)
        assert found.difference.ci_low < found.difference.estimate < found.difference.ci_high


def test_turning_the_comparison_round_turns_its_sign(model, other):
    there, back = compare(model, other, params=PARAMS), compare(other, model, params=PARAMS)
    assert there.difference.estimate == -back.difference.estimate
    assert there.difference.ci_low == pytest.approx(-back.difference.ci_high)
    assert there.p_value == back.p_value


@pytest.mark.parametrize("measure", MEASURES)
def test_a_reader_does_not_differ_from_itself(model, measure):
    found = compare(model, model, measure=measure, params=PARAMS)
    assert found.difference.estimate == pytest.approx(0)
    assert found.p_value == 1


def test_p_value_is_the_share_of_all_exchanges():
    patients = ["p", "p", "q", "q", "r", "s", "s", "s", "t", "u"]
    first, second = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1, 1]), np.array([0, 0, 1, 1, 0, 0, 1, 0, 0, 1])
    of_patients = pd.Series(first - second).groupby(patients).sum().to_numpy()
    all_signs = np.array(list(product([-1, 1], repeat=6)))
    exact = (np.abs(all_signs @ of_patients) >= abs(of_patients.sum())).mean()
    found = compare(
        right_or_wrong(first, patients=patients),
        right_or_wrong(second, patients=patients),
        params=EvaluationParams(n_bootstrap=20_000),
    )
    assert found.p_value == pytest.approx(exact, abs=0.01)


def test_with_one_image_per_patient_it_is_the_paired_permutation_test():
    rng = np.random.default_rng(1)
    first, second = rng.random(60) < 0.8, rng.random(60) < 0.65
    expected = permutation_test(
        (first.astype(float), second.astype(float)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=5000,
        rng=rng,
    )
    found = compare(right_or_wrong(first), right_or_wrong(second), params=EvaluationParams(n_bootstrap=5000))
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.03)


def test_equal_readers_are_seldom_told_apart():
    rng = np.random.default_rng(2)
    params = EvaluationParams(n_bootstrap=100)
    patients = [f"p{place // 3}" for place in range(60)]
    p_values = []
    for _ in range(100):
        of_patient = np.repeat(rng.random(20), 3)
        readers = [right_or_wrong(rng.random(60) < of_patient, patients=patients) for _ in range(2)]
        p_values.append(compare(*readers, params=params).p_value)
    assert np.mean(np.array(p_values) <= 0.05) < 0.10


def test_ranking_ignores_the_scale_of_a_reader(model, other):
    columns = ["p_A", "p_B", "p_C"]
    stretched = other.assign(**{name: other[name] ** 3 for name in columns})
    plain, changed = (compare(model, table, measure="macro_auroc", params=PARAMS) for table in (other, stretched))
    assert changed.p_value == plain.p_value
    assert changed.difference.estimate == pytest.approx(plain.difference.estimate)


def test_order_of_rows_changes_nothing(model, other):
    shuffled = other.sample(frac=1, random_state=0)
    assert compare(model, shuffled, params=PARAMS) == compare(model, other, params=PARAMS)


def test_only_shared_images_are_compared(model, other):
    found = compare(model, other.iloc[5:], params=PARAMS)
    assert found.n_left_out == 5
    assert found.difference.n_samples == len(model) - 5


def test_table_corrects_for_the_number_of_rivals(model, other):
    constant = model.assign(y_pred="A")
    table = comparison_table(model, {"noisier": other, "always A": constant}, params=PARAMS)
    low, high = sorted(table["p_value"])
    assert sorted(table["p_holm"]) == pytest.approx([min(1, 2 * low), max(2 * low, high)])
    assert table["rival"].tolist() == ["noisier", "always A"]
    assert comparison_table(model, {}, params=PARAMS).empty


def test_tables_of_different_cohorts_are_refused(model):
    elsewhere = model.assign(sample_id="x" + model["sample_id"])
    with pytest.raises(ComparisonError, match="share no sample_id"):
        compare(model, elsewhere, params=PARAMS)
    with pytest.raises(ComparisonError, match="disagree"):
        compare(model, model.assign(PatientID="nobody"), params=PARAMS)
    with pytest.raises(ComparisonError, match="twice"):
        compare(model, pd.concat([model, model]), params=PARAMS)


def test_answers_without_probabilities_have_no_auroc(model):
    bare = model[["sample_id", "PatientID", "y_true", "y_pred"]]
    assert compare(model, bare, params=PARAMS).difference.estimate == 0
    with pytest.raises(ComparisonError, match="p_<class>"):
        compare(model, bare, measure="macro_auroc", params=PARAMS)
