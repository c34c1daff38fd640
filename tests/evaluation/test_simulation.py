import numpy as np
import pytest
from sklearn import metrics as sk

from helpers.evaluation.simulation import CohortModel, coverage_of


@pytest.fixture(scope="module")
def model():
    return CohortModel(prevalence=0.3, target=0.8)


@pytest.fixture(scope="module")
def large(model):
    return model.draw(60_000, rng=np.random.default_rng(0))


def test_true_values_are_those_of_a_very_large_cohort(model, large):
    positive = large.scores[:, 1]
    found = {
        "accuracy": sk.accuracy_score(large.reference, large.predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(large.reference, large.predicted),
        "cohen_kappa": sk.cohen_kappa_score(large.reference, large.predicted),
        "sensitivity": sk.recall_score(large.reference, large.predicted),
        "ppv": sk.precision_score(large.reference, large.predicted),
        "auroc": sk.roc_auc_score(large.reference, positive),
        "auprc": sk.average_precision_score(large.reference, positive),
        "brier": 2 * np.mean((positive - large.reference) ** 2),
        "log_loss": sk.log_loss(large.reference, positive),
    }
    assert found == pytest.approx({name: model.truth[name] for name in found}, abs=0.01)


def test_scores_are_true_probabilities(large):
    high = large.scores[:, 1] > 0.7
    assert large.reference[high].mean() == pytest.approx(large.scores[high, 1].mean(), abs=0.01)


def test_images_of_one_patient_are_alike(large):
    first = np.flatnonzero(large.patient[1:] == large.patient[:-1])
    assert np.corrcoef(large.reference[first], large.reference[first + 1])[0, 1] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("n_patients", "prevalence", "target"), [(50, 0.4, 0.75), (50, 0.4, 0.97), (15, 0.4, 0.97)])
def test_nominal_95_percent_intervals_cover_about_95_percent(n_patients, prevalence, target):
    """200 cohorts: between 93 and 97 %, give or take three standard errors of 1.5 points."""
    model, rng = CohortModel(prevalence, target), np.random.default_rng(4)
    found = coverage_of(model, n_patients=n_patients, n_cohorts=200, rng=rng).set_index("metric")
    for name in ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc"):
        assert found.loc[name, "coverage"] >= 0.93 - 0.046, name
    assert found.loc["sensitivity", "percentile_coverage"] < found.loc["sensitivity", "coverage"]
