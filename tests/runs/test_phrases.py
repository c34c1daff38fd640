from dataclasses import replace

import pytest

from helpers.runs import phrases
from helpers.runs.comparison import compare_runs
from helpers.runs.notebook_diff import CellDifference, NotebookDifference
from helpers.runs.pairing import Overlap


@pytest.fixture(scope="module")
def found(two_runs):
    return compare_runs(*two_runs)


def test_one_cohort(found):
    assert list(phrases.cohorts_in_words(found)) == ["Both runs were made of the same 48 images with the same labels."]
    part = list(phrases.cohorts_in_words(replace(found, n_tested=20)))
    assert part[1] == "20 images were tested by both; differences are taken on these."
    assert "no difference is taken" in list(phrases.cohorts_in_words(replace(found, n_tested=0)))[1]


def test_two_cohorts(found):
    apart = replace(found, n_tested=0, overlap=Overlap(("a", "b"), ("c",), ("d", "e", "f"), ()))
    first, second = phrases.cohorts_in_words(apart)
    assert first == (
        "The cohorts differ: 3 images only in first, 1 image in both, but with another "
        "patient, label or pixels and 2 images the same in both."
    )
    assert "no difference is taken" in second
    assert "not paired" in phrases.how_compared(apart)


def test_how_differences_are_taken(found):
    text = phrases.how_compared(found)
    assert "95 % intervals by patient" in text
    assert "first minus second, paired by image on 48 images" in text
    assert "200 times" in text


def test_changed_answers_are_counted(found):
    counts = [(found.answers["right"] == name).sum() for name in ("first", "second", "neither")]
    assert phrases.answers_in_words(found) == (
        f"{len(found.answers)} of 48 images are answered differently: {counts[0]} right only in first, "
        f"{counts[1]} right only in second and {counts[2]} wrong in both."
    )


def test_notebooks():
    cell = CellDifference("1", "changed", "+a", ("Figure",))
    assert phrases.notebook_in_words(NotebookDifference("a", 9, ())) == "All 9 cells are the same."
    text = phrases.notebook_in_words(NotebookDifference("a", 9, (cell, cell)))
    assert text == "Of 9 cells, 2 differ in source and 2 in outputs."


def test_values_and_differences():
    assert phrases.value(None) == phrases.difference(None) == "–"
    assert phrases.value({"estimate": 0.5, "ci_low": 0.4, "ci_high": 0.6}) == "0.500 (0.400–0.600)"
    assert phrases.value({"estimate": None, "ci_low": None, "ci_high": None}) == "not defined"
