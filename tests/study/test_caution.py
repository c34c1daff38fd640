import re

from helpers.study import CohortParams
from helpers.study.caution import caution


def test_simulated_images_are_not_patients_and_say_what_was_checked_on_real_ones():
    text = caution(CohortParams(source="phantom"))
    assert "no patient was scanned" in text
    assert "compression from normal on real vertebrae" in text
    assert "burst fractures have never been checked on real CT" in text


def test_no_result_is_typed_by_hand():
    assert not re.search(r"\d", caution(CohortParams(source="phantom")))


def test_other_cohorts_need_none():
    assert caution(CohortParams(source="images")) == ""
