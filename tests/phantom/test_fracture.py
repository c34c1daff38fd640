import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.anatomy import U_GRID_MM, sample_body_plan
from helpers.phantom.fracture import (
    COMPRESSION_MAX_NARROWING,
    COMPRESSION_SUBTYPES,
    Loss,
    fractured_body,
    intact_body,
    measure_heights,
    retropulsion_mm,
    sample_fracture,
)

CANAL_MM = 16.0


def broken(seed, kind):
    rng = np.random.default_rng(seed)
    plan = sample_body_plan(rng, level="L1", size_mm=(34, 27), cavity_mm=1.0)
    fracture = sample_fracture(rng, kind=kind)
    return plan, fracture, fractured_body(plan, fracture, rng=rng, canal_mm=CANAL_MM)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from("AB"))
def test_the_measured_height_ratio_is_the_requested_one(seed, kind):
    plan, fracture, shape = broken(seed, kind)
    assert shape.heights.ratio == pytest.approx(fracture.height_ratio, abs=0.3 / plan.reference_heights_mm.max())


@pytest.mark.parametrize("seed", range(12))
def test_a_burst_narrows_the_canal_by_the_requested_fraction(seed):
    _, fracture, shape = broken(seed, "B")
    assert retropulsion_mm(shape) / CANAL_MM == pytest.approx(fracture.narrowing, abs=0.02)
    assert len(shape.pieces) >= 2


@pytest.mark.parametrize("seed", range(12))
def test_a_burst_loses_height_at_the_posterior_wall_too(seed):
    plan, _, shape = broken(seed, "B")
    whole = intact_body(plan).heights
    assert shape.heights.posterior_mm < whole.posterior_mm - 0.5
    assert shape.heights.anterior_mm < whole.anterior_mm - 0.5


@pytest.mark.parametrize("seed", range(20))
def test_a_compression_leaves_the_posterior_wall_whole(seed):
    _, fracture, shape = broken(seed, "A")
    assert retropulsion_mm(shape) / CANAL_MM <= COMPRESSION_MAX_NARROWING
    # Only the split has a second piece, and its line stays in front of the wall.
    back = shape.half_depth_mm - 4
    for piece in shape.pieces:
        for cut in piece.cuts:
            v = np.linspace(-5, 5, 21)
            assert (np.sign(cut.depth(np.full_like(v, back), v)) == np.sign(cut.depth(back, 0.0))).all()
    assert fracture.subtype in COMPRESSION_SUBTYPES


@pytest.mark.parametrize(
    ("loss", "lowest"),
    [
        (Loss(posterior=0.0, central=0.0, hinge=0.5, lower=0.0), "anterior_mm"),
        (Loss(posterior=0.0, central=1.0, hinge=0.5, lower=0.5), "middle_mm"),
    ],
    ids=["wedge", "biconcave"],
)
def test_the_subtype_decides_where_height_is_lost(loss, lowest):
    plan = sample_body_plan(np.random.default_rng(1), level="L1", size_mm=(34, 27), cavity_mm=0.5)
    plates = (-plan.posterior_mm / 2 + 8 * (1 - loss.lower) * loss.profile(U_GRID_MM / plan.half_depth_mm),)
    plates += (plan.posterior_mm / 2 - 8 * loss.lower * loss.profile(U_GRID_MM / plan.half_depth_mm),)
    heights = measure_heights(plan, plates=plates)
    values = {name: getattr(heights, name) for name in ("anterior_mm", "middle_mm", "posterior_mm")}
    assert min(values, key=values.get) == lowest
    assert values["posterior_mm"] == pytest.approx(plan.posterior_mm, abs=0.1 * plan.posterior_mm)
    assert values[lowest] == pytest.approx(plan.posterior_mm - 8, abs=0.2)


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


def test_most_compressions_are_chronic_and_most_bursts_acute():
    rng = np.random.default_rng(6)
    acute = {kind: np.mean([sample_fracture(rng, kind=kind).acute for _ in range(400)]) for kind in "AB"}
    assert acute["A"] == pytest.approx(0.40, abs=0.08)
    assert acute["B"] == pytest.approx(0.88, abs=0.08)


def test_an_intact_body_has_nothing_in_the_canal():
    plan = sample_body_plan(np.random.default_rng(2), level="L2", size_mm=(34, 27), cavity_mm=1.0)
    assert retropulsion_mm(intact_body(plan)) == 0.0


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="kind: 'C'"):
        sample_fracture(np.random.default_rng(0), kind="C")
