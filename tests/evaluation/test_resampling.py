import math

import numpy as np
import pandas as pd
import pytest

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.metrics import PROBABILITY_METRICS
from helpers.evaluation.predictions import fold_predictions, out_of_fold
from helpers.evaluation.resampling import (
    Resampling,
    class_metrics,
    overall_metrics,
    row_fractions,
    weighted_kappa_metric,
)


@pytest.fixture
def resample(make_answers):
    """Draw 200 replicates for given labels, answers and patients."""

    def draw(y_true, y_pred, *, patients=None, classes="ABC"):
        table = out_of_fold(make_answers(y_true, y_pred, patients=patients, classes=classes), classes=classes)
        sample = ClusteredSample.from_frame(table, classes=classes)
        return Resampling.draw(sample, n_replicates=200, confidence=0.95, rng=np.random.default_rng(0))

    return draw


def test_support_of_class_metrics_is_their_denominator(resample):
    drawn = resample("AAABBBCC", "AABBBCCA", patients=list("pqrpqrst"))
    metrics = class_metrics(drawn, 0)
    supports = {name: (metric.n_samples, metric.n_patients) for name, metric in metrics.items()}
    assert supports == {
        "sensitivity": (3, 3),  # s0 s1 s2: p q r
        "specificity": (5, 5),  # s3 ... s7: p q r s t
        "ppv": (3, 3),  # s0 s1 s7: p q t
        "npv": (5, 4),  # s2 ... s6: r p q r s
        "f1": (4, 4),  # s0 s1 s2 s7: p q r t
        "auroc": (8, 5),
        "auprc": (8, 5),
    }


def test_perfect_predictions_get_intervals_from_the_rarest_class(resample):
    drawn = resample("A" * 20 + "B" * 15 + "C" * 5, "A" * 20 + "B" * 15 + "C" * 5)
    metrics = overall_metrics(drawn)
    assert {metric.estimate for name, metric in metrics.items() if name not in PROBABILITY_METRICS} == {1.0}
    assert metrics["accuracy"].ci_low == pytest.approx(0.025 ** (1 / 40))
    for name in ("macro_f1", "macro_auroc"):
        assert metrics[name].ci_low == pytest.approx(0.025 ** (1 / 5))
    distances = [1 - 0.025 ** (1 / size) for size in (20, 15, 5)]
    assert metrics["balanced_accuracy"].ci_low == pytest.approx(1 - math.hypot(*distances) / 3)
    chance = (20**2 + 15**2 + 5**2) / 40**2
    for name in ("cohen_kappa", "mcc"):
        assert metrics[name].ci_low == pytest.approx((0.025 ** (1 / 40) - chance) / (1 - chance))


def test_class_known_from_one_patient_has_estimate_but_no_interval(resample):
    drawn = resample("AABBC", "ABBAC", patients=list("pqrst"))
    metrics = class_metrics(drawn, 2)
    assert metrics["sensitivity"].estimate == 1.0
    for name in ("sensitivity", "auroc"):
        assert metrics[name].ci_low is None
        assert "fewer than two patients" in metrics[name].note
    assert metrics["specificity"].ci_low is not None


def test_all_predictions_equal(resample):
    metrics = overall_metrics(resample("AABBCC", "AAAAAA"))
    assert metrics["accuracy"].estimate == pytest.approx(1 / 3)
    assert metrics["cohen_kappa"].estimate == 0.0
    assert math.isnan(metrics["mcc"].estimate)
    assert metrics["macro_auroc"].estimate == 0.5


def test_class_absent_from_reference(resample):
    drawn = resample("AABB", "AABC")
    overall, absent = overall_metrics(drawn), class_metrics(drawn, 2)
    assert overall["accuracy"].estimate == 0.75
    assert math.isnan(overall["balanced_accuracy"].estimate)
    assert overall["balanced_accuracy"].note == "undefined: a class has no sample"
    assert math.isnan(absent["sensitivity"].estimate)
    assert absent["ppv"].estimate == 0.0
    assert all(math.isnan(cell.estimate) for cell in row_fractions(drawn)[2])


def test_class_absent_from_predictions(resample):
    absent = class_metrics(resample("AABBCC", "AABBAB"), 2)
    assert absent["sensitivity"].estimate == 0.0
    assert absent["sensitivity"].ci_high == pytest.approx(1 - 0.025 ** (1 / 2))
    assert math.isnan(absent["ppv"].estimate)
    assert absent["ppv"].note == "undefined: no sample is predicted as this class"


def test_row_fractions_add_up_to_one(resample):
    fractions = row_fractions(resample("AAABBBCC", "AABBBCCA"))
    np.testing.assert_allclose([[cell.estimate for cell in row] for row in fractions],
                               [[2 / 3, 1 / 3, 0], [0, 2 / 3, 1 / 3], [1 / 2, 0, 1 / 2]])  # fmt: skip


