import numpy as np
import pytest

from helpers.cohort.audit.leakage import SHARED_BY
from helpers.cohort.audit.overlap import check_overlap


@pytest.fixture
def textures():
    """Thumbnails without likeness, by the hash of their pixels."""
    rng = np.random.default_rng(2)
    return {f"h{number}": rng.integers(0, 256, (32, 32)).astype(np.uint8) for number in range(75)}


@pytest.fixture
def outside(table):
    """A cohort of other patients that happens to use the same names for samples and files."""
    other = table.head(9).copy()
    for column in ("PatientID", "header_patient", "StudyInstanceUID", "SeriesInstanceUID", "pixel_sha256"):
        other[column] = "other" + other[column]
    return other


@pytest.fixture
def outside_textures(outside):
    rng = np.random.default_rng(3)
    return {name: rng.integers(0, 256, (32, 32)).astype(np.uint8) for name in outside["pixel_sha256"]}


def test_an_external_cohort_of_other_patients_is_external(table, outside, textures, outside_textures, make_cohort):
    one, other = make_cohort(outside, thumbnails=outside_textures), make_cohort(table, thumbnails=textures)
    assert check_overlap(one, other).status == "pass"


@pytest.mark.parametrize("shared", list(SHARED_BY))
def test_every_kind_of_overlap_is_found(table, outside, textures, outside_textures, make_cohort, shared):
    if shared == "near_identical_images":
        outside_textures["otherh4"] = np.clip(textures["h20"] * 0.8 + 20, 0, 255).astype(np.uint8)
    else:
        outside.loc[4, SHARED_BY[shared]] = table.loc[20, SHARED_BY[shared]]
    one, other = make_cohort(outside, thumbnails=outside_textures), make_cohort(table, thumbnails=textures)
    verdict = check_overlap(one, other)
    assert (verdict.status, verdict.found, verdict.examples) == ("fail", 1, ("S004",))
    assert "1 of 9 samples share something (1 " in verdict.detail
    intended = check_overlap(one, other, intended_leakage="to see what a leak looks like")
    assert intended.status == "warn"
    assert "to see what a leak looks like" in intended.detail
