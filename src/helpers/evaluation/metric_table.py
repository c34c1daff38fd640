"""Metrics by group in their written forms: a tidy table, a table to be read, and plain values for metrics.json."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.tables import METRIC_DTYPES, NO_BREAK_DASH

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


def metric_table(
    groups: Mapping[str, Mapping[str, Metric]], *, titles: Mapping[str, str], group: str = "of"
) -> pd.DataFrame:
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


def plain_values(groups: Mapping[str, Mapping[str, Metric]]) -> dict[str, dict[str, dict]]:
    """Content of metrics.json for metrics by name, by group."""
    return {group: {name: metric.to_json_dict() for name, metric in found.items()} for group, found in groups.items()}


def plain_rows(table: pd.DataFrame) -> list[dict]:
    """Rows of a table for metrics.json; what is missing becomes None, which JSON knows."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The table with words for its columns, without those that hold nothing; a small p is a bound, never 0."""
    chances = {name: table[name].map(p_in_words) for name in ("p_value", "p_holm") if name in table}
    return table.assign(**chances).dropna(axis="columns", how="all").rename(columns=COLUMN_WORDS)


def p_in_words(p: float) -> str | None:
    """Three decimals, or a bound below them."""
    if pd.isna(p):
        return None
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"  # a space that does not break


def side_by_side(tables: Mapping[str, pd.DataFrame], *, group: str = "of", decimals: int = 3) -> pd.DataFrame:
    """Estimates and intervals of several tables of `metric_table` as text, one column for each table.

    Parameters
    ----------
    tables
        Tables with the same groups and metrics, by the name of their column.
    group
        Name of the first column.
    decimals
        Of all numbers.
    """
    first = next(iter(tables.values()))
    columns = {
        name: [_in_words(row, decimals=decimals) for row in table.itertuples()] for name, table in tables.items()
    }
    return pd.DataFrame({group: first[group], "metric": first["title"]} | columns)


def _in_words(row: tuple, *, decimals: int) -> str:
    if pd.isna(row.estimate):
        return "not defined"
    estimate = f"{row.estimate:.{decimals}f}"
    if pd.isna(row.ci_low):
        return estimate
    return f"{estimate} ({row.ci_low:.{decimals}f}{NO_BREAK_DASH}{row.ci_high:.{decimals}f})"
