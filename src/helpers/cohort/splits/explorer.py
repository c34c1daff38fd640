"""Who is in which part of which fold: a table to choose from in JupyterLab, all folds in the report."""

from collections.abc import Mapping, Sequence
from functools import partial

import ipywidgets
import pandas as pd

from helpers.study.display import table_html
from helpers.study.live import Live
from helpers.study.schemas import SPLITS

ALL = ""  # of a dropdown without a choice; None would leave it blank in the browser
MAX_ROWS = 80


def explore_splits(table: pd.DataFrame, splits: pd.DataFrame, *, class_names: Mapping[str, str]) -> Live:
    """Choose a fold and a part, and see its patients.

    Parameters
    ----------
    table
        Cohort table.
    splits
        Long table sample_id, fold, split.
    class_names
        Class key to name, in order.
    """
    placed = splits.merge(table[["sample_id", "PatientID", "label", "level"]], on="sample_id", validate="many_to_one")
    return Live(
        partial(explored, placed, class_names=class_names),
        fold=_dropdown("Fold", [str(fold) for fold in sorted(placed["fold"].unique())]),
        split=_dropdown("Part", SPLITS),
    )


def _dropdown(description: str, values: Sequence[str]) -> ipywidgets.Dropdown:
    options = [("all", ALL), *((value, value) for value in values)]
    return ipywidgets.Dropdown(options=options, value=ALL, description=description)


def explored(placed: pd.DataFrame, *, class_names: Mapping[str, str], fold: str = ALL, split: str = ALL) -> str:
    """Counts of the parts that are left, and of one part of one fold its patients, as HTML.

    Parameters
    ----------
    placed
        A row for each sample and fold: sample_id, PatientID, label, level, fold, split.
    class_names
        Class key to name, in order.
    fold, split
        The choice, `ALL` by default.
    """
    chosen = placed[placed["fold"].astype(str).eq(fold) | (fold == ALL)]
    chosen = chosen[chosen["split"].eq(split) | (split == ALL)]
    counts = table_html(
        part_counts(chosen, class_names=class_names), caption="Patients and samples of each part", max_rows=MAX_ROWS
    )
    if ALL in (fold, split):
        return counts
    people = patients(chosen, class_names=class_names)
    return counts + table_html(people, caption=f"Patients of {split}, fold {fold}", max_rows=MAX_ROWS)


def part_counts(placed: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """One row per fold and part in order: fold, part, patients, samples, and the samples of each class by its name."""
    groups = placed.groupby(["fold", "split"])
    counts = groups.agg(patients=("PatientID", "nunique"), samples=("sample_id", "size"))
    counts = counts.join(_by_class(placed, ["fold", "split"], class_names=class_names)).reset_index()
    order = counts["split"].map(SPLITS.index)
    counts = counts.assign(order=order).sort_values(["fold", "order"]).drop(columns="order")
    return counts.rename(columns={"split": "part"}).reset_index(drop=True)


def patients(placed: pd.DataFrame, *, class_names: Mapping[str, str]) -> pd.DataFrame:
    """One row per patient: PatientID, samples, the samples of each class by its name, and the levels where known."""
    counts = placed.groupby("PatientID").agg(samples=("sample_id", "size"))
    counts = counts.join(_by_class(placed, ["PatientID"], class_names=class_names))
    levels = placed.dropna(subset="level").groupby("PatientID")["level"].agg(lambda found: ", ".join(map(str, found)))
    return counts.join(levels).reset_index()


def _by_class(placed: pd.DataFrame, keys: list[str], *, class_names: Mapping[str, str]) -> pd.DataFrame:
    counts = placed.groupby([*keys, "label"]).size().unstack("label", fill_value=0)
    return counts.reindex(columns=list(class_names), fill_value=0).set_axis(list(class_names.values()), axis=1)
