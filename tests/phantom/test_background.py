from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.background import AIR, paint_background
from helpers.phantom.canvas import Canvas, Plane
from helpers.phantom.geometry import Frame
from helpers.phantom.spine import sample_spine
from helpers.phantom.surroundings import BACKGROUND, GAS, Bowel, Plaque, sample_surroundings

MUSCLE, FAT, SAC, VESSEL = 50.0, -100.0, 25.0, 45.0
BODY = {"half_depth_mm": 17.0, "half_width_mm": 23.0, "half_height_mm": 13.5}
CANAL_MM, CANAL_WIDTH_MM, PITCH_MM = 16.0, 22.0, 36.0


@dataclass(frozen=True)
class Shape:
    half_depth_mm: float
    half_width_mm: float
    half_height_mm: float

    def corner(self, *, posterior, lower):
        return np.array([self.half_depth_mm * (1 if posterior else -1), self.half_height_mm * (1 if lower else -1)])


def straight_spine(*, x_mm=0.0):
    """Equal bodies stacked along c, the middle of L2 at (x_mm, 0, 0)."""
    frames = {level: Frame((x_mm, 0.0, PITCH_MM * (n - LEVELS.index("L2")))) for n, level in enumerate(LEVELS)}
    return SimpleNamespace(
        vertebrae={
            level: SimpleNamespace(
                level=level,
                frame=frame,
                shape=Shape(**BODY),
                plan=SimpleNamespace(posterior_mm=2 * BODY["half_height_mm"]),
                canal_mm=CANAL_MM,
                canal_width_mm=CANAL_WIDTH_MM,
            )
            for level, frame in frames.items()
        }
    )


def palette(**changes):
    return SimpleNamespace(**{"muscle": MUSCLE, "fat": FAT, "sac": SAC, "vessel": VESSEL, "contrast": False, **changes})


def calm(around, **changes):
    """The same patient without waves and streaks, loops or plaques: borders lie where the numbers say."""
    flat = {
        name: replace(getattr(around, name), values=0 * getattr(around, name).values) for name in ("viscera", "streaks")
    }
    return replace(around, **{**flat, "bowel": (), "plaques": (), **changes})


@pytest.fixture(scope="module")
def around():
    return sample_surroundings(np.random.default_rng(4), age=70)


def painted(plane, *, around, spine=None, oversampling=1, slices=1, **tissue):
    canvas = Canvas.of(plane, oversampling=oversampling, slices=slices)
    paint_background(canvas, spine=spine or straight_spine(), tissue=palette(**tissue), around=around)
    return canvas


def value(point, *, around, spine=None, **tissue):
    """HU at one patient point, read off a tiny sagittal plane around it."""
    canvas = painted(Plane("sagittal", point, 5, 5, 0.25, 1.0), around=around, spine=spine, **tissue)
    return float(canvas.hu[0, 2, 2])


PLANES = [Plane("sagittal", (x, p, c), 41, 61, 2.0, 2.0) for x, p, c in ((0.0, 10.0, 0.0), (18.0, 10.0, -100.0))] + [
    Plane("axial", (0.0, 10.0, -20.0), 51, 81, 2.0, 2.0),
    Plane("axial", (4.0, 6.0, -120.0), 51, 81, 2.0, 2.0),
    Plane("coronal", (0.0, 24.0, 10.0), 81, 71, 2.0, 2.0),
    Plane("coronal", (0.0, -20.0, 60.0), 81, 71, 2.0, 2.0),
]


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"{plane.orientation} {plane.centre_mm}")
def test_planes_agree_where_they_cross(plane, around):
    """Every line of a plane, drawn alone as a plane of one row or column of the two other orientations, is the same."""
    whole = painted(plane, around=around).hu[0]
    x, p, c = np.broadcast_arrays(*plane.coordinates())
    for orientation in {"sagittal", "axial", "coronal"} - {plane.orientation}:
        row, column = 20, 30
        centre = tuple(float(axis[0, row, column]) for axis in (x, p, c))
        crossing = Plane(orientation, centre, 21, 21, 2.0, 2.0)
        other = painted(crossing, around=around).hu[0]
        shared = next(axis for axis in plane.axes[1:] if axis in crossing.axes[1:])
        ours = whole[row, column - 10 : column + 11] if plane.axes[2] == shared else whole[row - 10 : row + 11, column]
        theirs = other[10, :] if crossing.axes[2] == shared else other[:, 10]
        np.testing.assert_allclose(ours, theirs, atol=0.2)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"{plane.orientation} {plane.centre_mm}")