def test_same_image_under_two_models_counts_once(make_answers):
    frames = [make_answers("AABB", answers, classes="AB", fold=fold) for fold, answers in enumerate(("AABA", "AABB"))]
    table = fold_predictions(pd.concat(frames), classes="AB")
    sample = ClusteredSample.from_frame(table, classes="AB")
    drawn = Resampling.draw(sample, n_replicates=50, confidence=0.95, rng=np.random.default_rng(0))
    metric = overall_metrics(drawn)["accuracy"]
    assert metric.estimate == pytest.approx(7 / 8)
    assert (metric.n_samples, metric.n_patients) == (4, 4)


@pytest.fixture(scope="module")
def cohort(study_predictions):
    return ClusteredSample.from_frame(out_of_fold(study_predictions, classes="ABC"), classes="ABC")


def estimates(sample, *, ranks=(1, 2, 0)):
    """Every metric of the study: those of the whole by name, those of classes by name and class."""
    drawn = Resampling.draw(sample, n_replicates=20, confidence=0.95, rng=np.random.default_rng(0))
    values = overall_metrics(drawn) | {"weighted_kappa": weighted_kappa_metric(drawn, ranks=ranks)}
    for code in range(sample.n_classes):
        values |= {(name, code): metric for name, metric in class_metrics(drawn, code).items()}
    return {name: metric.estimate for name, metric in values.items()}


def rows_of(sample, rows):
    columns = (sample.reference, sample.predicted, sample.scores, sample.patient, sample.sample)
    return ClusteredSample(*(column[rows] for column in columns))


def test_no_metric_depends_on_the_order_of_rows(cohort):
    shuffled = rows_of(cohort, np.random.default_rng(1).permutation(len(cohort.reference)))
    assert estimates(shuffled) == pytest.approx(estimates(cohort))


def test_renaming_classes_only_renames_numbers(cohort):
    order = np.array([2, 0, 1])  # new code of each class
    renamed = ClusteredSample(
        order[cohort.reference],
        order[cohort.predicted],
        cohort.scores[:, np.argsort(order)],
        cohort.patient,
        cohort.sample,
    )
    ranks = np.array([1, 2, 0])
    found, expected = estimates(renamed, ranks=ranks[np.argsort(order)]), estimates(cohort, ranks=ranks)
    renamed_keys = {
        (key[0], order[key[1]]) if isinstance(key, tuple) else key: value for key, value in expected.items()
    }
    assert found == pytest.approx(renamed_keys)


def test_doubling_whole_patients_changes_no_estimate(cohort):
    doubled = ClusteredSample(
        np.tile(cohort.reference, 2),
        np.tile(cohort.predicted, 2),
        np.tile(cohort.scores, (2, 1)),
        np.concatenate([cohort.patient, cohort.patient + cohort.n_patients]),
        np.concatenate([cohort.sample, cohort.sample + len(cohort.sample)]),
    )
    assert estimates(doubled) == pytest.approx(estimates(cohort))


@pytest.mark.parametrize("transform", [np.sqrt, np.exp, lambda scores: 3 * scores - 5], ids=["root", "exp", "linear"])
def test_monotone_transforms_of_scores_change_only_what_grades_probabilities(cohort, transform):
    moved = ClusteredSample(cohort.reference, cohort.predicted, transform(cohort.scores), cohort.patient, cohort.sample)
    found, expected = estimates(moved), estimates(cohort)
    graded = set(PROBABILITY_METRICS)
    assert {name: found[name] for name in found if name not in graded} == pytest.approx(
        {name: expected[name] for name in expected if name not in graded}
    )


def test_replicates_that_draw_no_positive_are_undefined_and_counted(cohort):
    weights = np.ones((4, cohort.n_patients))
    weights[0, np.unique(cohort.patient[cohort.reference == 0])] = 0
    metrics = class_metrics(Resampling(cohort, weights=weights, confidence=0.95), 0)
    assert {name: metrics[name].n_dropped for name in ("sensitivity", "auroc", "auprc")} == {
        "sensitivity": 1,
        "auroc": 1,
        "auprc": 1,
    }


def test_every_interval_stays_inside_the_range_of_its_metric(cohort):
    drawn = Resampling.draw(cohort, n_replicates=200, confidence=0.99, rng=np.random.default_rng(2))
    for name, metric in (overall_metrics(drawn) | class_metrics(drawn, 1)).items():
        lowest = -1 if name in ("cohen_kappa", "mcc") else 0
        highest = PROBABILITY_METRICS[name].upper if name in PROBABILITY_METRICS else 1
        assert lowest <= metric.ci_low < metric.estimate < metric.ci_high <= highest
