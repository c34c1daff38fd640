from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.anatomy import U_GRID_MM, Endplate, sample_body_plan
from helpers.phantom.fracture import (
    COMPRESSION_MAX_NARROWING,
    COMPRESSION_SUBTYPES,
    FRACTURES,
    Loss,
    fractured_body,
    intact_body,
    measure_heights,
    retropulsion_mm,
    sample_fracture,
    solve_amplitude_mm,
)

CANAL_MM = 16.0
SITES = {"anterior_mm": -0.9, "middle_mm": 0.0, "posterior_mm": 0.9}


def sample_plan(seed=1, **changes):
    rng = np.random.default_rng(seed)
    return replace(sample_body_plan(rng, level="L1", size_mm=(34, 27), cavity_mm=1.0), **changes)


def broken(seed, kind):
    rng = np.random.default_rng(seed)
    plan = sample_body_plan(rng, level="L1", size_mm=(34, 27), cavity_mm=1.0)
    fracture = sample_fracture(rng, kind=kind)
    return plan, fracture, fractured_body(plan, fracture, rng=rng, canal_mm=CANAL_MM)


def ray(depth, *, start, end, count=4001):
    """The points along a straight line that lie in bone, as their distance (mm) from its start."""
    way = np.linspace(0, 1, count, dtype=np.float32)
    points = tuple(np.float32(a) + way * np.float32(b - a) for a, b in zip(start, end, strict=True))
    return way[depth(points) > 0] * np.linalg.norm(np.subtract(end, start))


def height_by_ray(depth, *, u):
    """Height of the bone along a cranio-caudal ray in the midline, mm."""
    return float(np.ptp(ray(depth, start=(0, u, -22), end=(0, u, 22))))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from("AB"))
def test_the_smallest_height_cast_by_rays_is_the_requested_ratio(seed, kind):
    plan, fracture, shape = broken(seed, kind)
    # Pieces of a burst or a split slide apart; heights are those of the body they came from.
    depth = shape.broken_depth if len(shape.pieces) == 1 else shape.depth
    heights = np.array([height_by_ray(depth, u=s * shape.half_depth_mm) for s in SITES.values()])
    excess = heights - fracture.height_ratio * plan.reference_heights_mm
    assert excess.min() == pytest.approx(0, abs=0.3)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from("ABC"))
def test_every_recorded_height_is_what_rays_find(seed, kind):
    shape = intact_body(sample_plan(seed)) if kind == "C" else broken(seed, kind)[2]
    for name, s in SITES.items():
        ray_mm = height_by_ray(shape.depth, u=s * shape.half_depth_mm)
        assert getattr(shape.heights, name) == pytest.approx(ray_mm, abs=0.3), name


def test_the_recorded_ratios_are_heights_over_the_levels_norm():
    plan, _, shape = broken(3, "A")
    heights = np.array([getattr(shape.heights, name) for name in SITES])
    assert heights / plan.reference_heights_mm == pytest.approx(shape.heights.ratios)
    assert shape.heights.ratio == min(shape.heights.ratios)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_the_solved_loss_is_never_a_gain(seed):
    rng = np.random.default_rng(seed)
    plan, fracture = sample_plan(seed), sample_fracture(rng, kind="A")
    assert solve_amplitude_mm(plan, replace(fracture, height_ratio=0.4)) > solve_amplitude_mm(plan, fracture) > 0


@pytest.mark.parametrize("seed", range(12))
def test_a_burst_narrows_the_canal_by_the_requested_fraction(seed):
    _, fracture, shape = broken(seed, "B")
    # Independent of `retropulsion_mm`: horizontal rays backwards into the canal, from the wall on.
    wall = shape.half_depth_mm
    rays = [ray(shape.broken_depth, start=(0, wall, v), end=(0, wall + 16, v), count=321) for v in range(-16, 14)]
    reached = max(r.max(initial=0.0) for r in rays)
    assert reached / CANAL_MM == pytest.approx(fracture.narrowing, abs=0.04)
    assert retropulsion_mm(shape) == pytest.approx(reached, abs=0.5)
    assert len(shape.pieces) >= 2


@pytest.mark.parametrize("seed", range(12))
def test_a_burst_loses_height_at_the_posterior_wall_too(seed):
    plan, _, shape = broken(seed, "B")
    whole = intact_body(plan).heights
    assert shape.heights.posterior_mm < whole.posterior_mm - 0.5
    assert shape.heights.anterior_mm < whole.anterior_mm - 0.5


def test_the_posterior_wall_is_lower_in_bursts_than_in_compressions():
    posterior = {kind: [broken(seed, kind)[2].heights.ratios[2] for seed in range(40)] for kind in "AB"}
    assert np.mean(posterior["B"]) < np.mean(posterior["A"]) - 0.05


