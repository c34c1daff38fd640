from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.body import Cut, Piece
from helpers.phantom.canvas import ORIENTATIONS, Canvas, Plane
from helpers.phantom.geometry import Frame, ellipsoid_depth
from helpers.phantom.spine import sample_spine
from helpers.phantom.truth import SHELL_MM, STRUCTURES, posterior_wall_broken, truth_masks

FRACTURES = {"T12": "A", "L1": "B", "L3": "A", "L4": "B"}
CUTS = [(level, orientation) for level in ("T12", "L1", "L2", "L4") for orientation in ORIENTATIONS]


@pytest.fixture(scope="module")
def spines():
    return [
        sample_spine(np.random.default_rng(seed), age=60, sex="FM"[seed % 2], fractures=FRACTURES) for seed in range(12)
    ]


def through(vertebra, *, orientation="sagittal", offset=(0.0, 0.0, 0.0), pixel_mm=0.5):
    centre = tuple(float(x + d) for x, d in zip(vertebra.frame.origin_mm, offset, strict=True))
    return Plane(orientation, centre, rows=181, columns=181, pixel_mm=pixel_mm, thickness_mm=1.0)


def local_points(vertebra, *, plane):
    """Local coordinates of every pixel, without the windows the masks are drawn in."""
    points = vertebra.frame.to_local(Canvas.of(plane).points)
    return tuple(np.squeeze(x, axis=0) for x in points)


def wall_is_whole(shape):
    """Whether bone runs on beneath the wall between the pedicles, found by sampling the broken bone itself."""
    upper, lower = (shape.corner(posterior=True, lower=side)[1] for side in (False, True))
    w, v = np.meshgrid(np.linspace(-6, 6, 61), np.linspace(upper + 4, lower - 4, 101))
    u = np.full_like(w, shape.half_depth_mm - 3.2)
    return bool((shape.broken_depth(tuple(np.float32(x) for x in (w, u, v))) > 0).all())


def bone_behind_wall_mm(shape):
    """How far bone reaches behind the wall line between the pedicles, found by sampling the broken bone itself."""
    behind = np.arange(0.1, 14, 0.1, dtype=np.float32)
    w, u, v = np.meshgrid(np.float32([-3, 0, 3]), shape.half_depth_mm + behind, np.arange(-16, 16, 0.5), indexing="ij")
    bone = shape.broken_depth(tuple(np.float32(x) for x in (w, u, v))) > 0
    return float(behind[bone.any(axis=(0, 2))].max(initial=0.0))


def test_the_wall_is_broken_in_every_burst_and_in_nothing_else(spines):
    for vertebra in (v for spine in spines for v in spine.vertebrae.values()):
        burst = vertebra.label == "B"
        assert posterior_wall_broken(vertebra.shape) == burst, vertebra.level
        assert (bone_behind_wall_mm(vertebra.shape) > 0.095 * vertebra.canal_mm) == burst, vertebra.level
        assert burst or wall_is_whole(vertebra.shape), vertebra.level


def test_a_wall_whose_pieces_stay_in_line_is_not_broken(spines):
    shape, cut = spines[0].at("L2").shape, Cut((1.0, 0.0, 0.0), 0.0)
    apart = {d: (Piece((cut,), shift_mm=(d, 0.0, 0.0)), Piece((cut.flipped(),))) for d in (0.2, 1.0)}
    assert not posterior_wall_broken(replace(shape, pieces=apart[0.2]))
    assert posterior_wall_broken(replace(shape, pieces=apart[1.0]))


@pytest.mark.parametrize(("level", "orientation"), CUTS)
def test_masks_lie_where_they_belong(spines, level, orientation):
    for spine in spines[:4]:
        masks = truth_masks(spine.at(level), plane=through(spine.at(level), orientation=orientation))
        assert tuple(masks) == STRUCTURES
        assert all(mask.shape == (181, 181) and mask.dtype == bool for mask in masks.values())
        assert masks["body"].any()
        for part in ("endplates", "posterior_wall", "fragment"):
            assert not (masks[part] & ~masks["body"]).any(), part
        assert not (masks["canal"] & masks["body"]).any()
        assert not (masks["endplates"] & masks["posterior_wall"]).any()


