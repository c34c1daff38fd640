import itertools
from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.fracture import BURST_NARROWING, COMPRESSION_MAX_NARROWING, FRACTURE_MAX_RATIO, NORMAL_MIN_RATIO
from helpers.phantom.spine import sample_spine

FRACTURES = {"T12": "A", "L3": "B"}


@pytest.fixture(scope="module")
def spines():
    return [
        sample_spine(np.random.default_rng(seed), age=65, sex="FM"[seed % 2], fractures=FRACTURES) for seed in range(6)
    ]


def test_exactly_the_asked_levels_are_fractured(spines):
    for spine in spines:
        assert {v.level: v.label for v in spine.vertebrae.values() if v.label != "C"} == FRACTURES
        assert {v.level for v in spine.vertebrae.values() if v.fracture} == set(FRACTURES)


def test_labels_follow_the_measurement(spines):
    for vertebra in itertools.chain.from_iterable(spine.vertebrae.values() for spine in spines):
        ratio, narrowing = vertebra.shape.heights.ratio, vertebra.narrowing
        if vertebra.label == "C":
            assert ratio >= NORMAL_MIN_RATIO
        else:
            assert ratio <= FRACTURE_MAX_RATIO
        if vertebra.label == "B":
            assert BURST_NARROWING[0] <= narrowing <= BURST_NARROWING[1]
        else:
            assert narrowing <= COMPRESSION_MAX_NARROWING


def test_a_body_between_the_classes_has_no_label(spines):
    vertebra = spines[0].at("L1")
    heights = replace(vertebra.shape.heights, ratio=0.82)
    between = replace(vertebra, shape=replace(vertebra.shape, heights=heights))
    with pytest.raises(ValueError, match=r"L1: height ratio 0\.820"):
        _ = between.label


def test_vertebrae_lie_one_below_the_other_without_overlap(spines):
    for spine in spines:
        for above, below in itertools.pairwise(spine.vertebrae.values()):
            assert below.frame.c_mm > above.frame.c_mm
            if above.level.startswith("S"):
                continue  # the sacrum is one bone
            points = above.frame.to_plane(above.shape.bone_points(step_mm=0.5))
            u, v = below.frame.to_local(*points.T.astype(np.float32))
            assert below.shape.depth(u, v).max() < 0.5, f"{above.level} runs into {below.level}"


def test_discs_have_their_height_between_the_plates(spines):
    for spine in spines:
        for above, below in itertools.pairwise(spine.vertebrae.values()):
            ends = []
            for vertebra, lower in ((above, True), (below, False)):
                corners = [vertebra.shape.corner(posterior=side, lower=lower) for side in (False, True)]
                ends.append(vertebra.frame.to_plane(np.mean(corners, axis=0)))
            gap = float(np.hypot(*(ends[1] - ends[0])))
            # Nodes pressed in at a corner may widen what the frames were stacked by.
            assert gap == pytest.approx(np.hypot(above.disc.height_mm, above.disc.slip_mm), abs=1.0)


def test_the_lumbar_spine_is_lordotic():
    for seed in range(8):
        spine = sample_spine(np.random.default_rng(seed), age=40, sex="F", fractures={})
        angles = np.rad2deg([spine.at(level).frame.angle_rad for level in ("T12", "L3", "S1")])
        assert angles[2] < angles[1] < angles[0] + 5
        assert 10 < angles[0] - angles[2] < 90


def test_a_wedge_bends_the_spine_forward():
    bends = []
    for seed in range(8):
        straight, bent = (
            sample_spine(np.random.default_rng(seed), age=60, sex="F", fractures=f) for f in ({}, {"L1": "A"})
        )
        bends.append(np.rad2deg([s.at("T11").frame.angle_rad - s.at("L3").frame.angle_rad for s in (straight, bent)]))
    assert np.mean(np.diff(bends, axis=1)) < -3


def test_neighbours_fractured_counts_both_sides(spines):
    counts = {level: spines[0].neighbours_fractured(level) for level in ("T11", "T12", "L1", "L2", "L4", "L5")}
    assert counts == {"T11": 1, "T12": 0, "L1": 1, "L2": 1, "L4": 1, "L5": 0}


def test_osteophytes_and_nodes_do_not_change_the_measured_heights(spines):
    worn = sample_spine(np.random.default_rng(11), age=90, sex="F", fractures={})
    assert sum(len(v.shape.spurs) for v in worn.vertebrae.values()) > 5
    assert all(v.label == "C" for v in worn.vertebrae.values())


def test_wear_grows_with_age():
    def spurs(age):
        spines = [sample_spine(np.random.default_rng(s), age=age, sex="M", fractures={}) for s in range(6)]
        return sum(len(v.shape.spurs) for spine in spines for v in spine.vertebrae.values())

    assert spurs(85) > 2 * spurs(30)


def test_levels_are_all_there(spines):
    assert tuple(spines[0].vertebrae) == LEVELS
