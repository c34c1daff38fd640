import numpy as np
import pytest

from helpers.phantom.surroundings import BACKGROUND, sample_surroundings


def test_plaques_grow_with_age():
    def count(age):
        return sum(len(sample_surroundings(np.random.default_rng(seed), age=age).plaques) for seed in range(12))

    assert count(35) == 0
    assert count(85) > 80


@pytest.mark.parametrize("seed", range(8))
def test_surroundings_keep_to_the_ranges(seed):
    around = sample_surroundings(np.random.default_rng(seed), age=70)
    for name in ("aorta_mm", "aorta_left_mm", "lung_hu", "subcutaneous_mm", "plaque_hu", "psoas_mm"):
        low, high = getattr(BACKGROUND, name)
        assert low <= getattr(around, name) <= high
    assert len(around.bowel) <= BACKGROUND.bowel_count
