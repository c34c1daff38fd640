"""Notebook 05: which predictions are wrong, what they look like, and where the network looks."""

from helpers.error_analysis.callipers import compare_callipers
from helpers.error_analysis.external import describe_shown, most_disputed
from helpers.error_analysis.localisation import localisation_table, localise, pick_typical, target_masks
from helpers.error_analysis.pictures import reading_crops
from helpers.error_analysis.ranking import count_kinds, pick_correct, rank_predictions, ranked_errors
from helpers.error_analysis.saliency import SaliencyMaps, explain, grad_cam
from helpers.error_analysis.strata import errors_by_truth

__all__ = [
    "SaliencyMaps",
    "compare_callipers",
    "count_kinds",
    "describe_shown",
    "errors_by_truth",
    "explain",
    "grad_cam",
    "localisation_table",
    "localise",
    "most_disputed",
    "pick_correct",
    "pick_typical",
    "rank_predictions",
    "ranked_errors",
    "reading_crops",
    "target_masks",
]
