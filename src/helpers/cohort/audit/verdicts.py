"""A verdict of the audit, and what the checks are given to reach it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Optional

import pandas as pd

from helpers.cohort.reading import Cohort
from helpers.study import CohortParams, SplitParams

MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Verdict:
    """One finding of the audit.

    Attributes
    ----------
    status
        `pass`, `warn` (look at it) or `fail` (a number drawn from these splits would mislead).
    checked
        The sentence that was tested.
    found
        How many cases speak against it.
    detail
        What that means here; names attributes and columns, never a value that could identify a person.
    examples
        Up to five `sample_id`, sorted.
    """

    status: Literal["pass", "warn", "fail"]
    checked: str
    found: int
    detail: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditContext:
    """What a check may look at.

    Attributes
    ----------
    cohort
        As `read_cohort` gives it.
    params
        Section `cohort` of the parameters, or one of the external cohorts.
    splits
        Long table sample_id, fold, split; None for an external cohort, which is not divided.
    split_params
        Section `splits`; None for an external cohort.
    """

    cohort: Cohort
    params: CohortParams
    splits: Optional[pd.DataFrame] = None
    split_params: Optional[SplitParams] = None

    @property
    def table(self) -> pd.DataFrame:
        """The cohort table."""
        return self.cohort.table

    @property
    def simulated(self) -> bool:
        """Whether the cohort is the simulated one."""
        return self.params.source == "phantom"

    @cached_property
    def placed(self) -> pd.DataFrame:
        """The cohort table once per fold, with the columns fold and split; only where the cohort was divided."""
        return self.splits.merge(self.table.drop(columns="split", errors="ignore"), on="sample_id", validate="m:1")


def examples(samples: Iterable[str]) -> tuple[str, ...]:
    """The first few names, sorted."""
    return tuple(sorted(set(samples))[:MAX_EXAMPLES])
