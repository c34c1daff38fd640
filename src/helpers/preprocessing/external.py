"""Cache the external cohorts of a run exactly as its own cohort is cached."""

from collections.abc import Callable, Sequence
from typing import Optional

import pandas as pd

from helpers.cohort import open_source
from helpers.preprocessing.cache import cache_images
from helpers.study import ExternalCohort, PreprocessingParams, Run


def cache_external(
    cohorts: Sequence[ExternalCohort],
    params: PreprocessingParams,
    *,
    run: Run,
    report: Optional[Callable[[int, int], None]] = None,
) -> pd.DataFrame:
    """Write `external_images/<name>.npy` for every cohort.

    Parameters
    ----------
    cohorts
        At least one; their samples are those of `external.parquet`.
    params
        Section `preprocessing`, the same as for the run's own cohort.
    run
        Run folder that is written to.
    report
        Called as ``report(done, total)`` within each cohort.

    Returns
    -------
    The image indexes of all cohorts with the column cohort, as `cache_images` gives them.
    """
    table, parts = run.read_table("external"), []
    for cohort in cohorts:
        samples = table[table["cohort"] == cohort.name].reset_index(drop=True)
        index = cache_images(
            samples,
            params,
            source=open_source(cohort),
            run=run,
            report=report,
            name=f"external_images/{cohort.name}.npy",
        )
        index.insert(0, "cohort", cohort.name)
        parts.append(index)
    return pd.concat(parts, ignore_index=True)
