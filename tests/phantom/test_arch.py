from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.anatomy import MOBILE_LEVELS as MOBILE
from helpers.phantom.arch import paint_posterior, posterior_parts
from helpers.phantom.canvas import Canvas, Plane
from helpers.phantom.geometry import Frame, unite_depths
from helpers.phantom.posterior import ArchBase, sample_posterior
from helpers.phantom.tissue import sample_tissue

BODY = ArchBase(half_depth_mm=17, half_width_mm=24, posterior_mm=28, canal_mm=16.5, canal_width_mm=23, flatness=0.13)
HIGH_BODY = replace(BODY, half_width_mm=18, posterior_mm=24, canal_width_mm=17)
TISSUE = replace(
    sample_tissue(np.random.default_rng(1), age=50, sex="M", fragile=False),
    trabecular=150.0,
    posterior_cortex=700.0,
    posterior_cortex_mm=1.5,
)
UPRIGHT = Frame()
seeds = st.integers(0, 10_000)


def drawn(level, *, seed=0):
    return sample_posterior(np.random.default_rng(seed), level=level, size=1.0)


def body_of(level):
    return HIGH_BODY if level.startswith("T") else BODY


def posterior_depth(points, *, plan, body):
    """Depth in all bone together, evaluated everywhere rather than part by part in windows."""
    points = tuple(np.asarray(x, dtype=np.float32) for x in points)
    parts = posterior_parts(plan, body=body)
    depth = np.broadcast_arrays(parts[0].depth(points), *points)[0]
    for part in parts[1:]:
        depth = unite_depths(depth, part.depth(points), blend_mm=part.blend_mm)
    if body.lamina_cleft:
        beside = np.abs(points[0] - plan.cleft_at_mm + np.sin(0.25 * points[2]))
        depth = np.minimum(depth, beside - plan.cleft_mm / 2)
    return depth


def depth_along(axis, line, *, at, plan, body):
    """Depth along a line of values on one axis (0 w, 1 u, 2 v), through the point ``at``."""
    points = [np.full(line.shape, x) for x in at]
    points[axis] = line
    return posterior_depth(tuple(points), plan=plan, body=body)


def pedicle_wall(plan, body, *, side):
    """Where bone begins when one goes from the canal to one side, behind the posterior wall at mid-pedicle height."""
    height = plan.pedicle_mm[1]
    middle = 0.06 * body.posterior_mm + (height - body.posterior_mm) / 2
    line = np.arange(0, 30, 0.02)
    at = (0, body.half_depth_mm + 0.2 * body.canal_mm, middle)
    depth = depth_along(0, side * line, at=at, plan=plan, body=body)
    return line[np.argmax(depth > 0)]


def painted(orientation, *, plan, body, frame=UPRIGHT, centre=(0.0, 25.0, 0.0), texture=None, size=(240, 240)):
    plane = Plane(orientation, centre, *size, pixel_mm=0.5, thickness_mm=0.5)
    canvas = Canvas.of(plane)
    paint_posterior(canvas, frame=frame, plan=plan, body=body, tissue=TISSUE, texture=texture)
    return plane, canvas.hu[0]


def hu_at(image, *, point):
    plane, hu = image
    column, row = np.round(plane.to_pixels(np.array(point))).astype(int)
    return hu[row, column]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seed", range(4))
def test_the_canal_is_as_wide_between_the_pedicles_as_asked(level, seed):
    plan, body = drawn(level, seed=seed), body_of(level)
    width = pedicle_wall(plan, body, side=1) + pedicle_wall(plan, body, side=-1)
    assert width == pytest.approx(body.canal_width_mm, abs=0.3)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("splay", [2.0, 6.0])
def test_splay_pushes_the_pedicles_apart_by_as_much(level, splay):
    plan, body = drawn(level), body_of(level)
    splayed = replace(body, splay_mm=splay)
    widths = [sum(pedicle_wall(plan, b, side=side) for side in (1, -1)) for b in (body, splayed)]
    assert widths[1] - widths[0] == pytest.approx(splay, abs=0.1)


