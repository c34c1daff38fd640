"""What may have led to an error, named by rule; each cause is counted among right images too, since most are common."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from helpers.error_analysis.clustered import ratio_of_sums
from helpers.error_analysis.wording import with_interval
from helpers.study import EvaluationParams

#: Loss of height that makes a fracture (Genant 1993), and how near to it a height lies at the border.
FRACTURE_LOSS, BORDER = 0.20, 0.05
BESIDE_MM, THICK_MM, PADDED, UNSURE = 4.0, 3.0, 0.05, 0.6

Rule = Callable[[pd.DataFrame], pd.Series]


def _lowest_height(facts: pd.DataFrame) -> pd.Series:
    return facts[["anterior_ratio", "middle_ratio", "posterior_ratio"]].min(axis=1)


#: Cause → columns that it needs and its rule; a cause whose columns are missing is not looked for.
CAUSES: Mapping[str, tuple[tuple[str, ...], Rule]] = MappingProxyType(
    {
        "unsure network": (("confidence",), lambda facts: facts["confidence"] < UNSURE),
        "label in doubt": (("is_doubtful",), lambda facts: facts["is_doubtful"]),
        "height near the border": (
            ("anterior_ratio", "middle_ratio", "posterior_ratio"),
            lambda facts: (1 - _lowest_height(facts) - FRACTURE_LOSS).abs() <= BORDER,
        ),
        "fractured neighbour": (("neighbours_fractured",), lambda facts: facts["neighbours_fractured"] > 0),
        "degenerative mimic": (("mimics",), lambda facts: facts["mimics"].fillna("") != ""),
        "plane beside the middle": (("offset_mm",), lambda facts: facts["offset_mm"].abs() > BESIDE_MM),
        "thick slice": (("SliceThickness",), lambda facts: facts["SliceThickness"] >= THICK_MM),
        "image ends in the crop": (("padded_fraction",), lambda facts: facts["padded_fraction"] > PADDED),
    }
)


def find_causes(ranked: pd.DataFrame, *, facts: pd.DataFrame) -> pd.DataFrame:
    """Which rules hold for each prediction.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    facts
        sample_id and whatever is known of the samples: cohort, image index, truth; a column given here and in
        `ranked` is that of `ranked`.

    Returns
    -------
    One row per row of `ranked` and one bool column per cause whose columns are known.
    """
    further = facts[["sample_id", *facts.columns.difference(ranked.columns)]]
    known = ranked.merge(further, on="sample_id", how="left", validate="one_to_one")
    return pd.DataFrame(
        {
            cause: rule(known).to_numpy(dtype=bool)
            for cause, (columns, rule) in CAUSES.items()
            if all(column in known and known[column].notna().any() for column in columns)
        },
        index=ranked.index,
    )


def cause_table(ranked: pd.DataFrame, *, causes: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    """How often each cause holds among errors and among right predictions.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    causes
        Result of `find_causes`.
    params
        Section `evaluation` of the parameters: replicates, confidence and seed.

    Returns
    -------
    One row per cause, and one for errors without any, for reading; intervals by patients resampled.
    """
    is_error = ranked["is_error"].to_numpy(dtype=bool)
    listed = {cause: causes[cause].to_numpy() for cause in causes}
    listed["none of these"] = ~causes.any(axis=1).to_numpy()
    rows = []
    for cause, holds in listed.items():
        row: dict[str, object] = {"cause": cause, "errors": int(holds[is_error].sum())}
        for title, part in (("share of errors", is_error), ("share of right predictions", ~is_error)):
            row[title] = "–"
            if part.any():
                patients = ranked["PatientID"][part]
                share = ratio_of_sums(holds[part], np.ones(part.sum()), patients=patients, params=params)
                row[title] = with_interval(share, decimals=2)
        rows.append(row)
    return pd.DataFrame(rows)


def with_causes(errors: pd.DataFrame, *, ranked: pd.DataFrame, causes: pd.DataFrame) -> pd.DataFrame:
    """The ranked errors with `causes` in words and an empty `note` for a reader.

    Parameters
    ----------
    errors
        Result of `ranked_errors`.
    ranked, causes
        What was found, see `find_causes`.
    """
    words = causes.apply(lambda row: "; ".join(causes.columns[row.to_numpy(dtype=bool)]), axis=1)
    named = pd.DataFrame({"sample_id": ranked["sample_id"], "causes": words.astype(str)})
    listed = errors.merge(named, on="sample_id", how="left", validate="one_to_one").assign(note="")
    return listed.astype({"causes": str, "note": str})
