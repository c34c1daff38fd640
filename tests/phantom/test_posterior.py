import numpy as np
import pytest

from helpers.phantom.anatomy import LEVELS, MOBILE_LEVELS
from helpers.phantom.posterior import POSTERIOR_NORMS, sample_posterior


def test_every_level_of_the_spine_has_a_norm():
    assert tuple(POSTERIOR_NORMS) == LEVELS


def test_the_joint_below_is_the_next_levels_joint_above():
    plans = [sample_posterior(np.random.default_rng(0), level=level, size=1.0) for level in LEVELS]
    assert [plan.joint_below for plan in plans[:-1]] == [plan.joint_above for plan in plans[1:]]
    assert plans[-1].joint_below is None


def test_the_transverse_process_is_longest_at_l3():
    reach = {level: norm.transverse_mm[0] for level, norm in POSTERIOR_NORMS.items() if norm.transverse_mm}
    assert max(reach, key=reach.get) == "L3"
    assert max(reach["T11"], reach["T12"]) < min(reach[level] for level in MOBILE_LEVELS if level[0] == "L")


def test_size_scales_the_pedicles():
    small, large = (sample_posterior(np.random.default_rng(5), level="L2", size=s) for s in (0.9, 1.1))
    assert np.divide(large.pedicle_mm, small.pedicle_mm) == pytest.approx(1.1 / 0.9)


def test_an_unknown_level_is_refused_by_name():
    with pytest.raises(ValueError, match="'L7'"):
        sample_posterior(np.random.default_rng(0), level="L7", size=1.0)