@settings(deadline=None, max_examples=30)
@given(level=st.sampled_from(LEVELS), seed=seeds, cleft=st.booleans())
def test_no_bone_grows_into_the_canal_in_the_midline(level, seed, cleft):
    plan, body = drawn(level, seed=seed), replace(body_of(level), lamina_cleft=cleft)
    u = np.arange(body.half_depth_mm, body.roof_mm, 0.5)[:, None]
    v = np.arange(-0.5, 0.5, 0.02) * body.posterior_mm
    assert posterior_depth((np.zeros(1), u, v), plan=plan, body=body).max() <= 0.1


@pytest.mark.parametrize("level", LEVELS)
def test_the_lamina_closes_the_canal_at_its_depth_in_the_midline(level):
    plan, body = drawn(level), body_of(level)
    line = np.arange(body.half_depth_mm, body.roof_mm + 12, 0.02)
    begins = [
        line[np.argmax(depth_along(1, line, at=(0, 0, v), plan=plan, body=body) > 0)]
        for v in plan.lamina[0] * body.posterior_mm + np.array([2.0, 4.0])
    ]
    assert body.roof_mm <= begins[0] <= body.roof_mm + 2
    assert begins[0] <= begins[1]


@settings(deadline=None, max_examples=30)
@given(level=st.sampled_from(MOBILE), seed=seeds)
def test_the_arch_is_closed_around_the_canal_but_open_at_the_foramina(level, seed):
    plan, body = drawn(level, seed=seed), body_of(level)
    middle = 0.06 * body.posterior_mm + (plan.pedicle_mm[1] - body.posterior_mm) / 2
    # Seen from the canal's middle, bone stands in every direction at some height of the pedicle's lower half.
    angle, reach = np.deg2rad(np.arange(0, 181, 3))[:, None, None], np.arange(0, 32, 0.4)[:, None]
    heights = middle + np.arange(0, 0.35 * body.posterior_mm)
    ray = (reach * np.cos(angle), body.half_depth_mm + 0.25 * body.canal_mm + reach * np.sin(angle), heights)
    assert (posterior_depth(ray, plan=plan, body=body) > 0).any(axis=(1, 2)).all()
    foramen = (np.array(body.half_canal_mm + 2), np.array(body.half_depth_mm + 1.5), 0.42 * body.posterior_mm)
    assert posterior_depth(foramen, plan=plan, body=body) < 0


def section(plan, body, *, frame, step=0.25):
    """Bone of one vertebra on an axial plane through the joint with the vertebra below."""
    w, u = np.arange(0, 30, step)[None, :], np.arange(15, 45, step)[:, None]
    return posterior_depth(frame.to_local((w, u, np.array(19.0))), plan=plan, body=body)


@pytest.mark.parametrize("upper", MOBILE[:-1])
def test_facets_of_neighbours_face_each_other_across_a_narrow_gap(upper):
    lower = LEVELS[LEVELS.index(upper) + 1]
    body = body_of(upper)
    below = Frame((0.0, 0.0, body.posterior_mm + 8))
    above = section(drawn(upper), body, frame=UPRIGHT)
    other = section(drawn(lower), body, frame=below)
    assert (above > 1).any()
    assert (other > 1).any()
    assert not ((above > 0) & (other > 0)).any()
    # Half the gap: how far the point that is nearest to both bones lies from either.
    assert 0.3 <= np.maximum(-above, -other).min() <= 1.5


@settings(deadline=None, max_examples=20)
@given(level=st.sampled_from(LEVELS), seed=seeds, half_mm=st.integers(-36, 36))
def test_a_sagittal_and_an_axial_plane_agree_where_they_cross(level, seed, half_mm):
    plan, body = drawn(level, seed=seed), body_of(level)
    frame = Frame((1.0, 0.0, 2.0), 0.15, -0.05, 0.08)
    x, c = half_mm / 2, -4.0
    images = {}
    for orientation in ("sagittal", "axial"):
        images[orientation] = painted(
            orientation, plan=plan, body=body, frame=frame, centre=(x, 25.0, c), size=(241, 241)
        )[1]
    assert np.allclose(images["sagittal"][120], images["axial"][:, 120], atol=0.5)


