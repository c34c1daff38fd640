"""Notebook 03: a modified ResNet, transfer learning, and training that can be interrupted and repeated."""

from helpers.training.augmentation import InputTransform
from helpers.training.card import describe, model_card
from helpers.training.crossvalidation import CrossValidation, choose_device, cross_validate, load_network
from helpers.training.data import Samples, TrainingDataError
from helpers.training.external import read_cohorts, score_cohorts
from helpers.training.model import build_model, parameter_table
from helpers.training.registry import register_weights
from helpers.training.weights import Initialisation, WeightsError, load_initialisation

__all__ = [
    "CrossValidation",
    "Initialisation",
    "InputTransform",
    "Samples",
    "TrainingDataError",
    "WeightsError",
    "build_model",
    "choose_device",
    "cross_validate",
    "describe",
    "load_initialisation",
    "load_network",
    "model_card",
    "parameter_table",
    "read_cohorts",
    "register_weights",
    "score_cohorts",
]