def test_a_part_drawn_alone_equals_that_part_of_the_whole(plane, around):
    whole = painted(plane, around=around).hu
    part = painted(replace(plane, rows=plane.rows - 30, columns=plane.columns - 40), around=around).hu
    np.testing.assert_allclose(part, whole[:, 15:-15, 20:-20], atol=0.2)


def test_a_slab_holds_the_same_slices_as_thin_planes(around):
    slab = painted(Plane("axial", (0.0, 10.0, 5.0), 40, 50, 2.0, 2.0), around=around, slices=2)
    for n, c in enumerate((4.5, 5.5)):
        alone = painted(Plane("axial", (0.0, 10.0, c), 40, 50, 2.0, 1.0), around=around)
        np.testing.assert_allclose(slab.hu[n], alone.hu[0], atol=0.2)


@pytest.mark.parametrize("orientation", ["sagittal", "axial", "coronal"])
@pytest.mark.parametrize("level", ["T12", "L3", "L5"])
def test_painting_in_windows_clips_nothing(orientation, level, around, monkeypatch):
    spine = sample_spine(np.random.default_rng(3), age=60, sex="F", fractures={"L3": "A", "L5": "B"})
    vertebra = spine.at(level)
    centre = tuple(vertebra.frame.to_patient(np.array([18.0, 12.0, 8.0])))
    plane = Plane(orientation, centre, 70, 80, 1.2, 1.0)
    windowed = painted(plane, around=around, spine=spine).hu
    monkeypatch.setattr(Canvas, "around", lambda canvas, points, *, margin_mm: canvas.everywhere)
    np.testing.assert_allclose(windowed, painted(plane, around=around, spine=spine).hu, atol=0.01)


@pytest.mark.parametrize("orientation", ["sagittal", "axial", "coronal"])
def test_a_canvas_stays_float32_and_is_filled(orientation, around):
    canvas = painted(Plane(orientation, (0.0, 15.0, 0.0), 40, 50, 2.0, 2.0), around=around, slices=2)
    assert canvas.hu.dtype == np.float32
    assert np.isfinite(canvas.hu).all()
    assert (canvas.hu != 0).mean() > 0.99


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), contrast=st.booleans())
def test_every_value_lies_between_air_and_plaque(seed, contrast):
    around = sample_surroundings(np.random.default_rng(seed), age=75)
    canvas = painted(Plane("axial", (0.0, 0.0, -30.0), 50, 60, 3.0, 2.0), around=around, contrast=contrast)
    assert canvas.hu.min() >= AIR - 1
    assert canvas.hu.max() <= BACKGROUND.plaque_hu[1]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        pytest.param((28.0, 38.0, 0.0), MUSCLE, id="erector spinae"),
        pytest.param((-28.0, 38.0, 0.0), MUSCLE, id="other erector"),
        pytest.param((42.0, 5.0, 2 * PITCH_MM), MUSCLE, id="psoas at L4"),
        pytest.param((0.0, 17.0 + CANAL_MM / 2, 1.5 * PITCH_MM), SAC, id="thecal sac at L3/4"),
        pytest.param((0.0, 17.0 + CANAL_MM / 2, -2 * PITCH_MM), SAC + 16, id="cord at T12"),
        pytest.param((0.0, 17.0 + CANAL_MM - 0.5, 0.0), FAT + 10, id="posterior epidural fat"),
        pytest.param((0.0, 150.0, 0.0), AIR, id="air behind the skin"),
    ],
)
def test_tissues_lie_where_they_belong(point, expected, around):
    quiet = calm(around, epidural_fat=0.9, psoas_mm=18.0, muscle_fat=-1.0, subcutaneous_mm=20.0)
    assert value(point, around=quiet) == pytest.approx(expected, abs=2)


def test_the_skin_closes_the_subcutaneous_fat(around):
    quiet = calm(around, subcutaneous_mm=20.0)
    tips = 17.0 + CANAL_MM + 34
    assert value((0.0, tips + 16, 0.0), around=quiet) == pytest.approx(FAT, abs=2)
    assert value((0.0, tips + 21, 0.0), around=quiet) == pytest.approx(MUSCLE, abs=2)


