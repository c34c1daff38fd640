import itertools
from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.fracture import BURST_NARROWING, COMPRESSION_MAX_NARROWING, FRACTURE_MAX_RATIO, NORMAL_MIN_RATIO
from helpers.phantom.spine import SPINE, sample_spine

FRACTURES = {"T12": "A", "L3": "B"}


def draw_spine(seed, *, age=65, sex="F", fractures=FRACTURES):
    return sample_spine(np.random.default_rng(seed), age=age, sex=sex, fractures=fractures)


@pytest.fixture(scope="module")
def spines():
    return [draw_spine(seed, sex="FM"[seed % 2]) for seed in range(6)]


def scattered(shape, *, count=6000):
    """Random local points in the unbroken body."""
    low, high = shape.corners().min(axis=0), shape.corners().max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, size=(count, 3)).astype(np.float32)
    return points[shape.depth(tuple(points.T)) > 0]


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


@pytest.mark.parametrize(
    ("ratio", "narrowing"), [(0.82, 0.0), (0.7, 0.09), (0.7, 0.7), (0.9, 0.2)], ids=["low", "bulge", "full", "high"]
)
def test_a_body_between_the_classes_has_no_label(spines, ratio, narrowing):
    vertebra = spines[0].at("L1")
    shape = replace(vertebra.shape, heights=replace(vertebra.shape.heights, ratios=(ratio, 1.0, 1.0)))
    between = replace(vertebra, shape=shape, fragment_mm=narrowing * vertebra.canal_mm)
    with pytest.raises(ValueError, match=rf"L1: height ratio {ratio:.3f} with canal narrowing {narrowing:.3f}"):
        _ = between.label


def test_vertebrae_lie_one_below_the_other_without_overlap(spines):
    for spine in spines:
        for above, below in itertools.pairwise(spine.vertebrae.values()):
            assert below.frame.origin_mm[2] > above.frame.origin_mm[2]
            if above.level.startswith("S"):
                continue  # the sacrum is one bone
            local = scattered(above.shape)
            points = above.frame.to_patient(local).astype(np.float32)
            depth = below.shape.depth(below.frame.to_local(tuple(points.T)))
            assert depth[np.abs(local[:, 0]) < 10].max() < 1.0, f"{above.level} runs into {below.level}"
            # The rims at the sides may touch where a broken plate slants over a worn disc.
            assert depth.max() < 2.5, f"{above.level} runs into {below.level}"


def test_discs_have_their_height_between_the_plates(spines):
    for spine in spines:
        for above, below in itertools.pairwise(spine.vertebrae.values()):
            ends = []
            for vertebra, lower in ((above, True), (below, False)):
                corners = [vertebra.shape.corner(posterior=side, lower=lower) for side in (False, True)]
                ends.append(vertebra.frame.to_patient(np.array([0.0, *np.mean(corners, axis=0)])))
            gap = float(np.linalg.norm(ends[1] - ends[0]))
            assert gap == pytest.approx(np.hypot(above.disc.height_mm, above.disc.slip_mm), abs=0.8)


def test_the_lumbar_spine_is_lordotic():
    spines = [draw_spine(seed, age=40, fractures={}) for seed in range(12)]
    angles = [[s.at(level).frame.sagittal_rad for level in ("T12", "L3", "S1")] for s in spines]
    high, middle, low = np.rad2deg(angles).T
    assert (low < high).all()
    assert (low < middle).all()
    assert 15 < np.mean(high - low) < 70


def test_a_wedge_bends_the_spine_forward():
    bends = []
    for seed in range(8):
        pair = (draw_spine(seed, age=60, fractures=fractures) for fractures in ({}, {"L1": "A"}))
        bends.append([spine.at("T11").frame.sagittal_rad - spine.at("L3").frame.sagittal_rad for spine in pair])
    assert np.mean(np.diff(np.rad2deg(bends), axis=1)) < -3


def test_the_spine_bends_to_the_side_within_its_range_and_bodies_stand_square_to_it(spines):
    for spine in spines:
        frames = [vertebra.frame for vertebra in spine.vertebrae.values()]
        x, _, c = np.array([frame.origin_mm for frame in frames]).T
        assert np.abs(x).max() <= SPINE.side_bend_mm[1]
        slope = np.gradient(x, c)[1:-1]
        tilt = np.tan([frame.coronal_rad for frame in frames])[1:-1]
        assert np.allclose(tilt, -slope, atol=0.03)
        assert max(abs(np.rad2deg(frame.axial_rad)) for frame in frames) <= SPINE.axial_turn_deg


def test_neighbours_fractured_counts_both_sides(spines):
    counts = {level: spines[0].neighbours_fractured(level) for level in ("T11", "T12", "L1", "L2", "L4", "L5")}
    assert counts == {"T11": 1, "T12": 0, "L1": 1, "L2": 1, "L4": 1, "L5": 0}
    assert draw_spine(0, fractures={"T9": "A"}).neighbours_fractured("T8") == 1


def test_osteophytes_and_nodes_do_not_change_the_measured_heights():
    worn = draw_spine(11, age=90, fractures={})
    assert sum(len(v.shape.spurs) for v in worn.vertebrae.values()) > 5
    assert all(v.label == "C" for v in worn.vertebrae.values())


def test_wear_grows_with_age():
    def spurs(age):
        spines = [draw_spine(seed, age=age, sex="M", fractures={}) for seed in range(6)]
        return sum(len(v.shape.spurs) for spine in spines for v in spine.vertebrae.values())

    assert spurs(85) > 2 * spurs(30)


def test_mens_bodies_are_larger():
    men, women = (draw_spine(0, sex=sex, fractures={}).at("L3").plan for sex in "MF")
    assert men.depth_mm > women.depth_mm + 1
    assert men.posterior_mm > women.posterior_mm + 0.5


def test_the_posterior_elements_are_told_what_broke(spines):
    vertebra = spines[0].at("L3")
    assert vertebra.arch_base.splay_mm == vertebra.fracture.splay_mm > 0
    assert vertebra.arch_base.canal_mm == vertebra.canal_mm
    assert spines[0].at("L2").arch_base.splay_mm == 0


def test_levels_are_all_there_and_another_is_refused_by_name(spines):
    assert tuple(spines[0].vertebrae) == LEVELS
    with pytest.raises(ValueError, match="level: 'L6'"):
        spines[0].at("L6")
