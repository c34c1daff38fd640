"""How long 10,000 bootstrap replicates of all metrics take for a cohort of the default study's size.

    nice -n 19 .venv/bin/python benchmarks/intervals.py

Three classes, 698 images of 350 patients, with invented scores. Beside it the plain way: scikit-learn once for each
replicate, of which far fewer are computed. Times are of the processor: other work on a machine changes them little.
"""

import logging
import time

import numpy as np
from sklearn import metrics as sk

from helpers.evaluation.bootstrap import ClusteredSample
from helpers.evaluation.resampling import Resampling, class_metrics, overall_metrics

N_IMAGES, N_PATIENTS, N_CLASSES = 698, 350, 3
N_REPLICATES, N_LOOPED = 10_000, 20


def invented_cohort(rng: np.random.Generator) -> ClusteredSample:
    """Images with about the right answer in four of five, at least one for each patient."""
    patient = np.concatenate([np.arange(N_PATIENTS), rng.integers(N_PATIENTS, size=N_IMAGES - N_PATIENTS)])
    reference = rng.integers(N_CLASSES, size=N_IMAGES)
    logits = 2 * np.eye(N_CLASSES)[reference] + rng.normal(size=(N_IMAGES, N_CLASSES))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ClusteredSample(reference, scores.argmax(axis=1), scores, patient, np.arange(N_IMAGES))


def all_metrics(sample: ClusteredSample) -> int:
    """Every metric with its interval; returns their number."""
    rng = np.random.default_rng(0)
    resampling = Resampling.draw(sample, n_replicates=N_REPLICATES, confidence=0.95, rng=rng)
    by_class = [class_metrics(resampling, code) for code in range(N_CLASSES)]
    return len(overall_metrics(resampling)) + sum(map(len, by_class))


def looped(sample: ClusteredSample) -> None:
    """The same metrics by scikit-learn, patients drawn and their images collected in a loop."""
    rng, rows_of = np.random.default_rng(0), [np.flatnonzero(sample.patient == code) for code in range(N_PATIENTS)]
    for _ in range(N_LOOPED):
        rows = np.concatenate([rows_of[code] for code in rng.integers(N_PATIENTS, size=N_PATIENTS)])
        reference, predicted, scores = sample.reference[rows], sample.predicted[rows], sample.scores[rows]
        for score in (sk.accuracy_score, sk.balanced_accuracy_score, sk.cohen_kappa_score, sk.matthews_corrcoef):
            score(reference, predicted)
        sk.precision_recall_fscore_support(reference, predicted)
        sk.log_loss(reference, scores)
        for code in range(N_CLASSES):
            positive, called = reference == code, predicted == code
            sk.roc_auc_score(positive, scores[:, code])
            sk.average_precision_score(positive, scores[:, code])
            sk.recall_score(~positive, ~called)
            sk.precision_score(~positive, ~called)


def main() -> None:
    """Time both."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sample = invented_cohort(np.random.default_rng(0))
    start = time.process_time()
    n_metrics = all_metrics(sample)
    logging.info("%d metrics, %d replicates: %.2f s", n_metrics, N_REPLICATES, time.process_time() - start)
    start = time.process_time()
    looped(sample)
    seconds = time.process_time() - start
    logging.info("scikit-learn in a loop, %d replicates: %.2f s", N_LOOPED, seconds)
    logging.info("that is %.0f ms for each of them", 1000 * seconds / N_LOOPED)


if __name__ == "__main__":
    main()