def test_shell_and_marrow_have_the_tissues_hu():
    plan = drawn("L3")
    image = painted("sagittal", plan=plan, body=BODY)
    plane, hu = image
    _, p, c = plane.coordinates()
    depth = posterior_depth((np.zeros(1), p, c), plan=plan, body=BODY)[0]
    assert hu[depth < -0.5] == pytest.approx(0)
    assert hu[(depth > 0.4) & (depth < 1.1)] == pytest.approx(700)
    assert hu[depth > 2] == pytest.approx(0.8 * 150 + 40)


def test_texture_varies_marrow_only():
    plan = drawn("L3")
    texture = np.random.default_rng(0).standard_normal((1, 240, 240)).astype(np.float32)
    plane, plain = painted("sagittal", plan=plan, body=BODY)
    rough = painted("sagittal", plan=plan, body=BODY, texture=texture)[1]
    _, p, c = plane.coordinates()
    depth = posterior_depth((np.zeros(1), p, c), plan=plan, body=BODY)[0]
    assert (rough == plain)[depth < 1].all()
    assert rough[depth > 2].std() == pytest.approx(160 * 0.5 * TISSUE.texture, rel=0.25)


def test_the_pedicle_leaves_the_inside_of_the_body_alone():
    plan = drawn("L3")
    image = painted("axial", plan=plan, body=BODY, centre=(0.0, 10.0, -5.0))
    assert hu_at(image, point=(14.0, 5.0, -5.0)) == 0
    assert hu_at(image, point=(16.0, 18.0, -5.0)) > 0


def test_a_cleft_splits_the_lamina_beside_the_midline():
    plan = drawn("L1", seed=3)
    line = np.arange(-8, 8, 0.05)
    v = plan.lamina[0] * BODY.posterior_mm + 6
    cleft = replace(BODY, lamina_cleft=True)
    u = np.arange(BODY.roof_mm - 8, BODY.roof_mm + 12, 0.25)[:, None]
    whole, split = (posterior_depth((line, u, np.array(v)), plan=plan, body=b).max(axis=0) for b in (BODY, cleft))
    assert (whole > 0).all()
    lucent = line[split < 0]
    assert np.ptp(lucent) == pytest.approx(plan.cleft_mm, abs=0.15)
    assert abs(np.mean(lucent) - plan.cleft_at_mm) <= 1.0


@pytest.mark.parametrize("level", LEVELS)
def test_every_part_lies_within_its_box(level):
    plan, body = drawn(level), body_of(level)
    axes = (np.arange(-90, 91, 4), np.arange(-10, 90, 4), np.arange(-50, 70, 4))
    grid = tuple(x.astype(np.float32) for x in np.meshgrid(*axes, indexing="ij"))
    for part in posterior_parts(plan, body=body):
        bone = np.stack([x[part.depth(grid) > 0] for x in grid], axis=-1)
        assert (bone >= part.points.min(axis=0) - 0.5).all()
        assert (bone <= part.points.max(axis=0) + 0.5).all()


@pytest.mark.parametrize(("level", "ribs"), [("T8", True), ("T11", True), ("T12", True), ("L1", False), ("S1", False)])
def test_thoracic_vertebrae_have_ribs(level, ribs):
    names = {part.name for part in posterior_parts(drawn(level), body=body_of(level))}
    assert ("left rib head" in names) == ("right rib head" in names) == ribs


def test_a_canvas_away_from_the_bone_stays_empty():
    hu = painted("sagittal", plan=drawn("L3"), body=BODY, centre=(200.0, 25.0, 0.0))[1]
    assert (hu == 0).all()


def test_results_are_float32():
    assert painted("axial", plan=drawn("T12"), body=replace(BODY, lamina_cleft=True))[1].dtype == np.float32
