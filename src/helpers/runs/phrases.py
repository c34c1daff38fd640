"""Sentences and cells about runs that the terminal and the page share."""

from collections.abc import Iterator, Mapping
from typing import Any

from helpers.evaluation.estimates import Metric
from helpers.reporting.wording import counted, listed, signed_with_interval, with_interval
from helpers.runs.comparison import RunComparison
from helpers.runs.notebook_diff import NotebookDifference
from helpers.runs.pairing import NEITHER, ONLY_FIRST, ONLY_SECOND

ABSENT = "–"


def cohorts_in_words(found: RunComparison) -> Iterator[str]:
    """What the two runs were made of, and what that means for the comparison."""
    both, first, second = found.overlap, found.first.name, found.second.name
    if both.is_same_cohort:
        yield f"Both runs were made of the same {counted(len(both.shared), 'image')} with the same labels."
        if not found.n_tested:
            yield "No image was tested by both, so metrics stand side by side and no difference is taken."
        elif found.n_tested < max(len(found.first.answers), len(found.second.answers)):
            yield f"{counted(found.n_tested, 'image')} were tested by both; differences are taken on these."
        return
    parts = {
        "only in " + first: both.only_first,
        "only in " + second: both.only_second,
        "in both, but with another patient, label or pixels": both.changed,
        "the same in both": both.shared,
    }
    counts = [f"{counted(len(samples), 'image')} {words}" for words, samples in parts.items() if samples]
    yield f"The cohorts differ: {listed(counts)}."
    yield "Metrics of different images stand side by side; no difference is taken."


def how_compared(found: RunComparison) -> str:
    """How to read the table of metrics."""
    params = found.first.record.study.evaluation
    level = f"{100 * params.confidence:g} %"
    if not found.n_tested:
        return f"Values with {level} intervals by patient. The runs are not paired: no difference is taken."
    return (
        f"Values with {level} intervals by patient. A difference is {found.first.name} minus {found.second.name}, "
        f"paired by image on {counted(found.n_tested, 'image')}; its interval draws whole patients "
        f"{params.n_bootstrap} times. It covers the choice of patients, not the chance in training, and is not "
        "corrected for the number of metrics."
    )


def answers_in_words(found: RunComparison) -> str:
    """How many answers changed, and for better or worse."""
    n_right = found.answers["right"].value_counts()
    parts = {
        f"right only in {found.first.name}": ONLY_FIRST,
        f"right only in {found.second.name}": ONLY_SECOND,
        "wrong in both": NEITHER,
    }
    words = listed([f"{n_right.get(key, 0)} {text}" for text, key in parts.items()])
    return f"{len(found.answers)} of {counted(found.n_tested, 'image')} are answered differently: {words}."


def notebook_in_words(notebook: NotebookDifference) -> str:
    """How much of a notebook differs."""
    if not notebook.cells:
        return f"All {notebook.n_cells} cells are the same."
    return f"Of {notebook.n_cells} cells, {notebook.n_sources} differ in source and {notebook.n_outputs} in outputs."


def value(metric: Mapping[str, Any] | None) -> str:
    """An entry of metrics.json with its interval."""
    if metric is None:
        return ABSENT
    return with_interval(metric["estimate"], low=metric["ci_low"], high=metric["ci_high"])


def difference(metric: Metric | None) -> str:
    """A paired difference with its interval."""
    return ABSENT if metric is None else signed_with_interval(metric.estimate, low=metric.ci_low, high=metric.ci_high)
