"""Two columns at once: is a combination of two groups worse than each of them leads to expect? Small ones are left out.

Expected is the sum of what the two groups add to the error rate, by least squares; what a combination adds to it is
tested by the score test of `subgroups`, with both columns held fixed. A pair of columns is looked at only where every
combination of its groups is large enough, since a rate of few patients says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from helpers.error_analysis.subgroups import (
    MIN_IMAGES,
    MIN_PATIENTS,
    counted_errors,
    known_groups,
    score_test,
    unexplained,
    with_errors,
    with_holm,
)
from helpers.study import EvaluationParams

COLUMNS = [
    "factor", "group", "images", "patients", "errors", "error_rate", "ci_low", "ci_high", "expected", "p", "p_holm",
]  # fmt: skip


@dataclass(frozen=True)
class Combinations:
    """Error rates where two groups meet.

    Attributes
    ----------
    table
        The combination with the smallest p of each pair of columns, the smallest first: factor, group, images,
        patients, errors, error_rate with ci_low and ci_high by patients resampled, the rate that is expected of the two
        groups, p of no difference to it, and p_holm, corrected for all combinations of all pairs.
    n_pairs, n_large_enough, n_tested
        Pairs of columns; those of which every combination has `MIN_IMAGES` images and `MIN_PATIENTS` patients; and the
        combinations of these.
    """

    table: pd.DataFrame
    n_pairs: int
    n_large_enough: int
    n_tested: int


def errors_by_combination(ranked: pd.DataFrame, *, cohort: pd.DataFrame, params: EvaluationParams) -> Combinations:
    """Error rate of images that two columns of the cohort table put into the same two groups.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    cohort
        The cohort table.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.
    """
    tested = with_errors(cohort, ranked=ranked)
    pairs = list(combinations(_different(known_groups(tested)).items(), 2))
    by_pair = [_tested(tested.assign(first=firsts, second=seconds)) for (_, firsts), (_, seconds) in pairs]
    names = [f"{first} × {second}" for (first, _), (second, _) in pairs]
    found = [cell | {"factor": name} for name, cells in zip(names, by_pair, strict=True) for cell in cells]
    counts = {"n_pairs": len(pairs), "n_large_enough": sum(map(bool, by_pair)), "n_tested": len(found)}
    if not found:
        return Combinations(pd.DataFrame(columns=COLUMNS), **counts)
    # where both columns have two groups, all four combinations have one p, but for rounding
    ordered = with_holm(pd.DataFrame(found)).round({"p": 12}).sort_values(["p", "found"], ascending=[True, False])
    worst = ordered.drop_duplicates("factor").reset_index(drop=True)
    counted = [counted_errors(tested.loc[images], params=params) for images in worst["index"]]
    return Combinations(worst.join(pd.DataFrame(counted, columns=COLUMNS[2:8]))[COLUMNS], **counts)


def _different(groupings: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """Of columns that divide the images alike only the first."""
    codes = {pd.factorize(groups)[0].tobytes(): factor for factor, groups in reversed(groupings.items())}
    return {factor: groups for factor, groups in groupings.items() if factor in codes.values()}


def _tested(divided: pd.DataFrame) -> list[dict[str, object]]:
    """Each combination of the columns `first` and `second` against what both lead to expect; none if one is small."""
    known = divided.dropna(subset=["first", "second"]).astype({"first": str, "second": str})
    cells = known.groupby(["first", "second"])["PatientID"].agg(["size", "nunique"])
    is_complete = len(cells) == known["first"].nunique() * known["second"].nunique()
    if not (is_complete and (cells["size"] >= MIN_IMAGES).all() and (cells["nunique"] >= MIN_PATIENTS).all()):
        return []
    wrong, patients = known["is_error"].to_numpy(dtype=float), known["PatientID"]
    given = np.column_stack([np.ones(len(known)), pd.get_dummies(known[["first", "second"]], dtype=float)])
    expected = wrong - unexplained(wrong, given=given)
    found = []
    for first, second in cells.index:
        inside = ((known["first"] == first) & (known["second"] == second)).to_numpy()
        found.append(
            {
                "group": f"{first}, {second}",
                "index": known.index[inside],
                "found": wrong[inside].mean(),
                "expected": expected[inside].mean().clip(0, 1),
                "p": score_test(wrong, inside=inside, patients=patients, given=given),
            }
        )
    return found


def describe_combinations(found: Combinations, *, confidence: float) -> str:
    """What was looked at and found, in sentences.

    Parameters
    ----------
    found
        Result of `errors_by_combination`.
    confidence
        Above 1 minus this a corrected p value is no finding.
    """
    least = f"at least {MIN_IMAGES} images of {MIN_PATIENTS} patients in every combination of their groups"
    if not found.n_tested:
        return f"Two columns at once: no pair of columns has {least}, so no combination was looked at."
    n_differing = int((found.table["p_holm"] < 1 - confidence).sum())
    first = found.table.iloc[0]
    rates = f"{100 * first['error_rate']:.1f} % wrong, {100 * first['expected']:.1f} % expected"
    return (
        f"Two columns at once: of {found.n_pairs} pairs {found.n_large_enough} have {least}, and so "
        f"{found.n_tested} combinations were looked at. A combination that differs beyond chance from what its two "
        f"groups lead to expect is found in {n_differing or 'none'} of these pairs. The smallest p is that of "
        f"{first['factor']}: {first['group']} ({first['images']} images, {rates}; p = {first['p_holm']:.2g} after "
        "correction)."
    )
