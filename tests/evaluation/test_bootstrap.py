import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from helpers.evaluation import bootstrap
from helpers.evaluation.bootstrap import (
    ClusteredSample,
    patient_weights,
    percentile_interval,
    replicate_confusion,
    replicate_ranking,
)
from helpers.evaluation.metrics import accuracy, weighted_auroc, weighted_average_precision
from helpers.evaluation.predictions import out_of_fold


@pytest.fixture(scope="module")
def table(study_predictions):
    return out_of_fold(study_predictions, classes="ABC")


@pytest.fixture(scope="module")
def sample(table):
    return ClusteredSample.from_frame(table, classes="ABC")


@pytest.fixture(scope="module")
def weights(sample):
    return patient_weights(sample.n_patients, n_replicates=60, rng=np.random.default_rng(5))


def resampled(table, row):
    """The replicate written out: every patient's images as often as the patient was drawn."""
    patients = sorted(table["PatientID"].unique())
    drawn = [
        table[table["PatientID"] == patient]
        for patient, times in zip(patients, row, strict=True)
        for _ in range(int(times))
    ]
    return pd.concat(drawn, ignore_index=True)


def ranking_of_all(sample, *, weights, measure):
    columns = [
        replicate_ranking(sample, code=code, weights=weights, measure=measure) for code in range(sample.n_classes)
    ]
    return np.stack(columns, axis=1)


def test_weights_draw_as_many_patients_as_there_are(weights, sample):
    assert weights.shape == (60, sample.n_patients)
    assert set(weights.sum(axis=1)) == {sample.n_patients}
    assert len(np.unique(weights, axis=0)) > 50