@pytest.mark.parametrize("seed", range(30))
def test_a_compression_leaves_the_posterior_wall_whole(seed):
    _, fracture, shape = broken(seed, "A")
    assert fracture.subtype in COMPRESSION_SUBTYPES
    assert retropulsion_mm(shape) / CANAL_MM <= COMPRESSION_MAX_NARROWING
    # Just beneath the wall bone runs on from plate to plate, without a gap, across the width of the canal.
    upper, lower = (shape.corner(posterior=True, lower=side)[1] for side in (False, True))
    for w in (-6.0, 0.0, 6.0):
        u = shape.half_depth_mm - 3.2
        found = ray(shape.broken_depth, start=(w, u, upper + 4), end=(w, u, lower - 4), count=401)
        assert len(found) == 401


def test_a_split_runs_through_both_plates_in_front_of_the_wall():
    splits = [shape for _, f, shape in (broken(seed, "A") for seed in range(120)) if f.subtype == "split"]
    assert splits
    for shape in splits:
        assert len(shape.pieces) == 2
        for v in (-5.0, 0.0, 5.0):
            line = ray(shape.broken_depth, start=(0, -20, v), end=(0, 20, v))
            gaps = line[:-1][np.diff(line) > 0.1] - 20
            assert len(gaps) == 1
            assert abs(gaps[0]) < shape.half_depth_mm - 2


@pytest.mark.parametrize(
    ("loss", "lowest"),
    [
        (Loss(posterior=0.0, central=0.0, hinge=0.5, lower=0.0), "anterior_mm"),
        (Loss(posterior=0.0, central=1.0, hinge=0.5, lower=0.5), "middle_mm"),
    ],
    ids=["wedge", "biconcave"],
)
def test_the_subtype_decides_where_height_is_lost(loss, lowest):
    plan = sample_plan()
    s, line = U_GRID_MM / plan.half_depth_mm, np.full_like(U_GRID_MM, plan.posterior_mm / 2)
    plates = tuple(
        Endplate(side * line - side * 8 * share * loss.rim(s), -side * 8 * share * loss.hollow(s))
        for side, share in ((-1, 1 - loss.lower), (1, loss.lower))
    )
    heights = measure_heights(plan, plates=plates)
    values = {name: getattr(heights, name) for name in SITES}
    assert min(values, key=values.get) == lowest
    assert values["posterior_mm"] == pytest.approx(plan.posterior_mm, abs=0.1 * plan.posterior_mm)
    assert values[lowest] == pytest.approx(plan.posterior_mm - 8, abs=0.2)


def test_a_biconcave_loss_is_a_hollow_and_spares_the_sides():
    loss = Loss(posterior=0.0, central=1.0, hinge=0.5, lower=0.5)
    fracture = replace(sample_fracture(np.random.default_rng(0), kind="A"), loss=loss, subtype="biconcave")
    shape = fractured_body(sample_plan(), fracture, rng=np.random.default_rng(0), canal_mm=CANAL_MM)
    side = 0.9 * shape.half_width_mm
    beside = [float(np.ptp(ray(shape.depth, start=(w, 0, -22), end=(w, 0, 22)))) for w in (-side, side)]
    assert min(beside) > shape.heights.middle_mm + 3


def test_subtypes_and_ao_types_belong_together():
    rng = np.random.default_rng(5)
    seen = {(f.kind, f.subtype, f.ao_type) for f in (sample_fracture(rng, kind=k) for k in "AB" * 200)}
    assert seen == {
        ("A", "wedge", "A1"),
        ("A", "biconcave", "A1"),
        ("A", "crush", "A1"),
        ("A", "split", "A2"),
        ("B", "incomplete burst", "A3"),
        ("B", "complete burst", "A4"),
    }


def test_only_a_complete_burst_takes_much_of_the_lower_plate():
    rng = np.random.default_rng(8)
    lower = {}
    for fracture in (sample_fracture(rng, kind="B") for _ in range(200)):
        lower.setdefault(fracture.ao_type, []).append(fracture.loss.lower)
    assert max(lower["A3"]) <= 0.1 < 0.25 <= min(lower["A4"])


def test_only_bursts_splay_the_pedicles_and_cleave_laminae():
    rng = np.random.default_rng(9)
    drawn = {kind: [sample_fracture(rng, kind=kind) for _ in range(200)] for kind in "AB"}
    assert {(f.splay_mm, f.lamina_cleft, f.narrowing) for f in drawn["A"]} == {(0.0, False, 0.0)}
    assert min(f.splay_mm for f in drawn["B"]) >= FRACTURES.splay_mm[0]
    assert np.mean([f.lamina_cleft for f in drawn["B"]]) == pytest.approx(FRACTURES.lamina_cleft, abs=0.1)


def test_most_compressions_are_chronic_and_most_bursts_acute():
    rng = np.random.default_rng(6)
    acute = {kind: np.mean([sample_fracture(rng, kind=kind).acute for _ in range(400)]) for kind in "AB"}
    assert acute["A"] == pytest.approx(0.40, abs=0.08)
    assert acute["B"] == pytest.approx(0.88, abs=0.08)


def test_an_intact_body_has_nothing_in_the_canal():
    assert retropulsion_mm(intact_body(sample_plan(2))) == 0.0


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="kind: 'C'"):
        sample_fracture(np.random.default_rng(0), kind="C")
