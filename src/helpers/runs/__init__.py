"""Finished runs: list them, compare two, verify one.

What is said of them in a terminal lies in `helpers.runs.terminal`, as HTML in `helpers.runs.page`.
"""

from helpers.runs.comparison import RunComparison, compare_runs
from helpers.runs.listing import ListedRun, list_runs
from helpers.runs.side import RunMismatch
from helpers.runs.verification import Verification, verify_run

__all__ = [
    "ListedRun",
    "RunComparison",
    "RunMismatch",
    "Verification",
    "compare_runs",
    "list_runs",
    "verify_run",
]
