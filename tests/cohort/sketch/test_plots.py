import numpy as np
import pytest

from helpers.cohort.sketch.plots import ALT, CANAL_MM, DEPTH_MM, KINDS, body_corners, fracture_kinds


def wall_heights(kind):
    lower_front, lower_back, upper_back, upper_front = body_corners(kind)
    return (upper_front - lower_front)[1], (upper_back - lower_back)[1]


def test_shapes_are_what_their_names_say():
    normal, compression, burst = (wall_heights(kind) for kind in KINDS)
    assert normal[0] == normal[1]
    assert compression[0] < normal[0]
    assert compression[1] == normal[1]
    assert burst[0] < normal[0]
    assert burst[1] < normal[1]


def test_only_in_the_burst_fracture_something_lies_in_the_canal():
    for axes, kind in zip(fracture_kinds().axes, KINDS, strict=True):
        hatched = [patch.get_xy() for patch in axes.patches if patch.get_hatch()]
        assert len(hatched) == (kind.title == "burst")
        for outline in hatched:
            deepest = np.max(outline[:, 0]) - DEPTH_MM
            assert 0 < deepest < CANAL_MM


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)
def test_each_is_named_in_the_picture_and_in_the_words_for_those_who_cannot_see_it(kind):
    titles = [axes.get_title() for axes in fracture_kinds().axes]
    assert kind.title in titles
    assert kind.title in ALT.lower()


def test_words_stay_within_the_picture():
    figure = fracture_kinds()
    figure.canvas.draw()
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y0 >= 0
