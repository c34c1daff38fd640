import pytest

from helpers.cohort.exclusions import (
    REMEDIES,
    Exclusion,
    NotUsable,
    Reason,
    exclusion_counts,
    exclusions_table,
    refusing,
)
from helpers.study.schemas import EXCLUSIONS


def test_every_reason_has_a_remedy_of_its_own_kind():
    assert set(REMEDIES) == set(Reason)
    assert all(text.endswith(".") and len(text) > 20 for text in REMEDIES.values())


@pytest.mark.parametrize("error", [EOFError("end"), KeyError("x"), OverflowError("much")])
def test_whatever_a_decoder_raises_becomes_a_finding(error):
    with (
        pytest.raises(NotUsable, match=f"a.dcm: {type(error).__name__}") as caught,
        refusing(Reason.UNREADABLE_DICOM, name="a.dcm"),
    ):
        raise error
    assert caught.value.reason is Reason.UNREADABLE_DICOM


def test_a_finding_keeps_its_own_reason():
    with pytest.raises(NotUsable) as caught, refusing(Reason.UNREADABLE_DICOM, name="a.dcm"):
        raise NotUsable(Reason.NOT_CT, "MR")
    assert caught.value.reason is Reason.NOT_CT


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt), refusing(Reason.UNREADABLE_DICOM, name="a.dcm"):
        raise KeyboardInterrupt


def test_table_does_not_depend_on_the_order_of_findings():
    found = [
        Exclusion("b", Reason.NOT_CT, "MR"),
        Exclusion("a", Reason.NOT_DICOM, "text"),
        Exclusion("a", Reason.NOT_CT, ""),
    ]
    table = exclusions_table(found)
    assert table["source"].tolist() == ["a", "a", "b"]
    assert table.equals(exclusions_table(found[::-1]))
    EXCLUSIONS.validate(table)


def test_an_empty_table_fits_the_schema():
    EXCLUSIONS.validate(exclusions_table([]))
    assert exclusion_counts(exclusions_table([])).empty


def test_counts_put_the_frequent_reason_first():
    found = [Exclusion(name, Reason.NOT_CT, "") for name in "ab"] + [Exclusion("c", Reason.BAD_BOX, "")]
    counts = exclusion_counts(exclusions_table(found))
    assert counts[["reason", "count"]].values.tolist() == [["not_ct", 2], ["bad_box", 1]]
