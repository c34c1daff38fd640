"""Small phrases."""

import pytest

from helpers.reporting.wording import class_label, counted, listed, percent, unbroken


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 images"), (1, "1 image"), (698, "698 images"), (12345, "12\u202f345 images")]
)
def test_counted(number, expected):
    assert counted(number, "image") == expected


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
