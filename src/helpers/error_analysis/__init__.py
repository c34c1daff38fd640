"""Notebook 05: which predictions are wrong, what they look like, where the network looks, and what it withstands."""

from helpers.error_analysis.browser import browse_errors
from helpers.error_analysis.callipers import compare_callipers
from helpers.error_analysis.causes import cause_table, find_causes, with_causes
from helpers.error_analysis.combinations import describe_combinations, errors_by_combination
from helpers.error_analysis.dependence import mean_probabilities, probability_table
from helpers.error_analysis.embedding import FeatureSpace, nearest_training, neighbour_gallery, probe_table
from helpers.error_analysis.external import cached_cohorts, describe_shown, most_disputed
from helpers.error_analysis.feature_maps import (
    describe_map,
    map_colourings,
    neighbour_map,
    pick_mapped,
    principal_map,
    trust,
)
from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.label_errors import doubt_table, rank_labels, review_list
from helpers.error_analysis.localisation import (
    describe_localisation,
    localisation_table,
    localise,
    measure_localisation,
    pick_typical,
    target_masks,
)
from helpers.error_analysis.mimics import simulated_mimics
from helpers.error_analysis.morphometry import (
    compare_measures,
    comparison_rows,
    describe_comparisons,
    error_table,
    measure_bodies,
)
from helpers.error_analysis.pictures import reading_crops
from helpers.error_analysis.planted_labels import planted_lists, trained_worth, worth_table
from helpers.error_analysis.ranking import (
    calibrated_out_of_fold,
    count_kinds,
    pick_correct,
    pick_explained,
    rank_predictions,
    ranked_errors,
)
from helpers.error_analysis.robustness import (
    NOTABLE_DROP,
    breaking_points,
    pick_balanced,
    robustness_table,
    stress,
)
from helpers.error_analysis.saliency import SaliencyMaps, explain, layer_cam
from helpers.error_analysis.saliency_checks import agreement_table, cell_means, occlude, randomised_cascade
from helpers.error_analysis.strangers import Novelty, novelty_table, planted_groups, warn_of_strangers
from helpers.error_analysis.strata import errors_by_truth
from helpers.error_analysis.subgroups import describe_subgroups, errors_by_subgroup
from helpers.error_analysis.wording import with_titles
from helpers.study.spreadsheets import without_formulas

__all__ = [
    "NOTABLE_DROP",
    "FeatureSpace",
    "HeldOut",
    "Novelty",
    "SaliencyMaps",
    "agreement_table",
    "breaking_points",
    "browse_errors",
    "cached_cohorts",
    "calibrated_out_of_fold",
    "cause_table",
    "cell_means",
    "compare_callipers",
    "compare_measures",
    "comparison_rows",
    "count_kinds",
    "describe_combinations",
    "describe_comparisons",
    "describe_localisation",
    "describe_map",
    "describe_subgroups",
    "describe_shown",
    "doubt_table",
    "error_table",
    "errors_by_combination",
    "errors_by_subgroup",
    "errors_by_truth",
    "explain",
    "find_causes",
    "layer_cam",
    "localisation_table",
    "localise",
    "mean_probabilities",
    "measure_bodies",
    "measure_localisation",
    "most_disputed",
    "nearest_training",
    "neighbour_gallery",
    "map_colourings",
    "neighbour_map",
    "novelty_table",
    "occlude",
    "pick_balanced",
    "pick_correct",
    "pick_explained",
    "pick_mapped",
    "pick_typical",
    "planted_groups",
    "planted_lists",
    "principal_map",
    "probability_table",
    "probe_table",
    "randomised_cascade",
    "rank_labels",
    "rank_predictions",
    "ranked_errors",
    "reading_crops",
    "review_list",
    "robustness_table",
    "simulated_mimics",
    "stress",
    "target_masks",
    "trained_worth",
    "trust",
    "warn_of_strangers",
    "with_causes",
    "with_titles",
    "without_formulas",
    "worth_table",
]
