"""What was trained, from what, in words and numbers: the table of the notebook and `model.json`."""

from typing import Any

import pandas as pd
from torch import nn

from helpers.study.params import TrainingParams
from helpers.training.model import parameter_table
from helpers.training.weights import Initialisation


def describe(initialisation: Initialisation) -> pd.DataFrame:
    """The starting point as a table of two columns."""
    rows = {
        "initialisation": initialisation.name,
        "transfer learning": "yes" if initialisation.is_transfer else "no",
        "what it is": initialisation.note,
        "licence": initialisation.licence,
        "SHA-256": initialisation.sha256 or "–",
        "made for the window (HU)": _window(initialisation),
    }
    return pd.DataFrame(rows.items(), columns=["property", "value"])


def model_card(network: nn.Module, *, params: TrainingParams, initialisation: Initialisation) -> dict[str, Any]:
    """Facts about the model for `model.json`."""
    stages = parameter_table(network, params=params)
    return {
        "backbone": params.backbone,
        "initialisation": {
            "name": initialisation.name,
            "is_transfer": initialisation.is_transfer,
            "note": initialisation.note,
            "licence": initialisation.licence,
            "sha256": initialisation.sha256,
        },
        "parameters": int(stages["parameters"].sum()),
        "trainable": int(stages["trainable"].sum()),
        "stages": stages.to_dict("records"),
        "input": {
            "size_px": params.input_size,
            "intensity": params.intensity,
            "window_center": params.window_center,
            "window_width": params.window_width,
            "mean": list(initialisation.mean),
            "std": list(initialisation.std),
        },
    }


def _window(initialisation: Initialisation) -> str:
    if initialisation.window is None:
        return "–"
    center, width = initialisation.window
    return f"centre {center:.0f}, width {width:.0f}"
