"""Notebook 05: which predictions are wrong, what they look like, and where the network looks."""

from helpers.error_analysis.pictures import reading_crops
from helpers.error_analysis.ranking import count_kinds, pick_correct, rank_predictions, ranked_errors
from helpers.error_analysis.saliency import SaliencyMaps, explain, grad_cam

__all__ = [
    "SaliencyMaps",
    "count_kinds",
    "explain",
    "grad_cam",
    "pick_correct",
    "rank_predictions",
    "ranked_errors",
    "reading_crops",
]
