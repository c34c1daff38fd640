import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.cohort.labels.patient_guess import patient_of

MARKS = ["-rotated2", "_flip", "-sharpened", "_aug_3", "_hflip", " copy", " (1)", "_rot90", "-noise", ".rf.0f3c9a1b"]


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("1-rotated1", "1"),
        ("1", "1"),
        ("P012_L1", "p012"),
        ("P012_T12_sagittal", "p012"),
        ("L1_patient03", "patient03"),
        ("CT-scan-L1-004", "ct-scan-004"),
        ("patient_012_L1-rotated2", "patient-012"),
        ("IMG_0001_2", "img-0001"),
        ("L1", "l1"),
        ("smith copy", "smith"),
        ("wedge_flip", "wedge"),
        ("___", None),
    ],
)
def test_the_patient_ends_with_the_first_number(stem, patient):
    assert patient_of(f"burst/{stem}.png") == patient


@given(st.integers(0, 999), st.lists(st.sampled_from(MARKS), max_size=3), st.sampled_from(["L1", "T12", "C7"]))
def test_copies_and_levels_of_one_patient_are_one_patient(number, marks, level):
    assert patient_of(f"case_{number}_{level}{''.join(marks)}.png") == f"case-{number}"