@pytest.mark.parametrize(("level", "orientation"), CUTS)
def test_the_body_mask_is_all_bone_of_the_body_and_nothing_is_cut_off(spines, level, orientation):
    for spine in spines[:4]:
        vertebra = spine.at(level)
        plane = through(vertebra, orientation=orientation)
        w, u, v = local_points(vertebra, plane=plane)
        masks = truth_masks(vertebra, plane=plane)
        assert (masks["body"] == (vertebra.shape.broken_depth((w, u, v)) > 0)).mean() > 0.9999
        half = vertebra.canal_mm / 2
        centre = (0.0, vertebra.shape.half_depth_mm + half, 0.0)
        tube = ellipsoid_depth((w, u, 0 * v), centre=centre, radii=(vertebra.canal_width_mm / 2, half, 1e3)) > 0
        upper, lower = (vertebra.shape.corner(posterior=True, lower=side)[1] for side in (False, True))
        expected = tube & (v > upper) & (v < lower) & ~masks["body"]
        assert (masks["canal"] == expected).mean() > 0.9999


def test_the_canal_of_a_normal_body_is_as_deep_as_recorded(spines):
    for spine in spines:
        vertebra = spine.at("L2")
        plane = through(vertebra, orientation="axial", pixel_mm=0.25, offset=(0.0, 26.0, 0.0))
        rows, columns = np.nonzero(truth_masks(vertebra, plane=plane)["canal"])
        tilt = np.cos(vertebra.frame.sagittal_rad)
        assert np.ptp(rows) * 0.25 * tilt == pytest.approx(vertebra.canal_mm, abs=1.0)
        assert np.ptp(columns) * 0.25 == pytest.approx(vertebra.canal_width_mm, abs=1.0)


def test_fragments_are_shown_in_bursts_only(spines):
    for spine in spines:
        for level in ("T12", "L1", "L2", "L3", "L4"):
            vertebra = spine.at(level)
            fragment = truth_masks(vertebra, plane=through(vertebra))["fragment"]
            assert fragment.any() == (vertebra.label == "B"), (level, vertebra.label)


def test_a_split_that_bulges_has_no_fragment(spines):
    vertebra = spines[0].at("T12")
    cut = Cut((0.0, 1.0, 0.0), 0.0)
    bulging = replace(vertebra.shape, pieces=(Piece((cut.flipped(),)), Piece((cut,))))
    masks = truth_masks(replace(vertebra, shape=bulging, fragment_mm=0.8), plane=through(vertebra))
    assert masks["body"].any()
    assert not masks["fragment"].any()


def test_the_fragment_stands_in_the_canal_as_far_as_recorded(spines):
    for spine in spines:
        vertebra = replace(spine.at("L1"), frame=Frame())
        # fine pixels: the tip of a fragment may be a sliver
        plane = replace(through(vertebra, offset=(0.0, 16.0, 0.0)), rows=901, columns=401, pixel_mm=0.05)
        _, u, _ = local_points(vertebra, plane=plane)
        reach = u[truth_masks(vertebra, plane=plane)["fragment"]].max() - vertebra.shape.half_depth_mm
        assert reach == pytest.approx(vertebra.fragment_mm, abs=0.4)


def test_end_plates_and_wall_are_shells_of_their_thickness(spines):
    vertebra = spines[0].at("L2")
    vertebra = replace(vertebra, frame=Frame(), shape=replace(vertebra.shape, nodes=()))
    masks = truth_masks(vertebra, plane=replace(through(vertebra, pixel_mm=0.1), rows=401, columns=401))
    columns = np.flatnonzero(masks["endplates"].any(axis=0))
    assert masks["endplates"][:, columns[20:-20]].sum(axis=0).mean() * 0.1 == pytest.approx(2 * SHELL_MM, rel=0.1)
    rows = masks["posterior_wall"].sum(axis=1)
    assert np.median(rows[rows > 0]) * 0.1 == pytest.approx(SHELL_MM, abs=0.2)


def test_a_plane_beside_the_body_has_empty_masks(spines):
    vertebra = spines[0].at("L2")
    masks = truth_masks(vertebra, plane=through(vertebra, offset=(80.0, 0.0, 0.0)))
    assert not any(mask.any() for mask in masks.values())
