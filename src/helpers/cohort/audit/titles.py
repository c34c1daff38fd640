"""Columns of the cohort table by names for people, and the tables of the audit that name columns."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from helpers.cohort.audit.table_one import VARIABLES

SMALLEST_P = 0.001  # smaller ones are not told apart
#: Column of the cohort table -> its name, with its unit.
COLUMN_TITLES: Mapping[str, str] = MappingProxyType(
    {
        **VARIABLES,
        "Manufacturer": "manufacturer",
        "ManufacturerModelName": "scanner model",
        "XRayTubeCurrent": "tube current (mA)",
        "Exposure": "exposure (mAs)",
        "Rows": "rows of the image",
        "Columns": "columns of the image",
    }
)
ASSOCIATIONS = {
    "column": "header value", "kind": "kind", "n_missing": "missing", "effect": "effect", "ci_low": "from",
    "ci_high": "to", "p_holm": "p after Holm",
}  # fmt: skip
MODELS = {
    "model": "model", "columns": "what it sees", "auroc": "AUROC", "ci_low": "from", "ci_high": "to",
    "n_patients": "patients",
}  # fmt: skip


def association_table(confounds: pd.DataFrame) -> pd.DataFrame:
    """The audit's table `confounds` for people; read back from JSON, one without rows may have lost its columns."""
    shown = confounds.reindex(columns=list(ASSOCIATIONS))
    shown = shown.assign(column=shown["column"].map(_titles), p_holm=shown["p_holm"].map(_p_in_words))
    return shown.rename(columns=ASSOCIATIONS)


def model_table(models: pd.DataFrame) -> pd.DataFrame:
    """The audit's table `metadata_model` for people; it may have lost its columns likewise."""
    shown = models.reindex(columns=list(MODELS))
    return shown.assign(columns=shown["columns"].map(_titles)).rename(columns=MODELS)


def _titles(columns: str) -> str:
    """Columns that are listed with commas, by their titles."""
    return ", ".join(COLUMN_TITLES.get(name, name) for name in columns.split(", "))


def _p_in_words(value: float) -> str:
    return f"< {SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"
