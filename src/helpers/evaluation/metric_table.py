"""Metrics by group in their written forms: a tidy table, a table to be read, and plain values for metrics.json."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.tables import METRIC_DTYPES, interval_in_words

Groups = Mapping[str, Mapping[str, Metric]]
EVERY_IMAGE = "all images"
COLUMN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "rival": "against",
        "model_value": "model",
        "rival_value": "rival",
        "coverage": "share accepted",
        "threshold": "from probability",
        "n_accepted": "images accepted",
        "error": "share wrong",
        "ci_low": "interval from",
        "ci_high": "to",
        "p_value": "p",
        "p_holm": "p after Holm",
        "n_samples": "images",
        "n_patients": "patients",
        "n_left_out": "images left out",
        "within_bins": "within bins",
        "low": "at least",
        "high": "at most",
    }
)


def metric_table(groups: Groups, *, titles: Mapping[str, str], group: str = "of") -> pd.DataFrame:
    """One row per group and metric.

    Parameters
    ----------
    groups
        Metrics by name, by group.
    titles
        Words for each metric's name.
    group
        Name of the first column.
    """
    rows = [
        {group: key, "metric": name, "title": titles[name], **metric.to_json_dict()}
        for key, metrics in groups.items()
        for name, metric in metrics.items()
    ]
    dtypes = {group: "string", "metric": "string", "title": "string", **METRIC_DTYPES}
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def plain_values(groups: Groups) -> dict[str, dict[str, dict]]:
    """Content of metrics.json for metrics by name, by group."""
    return {group: {name: metric.to_json_dict() for name, metric in found.items()} for group, found in groups.items()}


def plain_rows(table: pd.DataFrame) -> list[dict]:
    """Rows of a table for metrics.json; what is missing becomes None, which JSON knows."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def stacked(tables: Mapping[str, pd.DataFrame], *, name: str) -> pd.DataFrame:
    """Tables of the same columns below each other, with their keys in a first column `name`; at least one."""
    return pd.concat(tables, names=[name]).reset_index(name)


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table with words for its columns, without those that hold nothing; a small p is a bound, never 0."""
    chances = {name: table[name].map(p_in_words) for name in ("p_value", "p_holm") if name in table}
    return table.assign(**chances).dropna(axis="columns", how="all").rename(columns=COLUMN_WORDS)


def p_in_words(p: float) -> str | None:
    """Three decimals, or a bound below them."""
    if pd.isna(p):
        return None
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"  # a space that does not break


def side_by_side(
    columns: Mapping[str, Groups], *, titles: Callable[[str], str], group: str = "of", decimals: int = 3
) -> pd.DataFrame:
    """Estimates with intervals as text: a row for each group and metric that any column has.

    Parameters
    ----------
    columns
        Metrics by name, by group, by the name of their column.
    titles
        From a metric's name to its words.
    group
        Name of the first column.
    decimals
        Of all numbers.
    """
    groups = [(key, name) for found in columns.values() for key, metrics in found.items() for name in metrics]
    rows = list(dict.fromkeys(groups))
    cells = {
        column: [interval_in_words(found.get(key, {}).get(name), decimals=decimals) for key, name in rows]
        for column, found in columns.items()
    }
    return pd.DataFrame({group: [key for key, _ in rows], "metric": [titles(name) for _, name in rows]} | cells)