def test_weights_follow_the_generator():
    drawn = [patient_weights(9, n_replicates=20, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@pytest.mark.parametrize(("patients", "replicates"), [(0, 10), (10, 0)])
def test_nothing_to_draw_is_refused(patients, replicates):
    with pytest.raises(ValueError, match="at least one patient and one replicate"):
        patient_weights(patients, n_replicates=replicates, rng=np.random.default_rng(0))


def test_confusion_matrices_equal_a_plain_loop(table, sample, weights):
    found = replicate_confusion(sample, weights=weights)
    for matrix, row in zip(found[:20], weights[:20], strict=True):
        drawn = resampled(table, row)
        np.testing.assert_array_equal(matrix, confusion_matrix(drawn["y_true"], drawn["y_pred"], labels=list("ABC")))


@pytest.mark.parametrize(
    ("measure", "by_scikit_learn"),
    [(weighted_auroc, roc_auc_score), (weighted_average_precision, average_precision_score)],
)
def test_ranking_equals_a_plain_loop(table, sample, weights, measure, by_scikit_learn):
    found = ranking_of_all(sample, weights=weights[:10], measure=measure)
    for values, row in zip(found, weights[:10], strict=True):
        drawn = resampled(table, row)
        expected = [by_scikit_learn(drawn["y_true"] == key, drawn[f"p_{key}"]) for key in "ABC"]
        np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_auroc_does_not_depend_on_the_block_size(sample, weights, monkeypatch):
    whole = ranking_of_all(sample, weights=weights, measure=weighted_auroc)
    monkeypatch.setattr(bootstrap, "BLOCK_WEIGHTS", 7 * len(sample.patient))
    np.testing.assert_array_equal(ranking_of_all(sample, weights=weights, measure=weighted_auroc), whole)


def test_interval_equals_a_plain_loop(table, sample, weights):
    looped = [(drawn["y_true"] == drawn["y_pred"]).mean() for drawn in (resampled(table, row) for row in weights)]
    interval = percentile_interval(accuracy(replicate_confusion(sample, weights=weights)), confidence=0.9)
    assert [interval.low, interval.high] == pytest.approx(list(np.quantile(looped, [0.05, 0.95])))
    assert interval.method == "patient-clustered bootstrap, percentile"


def test_one_patient_per_image_is_the_ordinary_bootstrap(make_answers):
    right = np.repeat([True, False], [60, 40])
    frame = make_answers(["A"] * 100, np.where(right, "A", "B"), classes="AB")
    sample = ClusteredSample.from_frame(out_of_fold(frame, classes="AB"), classes="AB")
    replicates = _accuracies(sample, n_replicates=4000)
    assert replicates.std() == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.05)


def test_images_that_repeat_their_patient_add_no_certainty(make_answers):
    right = np.repeat([True, False], [12, 8])
    frames = [
        make_answers(
            ["A"] * 20 * copies,
            np.repeat(np.where(right, "A", "B"), copies),
            classes="AB",
            patients=np.repeat([f"p{index:02d}" for index in range(20)], copies),
        )
        for copies in (1, 10)
    ]
    samples = [ClusteredSample.from_frame(out_of_fold(frame, classes="AB"), classes="AB") for frame in frames]
    once, ten_times = (_accuracies(sample, n_replicates=500) for sample in samples)
    np.testing.assert_allclose(once, ten_times)


def _accuracies(sample, *, n_replicates):
    weights = patient_weights(sample.n_patients, n_replicates=n_replicates, rng=np.random.default_rng(0))
    return accuracy(replicate_confusion(sample, weights=weights))


def test_merging_classes_keeps_the_question(sample):
    merged = sample.against(2)
    full = sample.confusion
    expected = [[full[:2, :2].sum(), full[:2, 2].sum()], [full[2, :2].sum(), full[2, 2]]]
    np.testing.assert_array_equal(merged.confusion, expected)
    weights = np.ones((1, sample.n_patients))
    assert (
        ranking_of_all(merged, weights=weights, measure=weighted_auroc)[0, 0]
        == ranking_of_all(sample, weights=weights, measure=weighted_auroc)[0, 2]
    )


def test_codes_do_not_depend_on_row_order(table, sample):
    shuffled = table.sample(frac=1, random_state=1)
    again = ClusteredSample.from_frame(shuffled, classes="ABC")
    np.testing.assert_array_equal(again.patient_confusion, sample.patient_confusion)
    np.testing.assert_array_equal(again.patient[np.argsort(shuffled.index)], sample.patient)


def obuchowski_variance(scores, positive, patient):
    """Variance of the AUROC of clustered images in closed form (Obuchowski 1997, 10.2307/2533958)."""
    ahead = (scores[positive][:, None] > scores[~positive]) + 0.5 * (scores[positive][:, None] == scores[~positive])
    n_patients, sums = patient.max() + 1, []
    for group, placement in ((positive, ahead.mean(axis=1)), (~positive, ahead.mean(axis=0))):
        by_patient = np.bincount(patient[group], weights=placement - ahead.mean(), minlength=n_patients)
        with_images = np.count_nonzero(np.bincount(patient[group]))
        sums.append((by_patient, with_images / (with_images - 1), group.sum()))
    (ours, of_ours, n), (theirs, of_theirs, m) = sums
    own = of_ours * (ours**2).sum() / n**2 + of_theirs * (theirs**2).sum() / m**2
    return own + 2 * n_patients / (n_patients - 1) * (ours * theirs).sum() / (n * m)


@pytest.mark.parametrize("images_each", [1, 3])
def test_spread_of_the_auroc_is_that_of_the_closed_form(images_each):
    """With one image per patient the closed form is that of DeLong."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(150), images_each)
    shared = rng.normal(size=150)[patient]
    positive = rng.random(len(patient)) < 0.4
    scores = positive + shared + rng.normal(size=len(patient))
    drawn = patient_weights(150, n_replicates=2000, rng=rng)[:, patient]
    spread = np.nanvar(weighted_auroc(scores, positive, weights=drawn))
    assert spread == pytest.approx(obuchowski_variance(scores, positive, patient), rel=0.15)
