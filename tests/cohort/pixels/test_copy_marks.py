import pandas as pd
import pytest

from helpers.cohort.pixels.copy_marks import MAX_FAMILY, original_stem, stem_families


@pytest.mark.parametrize(
    "name",
    [
        "spine-rotated2.png", "spine-sharpened.jpg", "spine_flip.png", "spine_aug3.png", "spine.rf.0a1b2c3d4e.jpg",
        "spine copy.png", "spine (1).png", "spine - Copy.png", "Spine_hflip_rot90.png", "spine-Rotated15deg.dcm",
        "train/a/spine_brightness2_noise.png", "spine-cropped-zoomed.tif", "spine.png",
    ],
)  # fmt: skip
def test_marks_of_a_copy_are_taken_off(name):
    assert original_stem(name) == "spine"


@pytest.mark.parametrize(
    "name", ["IM0001.dcm", "spine_L1.png", "parrot.png", "case-12.png", "carbon copy2x.png", "copy.png"]
)
def test_other_names_are_left_alone(name):
    assert original_stem(name) == name.rpartition(".")[0].lower()


def test_families_hold_an_original_and_its_copies():
    sources = pd.Series(["a/x.png", "b/y.png", "b/x-rotated2.png", "b/z (1).png", "c/x_flip.png", "d/y.png"])
    assert stem_families(sources) == [[0, 2, 4]]


def test_counters_are_no_marks():
    sources = pd.Series([f"scan ({number}).png" for number in range(MAX_FAMILY + 1)])
    assert stem_families(sources) == []
    assert stem_families(sources[:3]) == [[0, 1, 2]]
