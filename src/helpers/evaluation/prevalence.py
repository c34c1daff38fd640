"""What an answer would be worth where fractures are rarer or more frequent than in this cohort.

Sensitivity and specificity are carried over, predictive values follow by Bayes' rule. That holds only while fractures
and normal images elsewhere look as they do here: a prevalence often changes together with the spectrum of severity.
"""

import math
from collections.abc import Sequence

from helpers.evaluation.estimates import Metric, Support
from helpers.evaluation.intervals import Interval, ratio_interval

AT_PREVALENCE = "limits of sensitivity and specificity combined (Donner & Zou)"


def predictive_values(
    sensitivity: Metric, specificity: Metric, *, prevalences: Sequence[float], support: Support
) -> dict[str, Metric]:
    """PPV and NPV at each prevalence, under the keys ``ppv_at_<prevalence>`` and ``npv_at_<prevalence>``.

    Parameters
    ----------
    sensitivity, specificity
        Of the answer, with their intervals, which are combined as if they were independent.
    prevalences
        Shares of positives in (0, 1).
    support
        Samples and patients that both stand on.
    """
    values = {}
    for prevalence in prevalences:
        odds = prevalence / (1 - prevalence)
        values[f"ppv_at_{prevalence:g}"] = _value(sensitivity, specificity, odds=odds, support=support)
        values[f"npv_at_{prevalence:g}"] = _value(specificity, sensitivity, odds=1 / odds, support=support)
    return values


def _value(right: Metric, other: Metric, *, odds: float, support: Support) -> Metric:
    """Chance that an answer is right: `odds` before it, times its share of `right` over the share of wrong answers."""
    wrong = 1 - other.estimate
    interval, note = None, None
    if math.isnan(right.estimate) or math.isnan(wrong) or right.estimate + wrong == 0:
        estimate, note = math.nan, "undefined: no such answer is given, or a group is missing"
    else:
        estimate = odds * right.estimate / (odds * right.estimate + wrong)
        if right.ci_low is None or other.ci_low is None:
            note = "no interval: sensitivity or specificity has none"
        else:
            interval = _limits(right, other, odds=odds)
    return Metric(
        estimate=estimate,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        ci_method=None if interval is None else interval.method,
        n_samples=support.n_samples,
        n_patients=support.n_patients,
        note=note,
    )


def _limits(right: Metric, other: Metric, *, odds: float) -> Interval:
    top = (right.estimate, Interval(right.ci_low, right.ci_high, right.ci_method))
    bottom = (1 - other.estimate, Interval(1 - other.ci_high, 1 - other.ci_low, other.ci_method))
    low, high = (odds * limit for limit in ratio_interval(top, bottom))
    return Interval(low / (1 + low), 1.0 if math.isinf(high) else high / (1 + high), AT_PREVALENCE)
