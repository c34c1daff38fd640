"""Numbers with their intervals as they stand in the tables of notebook 05."""

import math

from helpers.evaluation.estimates import Metric
from helpers.evaluation.tables import NO_BREAK_DASH


def with_interval(metric: Metric, *, decimals: int) -> str:
    """The estimate, with its interval in brackets where it has one; a dash where it is undefined."""
    if math.isnan(metric.estimate):
        return "–"
    estimate = f"{metric.estimate:.{decimals}f}"
    if metric.ci_low is None:
        return estimate
    return f"{estimate} ({metric.ci_low:.{decimals}f}{NO_BREAK_DASH}{metric.ci_high:.{decimals}f})"
