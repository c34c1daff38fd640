from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.evaluation.paper import (
    PAPER_CLASS_COUNTS,
    PAPER_N_IMAGES,
    CompatibleSize,
    compatible_sizes,
    compatible_splits,
    paper_sizes,
    paper_splits,
)


def rounded_half_up(n_correct, n_total, decimals):
    """Exact percentage, rounded on its decimal digits; 12 more digits than needed decide every tie here."""
    exact = Fraction(100 * n_correct, n_total)
    digits = Decimal(int(exact * 10 ** (decimals + 12))).scaleb(-(decimals + 12))
    return digits.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def test_paper_cohort_has_698_images():
    assert PAPER_N_IMAGES == 698
    assert max(PAPER_CLASS_COUNTS.values()) / PAPER_N_IMAGES == pytest.approx(0.423, abs=5e-4)


def test_validation_sizes_of_the_literature_note():
    sizes = [size.n_total for size in paper_sizes()["validation"]]
    assert sizes[:8] == [55, 110, 165, 220, 247, 275, 302, 330]
    assert {(55, 53), (110, 106), (165, 159), (220, 212)} <= {
        (size.n_total, size.n_correct) for size in paper_sizes()["validation"]
    }


def test_training_sizes_of_the_literature_note():
    sizes = [size.n_total for size in paper_sizes()["training"]]
    assert sizes[:15] == [212, 259, 306, 353, 400, 424, 447, 471, 494, 518, 541, 565, 588, 612, 635]
    assert CompatibleSize(588, 563) in paper_sizes()["training"]


def test_only_two_divisions_of_698_fit_both_percentages():
    assert [(split.training.n_total, split.validation.n_total) for split in paper_splits()] == [(588, 110), (259, 439)]


@pytest.mark.parametrize("share", ["0.8", "0.7", "0.9", "0.6", "0.85"])
def test_usual_exact_ratios_do_not_fit(share):
    training = round(PAPER_N_IMAGES * Fraction(share))
    assert training not in {split.training.n_total for split in paper_splits()}


@pytest.mark.parametrize(("training", "validation"), [(447, 110), (518, 110), (494, 110)])
def test_three_way_candidates_fit_each_percentage(training, validation):
    sizes = paper_sizes()
    assert training in {size.n_total for size in sizes["training"]}
    assert validation in {size.n_total for size in sizes["validation"]}


@given(n_total=st.integers(1, 400), share=st.fractions(0, 1), decimals=st.integers(0, 3))
def test_every_reported_percentage_finds_its_own_size(n_total, share, decimals):
    n_correct = int(n_total * share)
    percent = rounded_half_up(n_correct, n_total, decimals)
    found = compatible_sizes(percent, decimals=decimals, max_n=n_total)
    assert CompatibleSize(n_total, n_correct) in found


@given(units=st.integers(0, 1000))
def test_sizes_equal_a_plain_search(units):
    percent = Decimal(units).scaleb(-1)
    expected = [
        CompatibleSize(n_total, n_correct)
        for n_total in range(1, 31)
        for n_correct in range(n_total + 1)
        if rounded_half_up(n_correct, n_total, 1) == percent
    ]
    assert compatible_sizes(percent, decimals=1, max_n=30) == expected


def test_ties_are_rounded_up():
    assert CompatibleSize(8, 1) in compatible_sizes("13", decimals=0, max_n=8)
    assert CompatibleSize(8, 1) not in compatible_sizes("12", decimals=0, max_n=8)


def test_interval_comes_from_the_counts():
    interval = CompatibleSize(110, 106).interval()
    assert (round(interval.low, 3), round(interval.high, 3)) == (0.910, 0.986)


@pytest.mark.parametrize(
    ("percent", "words"),
    [(96.36, "as a string"), ("96.365", "at most 2 decimals"), ("101", "0 to 100"), ("-1", "0 to 100"), ("x", "'x'")],
)
def test_percentage_that_cannot_be_exact_is_refused(percent, words):
    with pytest.raises(ValueError, match=words):
        compatible_sizes(percent, decimals=2, max_n=10)


def test_splits_add_up_and_may_not_exist():
    splits = compatible_splits(10, training_percent="80.0", validation_percent="60.0", decimals=1)
    assert [(split.training.n_total, split.validation.n_total) for split in splits] == [(5, 5)]
    assert compatible_splits(7, training_percent="80.0", validation_percent="60.0", decimals=1) == []
