from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.background import BACKGROUND, Bowel, paint_background, sample_surroundings, trace_spine
from helpers.phantom.canvas import Canvas
from helpers.phantom.spine import sample_spine
from helpers.phantom.tissue import sample_tissue


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(4)
    spine = sample_spine(rng, age=60, sex="M", fractures={})
    return spine, sample_tissue(rng, age=60, sex="M", fragile=False), sample_surroundings(rng, age=60)


def painted(scene, **changes):
    spine, tissue, around = scene
    centre = spine.at("L2").frame
    p = (centre.p_mm + np.arange(-70, 70, 0.5)).astype(np.float32)
    c = (centre.c_mm + np.arange(-80, 80, 0.5)).astype(np.float32)
    canvas = Canvas(np.zeros((len(c), len(p)), np.float32), p, c)
    paint_background(canvas, spine=spine, tissue=tissue, around=replace(around, **changes))
    return canvas


def test_traced_lines_pass_through_the_corners(scene):
    vertebra = scene[0].at("L1")
    for posterior, name in ((False, "front"), (True, "back")):
        p, c = vertebra.frame.to_plane(vertebra.shape.corner(posterior=posterior, lower=True))
        assert getattr(trace_spine(scene[0]).lines(np.array([c])), name)[0, 0] == pytest.approx(p, abs=0.05)


def test_the_canal_is_as_wide_as_the_vertebra_says(scene):
    vertebra = scene[0].at("L1")
    _, c = vertebra.frame.to_plane(vertebra.shape.corner(posterior=True, lower=True))
    lines = trace_spine(scene[0]).lines(np.array([c]))
    assert (lines.canal - lines.back)[0, 0] == pytest.approx(vertebra.canal_mm, abs=1.5)


def test_the_thecal_sac_fills_the_canal_below_the_cord(scene):
    spine, tissue, _ = scene
    canvas = painted(scene)
    vertebra = spine.at("L3")
    p, c = vertebra.frame.to_plane(np.array([vertebra.shape.half_depth_mm + 0.35 * vertebra.canal_mm, 0.0]))
    value = canvas.hu[np.searchsorted(canvas.c, c), np.searchsorted(canvas.p, p)]
    assert value == pytest.approx(tissue.sac, abs=1)


def test_the_aorta_has_its_hu_in_front_of_the_spine_and_ends_at_l4(scene):
    canvas = painted(scene, has_aorta=True, bowel=(), plaques=(), lung_hu=None)
    tissue = replace(scene[1], vessel=777.0)
    canvas_marked = painted((scene[0], tissue, scene[2]), has_aorta=True, bowel=(), plaques=(), lung_hu=None)
    vessel = np.abs(canvas_marked.hu - 777) < 1
    assert vessel.any()
    rows = canvas.c[vessel.any(axis=1)]
    assert rows.max() <= scene[0].at("L4").frame.c_mm
    assert not (painted(scene, has_aorta=False).hu == canvas.hu).all()


def test_bowel_gas_is_painted_where_the_loop_lies(scene):
    loop = Bowel(before_mm=45.0, c_mm=float(scene[0].at("L2").frame.c_mm), radii_mm=(9.0, 9.0), hu=-950.0)
    gas, none = (painted(scene, bowel=b, has_aorta=False).hu < -900 for b in ((loop,), ()))
    extra = (gas & ~none).sum() * 0.25
    assert extra == pytest.approx(np.pi * 7**2, rel=0.1)  # radius less the 2 mm wall, to first order


def test_plaques_grow_with_age():
    def count(age):
        return sum(len(sample_surroundings(np.random.default_rng(s), age=age).plaques) for s in range(20))

    assert count(35) == 0
    assert count(85) > 60


def test_surroundings_keep_to_the_ranges():
    for seed in range(30):
        around = sample_surroundings(np.random.default_rng(seed), age=70)
        assert BACKGROUND.aorta_mm[0] <= around.aorta_mm <= BACKGROUND.aorta_mm[1]
        assert len(around.bowel) <= BACKGROUND.bowel_count
