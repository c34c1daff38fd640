"""A verdict of the audit, and what the checks are given to reach it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Optional

import pandas as pd

from helpers.cohort.pixels.copies import copy_groups
from helpers.cohort.reading import Cohort
from helpers.study import CohortParams, SplitParams

MAX_EXAMPLES = 5
SINGULAR = {"studies": "study", "series": "series"}


@dataclass(frozen=True)
class Verdict:
    """One finding of the audit.

    Attributes
    ----------
    status
        `pass`, `warn` (look at it), `fail` (a number drawn from these splits would mislead) or `untested` (could not
        be tested on this cohort).
    checked
        The sentence that was tested.
    found
        How many cases speak against it.
    detail
        What that means here; names attributes and columns, never a value that could identify a person.
    examples
        Up to five `sample_id`, sorted.
    """

    status: Literal["pass", "warn", "fail", "untested"]
    checked: str
    found: int
    detail: str
    examples: tuple[str, ...] = ()

    def to_json_dict(self) -> dict[str, Any]:
        """The verdict as `audit.json` holds it."""
        return asdict(self) | {"examples": list(self.examples)}


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
    def near_copies(self) -> pd.DataFrame:
        """The pairs of `cohort.copies` whose pixels are not identical, with the patient of each sample.

        Columns as `find_copies` gives them, and patient_a, patient_b.
        """
        copies = self.cohort.copies
        patients = self.table.set_index("sample_id")["PatientID"]
        both = copies["sample_a"].isin(patients.index) & copies["sample_b"].isin(patients.index)
        near = copies[both & (copies["kind"] != "identical")]
        return near.assign(patient_a=near["sample_a"].map(patients), patient_b=near["sample_b"].map(patients))

    @cached_property
    def placed(self) -> pd.DataFrame:
        """The cohort table once per fold, with the columns fold, split and copy_group; only where it was divided.

        Samples of one copy_group show almost the same picture (see `copy_groups`).
        """
        table = self.table.drop(columns="split", errors="ignore")
        table = table.assign(copy_group=copy_groups(table, copies=self.near_copies))
        return self.splits.merge(table, on="sample_id", validate="m:1")


def examples(samples: Iterable[str]) -> tuple[str, ...]:
    """The first few names, sorted."""
    return tuple(sorted(set(samples))[:MAX_EXAMPLES])


def counted(number: int, plural: str) -> str:
    """A number with its noun, given in the plural: `1 study`, `2 studies`."""
    return f"{number} {SINGULAR.get(plural, plural.removesuffix('s')) if number == 1 else plural}"
