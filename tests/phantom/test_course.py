import numpy as np
import pytest

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.course import trace_spine
from helpers.phantom.spine import sample_spine


@pytest.fixture(scope="module", params=range(3))
def spine(request):
    return sample_spine(np.random.default_rng(request.param), age=60, sex="M", fractures={})


@pytest.mark.parametrize("level", ["T10", "L1", "L4"])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("name", "posterior"), [("front", False), ("back", True)])
def test_the_course_passes_through_the_corners_of_the_bodies(level, lower, name, posterior, spine):
    vertebra = spine.at(level)
    _, p, c = vertebra.frame.to_patient(np.array([0.0, *vertebra.shape.corner(posterior=posterior, lower=lower)]))
    assert float(getattr(trace_spine(spine).at(c), name)) == pytest.approx(p, abs=0.01)


@pytest.mark.parametrize("level", ["T9", "L2", "L5"])
def test_the_course_has_the_middle_and_the_widths_of_each_level(level, spine):
    vertebra = spine.at(level)
    x, _, c = vertebra.frame.origin_mm
    course = trace_spine(spine).at(c)
    assert course.middle == pytest.approx(x, abs=0.01)
    assert course.half_width == pytest.approx(vertebra.shape.half_width_mm)
    assert course.canal_half == pytest.approx(vertebra.canal_width_mm / 2)
    assert course.disc == pytest.approx(0, abs=0.01)


def test_the_course_is_in_order_from_front_to_tips(spine):
    paths = trace_spine(spine)
    course = paths.at(np.linspace(paths.level_c_mm["T8"], paths.level_c_mm["L5"], 300))
    assert (course.front < course.back).all()
    assert (course.back < course.canal).all()
    assert (course.canal < course.tips).all()
    assert course.disc.min() >= 0
    assert course.disc.max() <= 1


def test_the_course_is_constant_beyond_its_ends_and_float32(spine):
    paths = trace_spine(spine)
    assert list(paths.level_c_mm) == list(LEVELS)
    far, farther = paths.at(np.array([-900.0])), paths.at(np.array([-950.0]))
    for name, line in vars(far).items():
        assert line.dtype == np.float32
        assert line == getattr(farther, name)
