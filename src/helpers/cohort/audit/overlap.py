"""Whether an external cohort is external: what it shares with the cohort that networks are trained on."""

from typing import Optional

import pandas as pd

from helpers.cohort.audit.leakage import SHARED_BY, shared_values
from helpers.cohort.audit.verdicts import Verdict, counted, examples
from helpers.cohort.pixels.copies import copy_groups, find_copies
from helpers.cohort.reading import Cohort

CHECKED = "The cohort shares no patient, study, series or image with the one that networks are trained on."


def check_overlap(cohort: Cohort, development: Cohort, *, intended_leakage: Optional[str] = None) -> Verdict:
    """Compare an external cohort with the study's own.

    Parameters
    ----------
    cohort, development
        The external cohort and the one that networks are trained on, their patients named by one key.
    intended_leakage
        As section `splits` has it: in words why an overlap is wanted, which then only warns.
    """
    one, other = _with_copy_groups(cohort, development)
    counts = {name: count for name, count in shared_values(one, other).items() if count}
    if not counts:
        return Verdict("pass", CHECKED, 0, f"{len(one)} against {len(other)} samples compared.")
    columns = [SHARED_BY[name] for name in counts]
    is_shared = pd.concat([one[column].notna() & one[column].isin(other[column]) for column in columns], axis=1).any(
        axis=1
    )
    told = ", ".join(counted(count, name.replace("_", " ")) for name, count in counts.items())
    detail = f"{is_shared.sum()} of {len(one)} samples share something ({told}): scores on them validate nothing."
    if intended_leakage is not None:
        detail += f" Intended, in the words of the parameters: \u201c{intended_leakage}\u201d."
    status = "fail" if intended_leakage is None else "warn"
    return Verdict(status, CHECKED, int(is_shared.sum()), detail, examples(cohort.table.loc[is_shared, "sample_id"]))


def _with_copy_groups(cohort: Cohort, development: Cohort) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the groups of copies that run through them."""
    # Two cohorts may name samples and files alike; here each has names of its own.
    parts = [
        item.table.assign(sample_id=f"{name} " + item.table["sample_id"], source=f"{name}/" + item.table["source"])
        for name, item in (("external", cohort), ("development", development))
    ]
    both = pd.concat(parts, ignore_index=True)
    copies = find_copies(both, thumbnails={**development.thumbnails, **cohort.thumbnails})
    both["copy_group"] = copy_groups(both, copies=copies[copies["kind"] != "identical"])
    return both.iloc[: len(parts[0])].reset_index(drop=True), both.iloc[len(parts[0]) :]
