"""What simulation says of the intervals: the note beside those that hold the truth less often than they promise.

coverage.csv is written by ``benchmarks/coverage.py`` from the cohorts of `helpers.evaluation.simulation`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import pandas as pd

from helpers.evaluation.estimates import Metric
from helpers.evaluation.metrics import metric_title

# A nominal 95 % interval that holds the truth less often than this in a simulated cohort gets a note.
ACCEPTED = 0.93


@cache
def coverage_table() -> pd.DataFrame:
    """One row per simulated cohort and metric: how often nominal 95 % intervals held the true value."""
    return pd.read_csv(files("helpers.evaluation").joinpath("coverage.csv"))


def coverage_by_size() -> pd.DataFrame:
    """`coverage_table` for reading: worst and best of the simulated settings, by number of patients.

    Beside it the worst of percentiles of the same replicates, which some of these intervals replace.
    """
    rows = []
    for name, settings in coverage_table().groupby("metric", sort=False):
        ends = settings.groupby("n_patients")["coverage"].agg(["min", "max"])
        row = {f"{size} patients": f"{100 * low:.0f}–{100 * high:.0f} %" for size, low, high in ends.itertuples()}
        worst = settings["percentile_coverage"].min()
        row["percentiles, at worst"] = None if pd.isna(worst) else f"{100 * worst:.0f} %"
        rows.append({"metric": metric_title(name)} | row)
    return pd.DataFrame(rows)


def with_coverage_notes(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """The same metrics, with a note where intervals like theirs were too short in simulated cohorts of that size."""
    return {name: _noted(name, metric) for name, metric in metrics.items()}


def _noted(name: str, metric: Metric) -> Metric:
    lowest = _lowest_coverage().get(name)
    if lowest is None or metric.ci_low is None:
        return metric
    # The largest simulated cohort that is not larger than this one: fewer patients are harder.
    size = max([n for n in lowest.index if n <= metric.n_patients], default=lowest.index.min())
    if lowest[size] >= ACCEPTED:
        return metric
    return metric.with_note(
        f"in simulated cohorts of {size} patients, at worst {100 * lowest[size]:.0f} % of nominal 95 % intervals held "
        "the truth"
    )


@cache
def _lowest_coverage() -> dict[str, pd.Series]:
    lowest = coverage_table().groupby(["metric", "n_patients"])["coverage"].min()
    return {name: values.droplevel("metric") for name, values in lowest.groupby("metric")}
