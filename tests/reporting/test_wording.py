"""Small phrases."""

import math

import pytest

from helpers.reporting.wording import (
    basis,
    class_label,
    code_spans,
    counted,
    in_pieces,
    listed,
    p_in_words,
    percent,
    signed_with_interval,
    unbroken,
    with_interval,
)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 images"), (1, "1 image"), (698, "698 images"), (12345, "12\u202f345 images")]
)
def test_counted(number, expected):
    assert counted(number, "image") == expected


def test_basis_says_what_a_number_stands_on():
    assert basis({"n_samples": 60, "n_patients": 1}) == "60 images of 1 patient"


@pytest.mark.parametrize(("value", "expected"), [(0.0009, "p < 0.001"), (0.001, "p = 0.001"), (1.0, "p = 1.000")])
def test_p_in_words(value, expected):
    assert p_in_words(value) == expected


@pytest.mark.parametrize(
    ("parts", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")]
)
def test_listed(parts, expected):
    assert listed(parts) == expected


def test_class_label_names_the_key_once():
    assert class_label("B", {"B": "burst"}) == "burst (B)"
    assert class_label("burst", {"burst": "burst"}) == "burst"


def test_percent_has_no_needless_decimals():
    assert [percent(share) for share in (0.15, 0.125, 0.95, 0.07)] == ["15 %", "12.5 %", "95 %", "7 %"]


def test_unbroken_ties_the_sign_to_its_number():
    assert unbroken("91.0 % (88.2–93.5 %)") == "91.0\u00a0% (88.2–93.5\u00a0%)"


def test_a_cell_breaks_between_estimate_interval_and_p_only():
    shown = in_pieces("+0.036 (+0.010 to +0.062), p = 0.004")
    assert shown.split(" ") == ["+0.036", "(+0.010\u00a0to\u00a0+0.062),", "p\u00a0=\u00a00.004"]
    assert in_pieces("0.9 (0.8–1.0)") == "0.9 (0.8\u2060–\u20601.0)"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("`study run` and `a<b>`", "<code>study run</code> and <code>a&lt;b&gt;</code>"),
        ("one ` alone <b>", "one ` alone &lt;b&gt;"),
        ("none", "none"),
    ],
)
def test_backticks_become_code_and_the_rest_is_escaped(text, html):
    assert str(code_spans(text)) == html


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_numbers_with_intervals_say_what_is_not_known(nothing):
    assert with_interval(0.8871, low=0.857, high=0.9144) == "0.887 (0.857–0.914)"
    assert with_interval(-0.05, low=-0.06, high=0.01) == "−0.050 (−0.060–0.010)"
    assert with_interval(0.5, low=nothing, high=nothing) == "0.500 (no interval)"
    assert with_interval(nothing, low=nothing, high=nothing) == "not defined"
    assert signed_with_interval(-0.02, low=-0.05, high=0.01) == "−0.020 (−0.050 to +0.010)"
    assert signed_with_interval(-0.0001, low=-0.001, high=0.001) == "+0.000 (−0.001 to +0.001)"
    assert signed_with_interval(0.02, low=nothing, high=nothing) == "+0.020 (no interval)"
    assert signed_with_interval(nothing, low=nothing, high=nothing) == "not defined"
