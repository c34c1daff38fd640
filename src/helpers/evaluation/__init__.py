"""Evaluation room (notebook 04): from stored logits to metrics with patient-clustered intervals.

`evaluate` is the way in. Figures live in `helpers.evaluation.plots`, which alone imports matplotlib.
"""

from helpers.evaluation.checks import all_metrics, consistency_checks, require_passed
from helpers.evaluation.curves import roc_points
from helpers.evaluation.estimates import Metric
from helpers.evaluation.predictions import PredictionsError, fold_predictions, out_of_fold, training_predictions
from helpers.evaluation.summary import Evaluation, EvaluationError, evaluate, headline
from helpers.evaluation.tables import answers_side_by_side, external_table, readable, worth_by_prevalence

__all__ = [
    "Evaluation",
    "EvaluationError",
    "Metric",
    "PredictionsError",
    "all_metrics",
    "answers_side_by_side",
    "consistency_checks",
    "evaluate",
    "external_table",
    "fold_predictions",
    "headline",
    "out_of_fold",
    "readable",
    "require_passed",
    "roc_points",
    "training_predictions",
    "worth_by_prevalence",
]