def test_a_nerve_root_crosses_the_fat_of_each_foramen(around):
    for sign in (1, -1):
        plane = Plane("sagittal", (16.0 * sign, 21.5, 0.42 * 27), 40, 24, 0.5, 1.0)
        hu = painted(plane, around=calm(around)).hu[0]
        root = np.abs(hu - (SAC + 22)) < 1
        assert root.sum() * 0.25 == pytest.approx(np.pi * 2.3**2, rel=0.6)
        assert (np.abs(hu - FAT) < 1).sum() * 0.25 > 40


def vessel_mask(plane, *, around):
    marked = painted(plane, around=around, vessel=777.0).hu[0]
    return np.abs(marked - 777) < 1


def test_the_aorta_is_round_left_of_the_midline_and_before_the_body(around):
    quiet = calm(around, aorta_left_mm=12.0, aorta_mm=20.0, aorta_gap_mm=2.0, cava_mm=16.0)
    plane = Plane("axial", (0.0, -30.0, 0.0), 160, 240, 0.5, 1.0)
    mask = vessel_mask(plane, around=quiet)
    x, p, _ = (np.broadcast_to(line, (1, *mask.shape))[0] for line in plane.coordinates())
    aorta = mask & (x > -3)
    radius = 10 * (1 + 0.001 * 2 * PITCH_MM)
    assert aorta.sum() * 0.25 == pytest.approx(np.pi * radius**2, rel=0.08)
    assert x[aorta].mean() == pytest.approx(12, abs=3)
    assert p[aorta].max() < -15


def test_the_cava_lies_to_the_right(around):
    plane = Plane("axial", (-40.0, -30.0, 0.0), 120, 60, 1.0, 1.0)
    assert vessel_mask(plane, around=calm(around)).any()


def test_the_aorta_divides_before_l4(around):
    quiet = calm(around, aorta_left_mm=12.0)
    below = Plane("axial", (0.0, -30.0, 2 * PITCH_MM + 14), 160, 240, 0.5, 1.0)
    left = vessel_mask(below, around=quiet)[:, 120:].sum() * 0.25
    assert 10 < left < np.pi * (quiet.aorta_mm / 2) ** 2 / 2


def test_a_plaque_lies_in_the_wall_at_its_height(around):
    plaque = Plaque(c_mm=-2 * PITCH_MM, angle_rad=0.5, length_mm=6.0)
    plane = Plane("axial", (0.0, -30.0, 0.0), 160, 240, 0.5, 1.0)
    hu = [painted(plane, around=calm(around, plaques=p, plaque_hu=800.0)).hu[0] for p in ((plaque,), ())]
    changed = (hu[0] - hu[1]) > 600
    assert 4 < changed.sum() * 0.25 < 40


def test_gas_floats_on_the_fluid_of_a_loop(around):
    loop = Bowel(left_mm=0.0, before_mm=45.0, c_mm=0.0, radii_mm=(10.0, 10.0, 10.0), hu=GAS, level=0.0)
    hu = painted(Plane("sagittal", (0.0, -62.0, 0.0), 80, 80, 0.5, 1.0), around=calm(around, bowel=(loop,))).hu[0]
    assert (hu < -900).sum() * 0.25 == pytest.approx(np.pi * 8**2 / 2, rel=0.1)  # a half disc within the 2 mm wall
    assert (hu[:, :40] < -900).sum() > 20 * (hu[:, 41:] < -900).sum()
    assert value((0.0, -58.0, 0.0), around=calm(around, bowel=(loop,))) == pytest.approx(15, abs=1)


def test_lungs_lie_beside_the_thoracic_spine_only(around):
    quiet = calm(around, lung_end_mm=0.0, lung_hu=-850.0)
    assert value((50.0, 10.0, -4.5 * PITCH_MM), around=quiet) == pytest.approx(-850, abs=5)
    assert value((-50.0, 10.0, -4.5 * PITCH_MM), around=quiet) == pytest.approx(-850, abs=5)
    assert value((50.0, 10.0, PITCH_MM), around=quiet) > -200


def test_equal_seeds_give_equal_pictures():
    plane = Plane("axial", (0.0, 0.0, 0.0), 40, 40, 3.0, 2.0)
    first, second = (painted(plane, around=sample_surroundings(np.random.default_rng(9), age=60)).hu for _ in range(2))
    np.testing.assert_array_equal(first, second)
