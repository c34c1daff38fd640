from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.anatomy import U_GRID_MM
from helpers.phantom.canvas import ORIENTATIONS, Canvas, Plane
from helpers.phantom.geometry import Frame
from helpers.phantom.metal import METAL_HU, Metal, sample_metal
from helpers.phantom.patient import draw_plane, sample_patient
from helpers.phantom.rendering import body_window
from helpers.phantom.tissue import TISSUES

PIXEL_MM = 0.4
AXIS = dict(zip(ORIENTATIONS, range(3), strict=True))
FRACTURES = {"L2": "B", "T12": "A"}


def make_patient(seed, *, fractures=FRACTURES):
    """A patient without metal whose planes are drawn on a grid of `PIXEL_MM`."""
    patient = sample_patient(np.random.default_rng(seed), patient_id="SIM0001", fractures=fractures)
    return replace(patient, metal=Metal(), acquisition=replace(patient.acquisition, pixel_mm=PIXEL_MM))


@pytest.fixture(scope="module")
def patient():
    return make_patient(21)


@pytest.fixture(scope="module", params=[3, 8, 21])
def any_patient(request):
    return make_patient(request.param)


def plane_at(patient, *, level, orientation="sagittal", offset=(0.0, 0.0, 0.0), size=201, thickness_mm=0.1):
    centre = tuple(float(x + d) for x, d in zip(patient.spine.at(level).frame.origin_mm, offset, strict=True))
    return Plane(orientation, centre, size, size, PIXEL_MM, thickness_mm)


def without_vacuum(patient, *, level):
    vertebra = patient.spine.at(level)
    even = replace(vertebra, disc=replace(vertebra.disc, vacuum=False))
    return replace(patient, spine=replace(patient.spine, vertebrae=patient.spine.vertebrae | {level: even}))


class Drawn:
    """A noise-free, unblurred thin plane and the local coordinates of its pixels."""

    def __init__(self, patient, *, level, orientation="sagittal", **place):
        plane = plane_at(patient, level=level, orientation=orientation, **place)
        self.vertebra = patient.spine.at(level)
        self.hu = draw_plane(patient, plane=plane)
        self.plane = plane
        self.local = tuple(x[0] for x in self.vertebra.frame.to_local(Canvas.of(plane).points))

    @property
    def depth(self):
        return self.vertebra.shape.depth(self.local)

    def line(self, points):
        """HU nearest to local points (n, 3) of this plane."""
        column, row = np.rint(self.plane.to_pixels(self.vertebra.frame.to_patient(points))).astype(int).T
        return self.hu[row, column]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_spongiosa_and_shell_have_their_hu(any_patient, orientation):
    tissue, drawn = any_patient.tissue, Drawn(any_patient, level="L1", orientation=orientation)
    marrow = drawn.hu[(drawn.depth > 6) & (drawn.local[1] < 5)]
    assert np.median(marrow) == pytest.approx(tissue.trabecular, abs=30)
    shell = drawn.hu[(drawn.depth > 0.15) & (drawn.depth < 0.3)]
    assert np.median(shell) > np.median(marrow) + 80
    assert np.percentile(shell, 90) < TISSUES.cortex[1] * 1.7


def test_a_thick_shell_has_the_patients_cortical_hu(any_patient):
    tissue = replace(any_patient.tissue, cortex=700.0, plate_mm=2.5, wall_mm=2.5)
    drawn = Drawn(replace(any_patient, tissue=tissue), level="L1")
    shell = drawn.hu[(drawn.depth > 0.3) & (drawn.depth < 1.2)]
    assert np.median(shell) == pytest.approx(700, abs=90)


@pytest.mark.parametrize("orientation", ["sagittal", "coronal"])
def test_the_disc_has_its_hu_between_the_plates(any_patient, orientation):
    drawn = Drawn(without_vacuum(any_patient, level="L1"), level="L1", orientation=orientation)
    _, u, v = drawn.local
    shape, disc = drawn.vertebra.shape, drawn.vertebra.disc
    corners = [shape.corner(posterior=side, lower=True)[1] for side in (False, True)]
    middle = np.mean(corners) + np.diff(corners)[0] * u / (2 * shape.half_depth_mm) + disc.height_mm / 2
    inside = (np.abs(v - middle) < 0.4) & (np.abs(u) < 8) & (np.abs(drawn.local[0]) < 10)
    low, high = TISSUES.disc
    assert low - 10 <= np.median(drawn.hu[inside]) <= high + 10
    assert np.median(drawn.hu[inside]) == pytest.approx(any_patient.tissue.disc, abs=14)


def test_the_canal_holds_the_sac_behind_a_normal_body(any_patient):
    drawn = Drawn(any_patient, level="L1")
    w, u, v = drawn.local
    behind = u - drawn.vertebra.shape.half_depth_mm
    middle = np.abs(behind - 0.5 * drawn.vertebra.canal_mm) < 0.15 * drawn.vertebra.canal_mm
    values = drawn.hu[middle & (np.abs(v) < 6)]
    # Cord and roots stand out of the fluid by some tens of HU, fat does not reach here.
    assert TISSUES.sac[0] - 10 < np.median(values) < TISSUES.sac[1] + 35


def test_muscle_and_fat_keep_to_their_ranges(any_patient):
    drawn = Drawn(any_patient, level="L3", orientation="axial", offset=(0.0, 45.0, 0.0), size=281)
    soft = drawn.hu[(drawn.hu > -150) & (drawn.hu < 100)]
    # But for the air behind the patient nothing here is lighter than fat.
    assert ((drawn.hu > -900) & (drawn.hu < TISSUES.fat[0] - 40)).mean() < 0.02
    assert np.percentile(soft, 95) < TISSUES.vessel[1] + 40
    assert (soft > TISSUES.muscle[0] - 20).any()
    assert (soft < TISSUES.fat[1] + 10).any()


@pytest.mark.parametrize("level", ["T12", "L1"])
def test_heights_read_from_the_picture_are_the_measured_ones(patient, level):
    # Soft discs and a bright shell: the first and last bright sample along a line are the end plates.
    bright = replace(patient.tissue, cortex=800.0, plate_mm=1.0, disc=60.0)
    vertebra = patient.spine.at(level)
    straight = replace(vertebra, shape=replace(vertebra.shape, nodes=(), spurs=()))
    spine = replace(patient.spine, vertebrae=patient.spine.vertebrae | {level: straight})
    drawn = Drawn(replace(patient, tissue=bright, spine=spine), level=level)
    for site, name in ((-0.8, "anterior"), (0.0, "middle"), (0.8, "posterior")):
        u = site * vertebra.shape.half_depth_mm
        top, bottom = (np.interp(u, U_GRID_MM, p.midline) for p in (vertebra.shape.top, vertebra.shape.bottom))
        v = np.arange(top - 1.5, bottom + 1.5, 0.05)
        profile = drawn.line(np.stack([np.zeros_like(v), np.full_like(v, u), v], axis=-1))
        found = v[profile > 380]
        assert np.ptp(found) == pytest.approx(bottom - top, abs=2 * PIXEL_MM), name


@pytest.mark.parametrize("orientation", ["sagittal", "axial"])
def test_a_burst_puts_bone_into_the_canal_and_a_compression_does_not(any_patient, orientation):
    for level, wall_broken in (("L2", True), ("T12", False)):
        vertebra = any_patient.spine.at(level)
        summit = np.array([0.0, vertebra.shape.half_depth_mm + 0.5 * max(vertebra.fragment_mm, 3.0), 0.0])
        line = np.arange(-14, 10, 0.2)
        behind = np.stack([0 * line, 0 * line + summit[1], line], axis=-1).astype(np.float32)
        summit[2] = line[np.argmax(vertebra.shape.broken_depth(tuple(behind.T)))]
        place = vertebra.frame.to_patient(summit) - vertebra.frame.origin_mm
        drawn = Drawn(any_patient, level=level, orientation=orientation, offset=tuple(place))
        assert (drawn.line(summit[None, :]).item() > any_patient.tissue.sac + 60) == wall_broken, level


def test_a_vacuum_cleft_is_gas(patient):
    vertebra = patient.spine.at("L1")
    lowest = {}
    for vacuum in (True, False):
        disc = replace(vertebra.disc, vacuum=vacuum, height_mm=9.0)
        spine = patient.spine.vertebrae | {"L1": replace(vertebra, disc=disc)}
        drawn = Drawn(replace(patient, spine=replace(patient.spine, vertebrae=spine)), level="L1")
        _, u, v = drawn.local
        corner = vertebra.shape.corner(posterior=True, lower=True)[1]
        lowest[vacuum] = drawn.hu[(np.abs(u) < 12) & (v > corner) & (v < corner + 8)].min()
    assert lowest[True] < -150 < lowest[False]


def test_beside_the_midline_the_spinous_process_is_short(patient):
    def bright_behind(offset):
        drawn = Drawn(patient, level="L3", offset=(offset, 30.0, 0.0))
        return (drawn.hu[drawn.local[1] > 40] > 250).sum()

    assert bright_behind(0.0) > 1.3 * bright_behind(9.0)


def test_metal_is_the_brightest_thing(patient):
    vertebrae = [vertebra.frame.to_patient for vertebra in patient.spine.vertebrae.values()]
    fixed = replace(patient, metal=sample_metal(np.random.default_rng(0), vertebrae=vertebrae, rate=1.0))
    x, p, c = fixed.metal.rods[0].start_mm
    plane = Plane("axial", (x, p, c), 101, 101, PIXEL_MM, 0.1)
    assert draw_plane(patient, plane=plane).max() < 2000
    assert draw_plane(fixed, plane=plane).max() == pytest.approx(METAL_HU, rel=0.15)


@pytest.mark.parametrize("orientation", ["coronal", "axial"])
@pytest.mark.parametrize("level", ["T12", "L1", "L2"])
def test_planes_that_cross_agree_along_their_crossing_line(any_patient, level, orientation):
    place = {"level": level, "offset": (2.3, 6.0, 4.1)}
    sagittal, other = (draw_plane(any_patient, plane=plane_at(any_patient, orientation=o, **place))
                       for o in ("sagittal", orientation))  # fmt: skip
    middle = sagittal.shape[0] // 2
    line = sagittal[middle] if orientation == "axial" else sagittal[:, middle]
    assert np.ptp(line) > 200
    assert np.allclose(line, other[:, middle], atol=0.5)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_neighbouring_slices_converge_as_their_distance_shrinks(patient, orientation):
    def at_distance(d):
        offset = tuple(d * (axis == AXIS[orientation]) for axis in range(3))
        return draw_plane(
            patient, plane=plane_at(patient, level="L1", orientation=orientation, offset=offset, size=151)
        )

    here = at_distance(0.0)
    apart = [np.abs(at_distance(d) - here).mean() for d in (2.0, 0.5, 0.125, 0.03125)]
    assert (np.diff(apart) < 0).all()
    assert apart[3] < apart[0] / 10
    assert apart[3] < 3


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_thick_slab_is_the_mean_of_the_thin_ones_it_holds(patient, orientation):
    def slab(d, thickness):
        offset = tuple(d * (axis == AXIS[orientation]) for axis in range(3))
        place = plane_at(patient, level="L2", orientation=orientation, offset=offset, size=121, thickness_mm=thickness)
        return draw_plane(patient, plane=place)

    thin = [slab(d, 1.0) for d in (-1.0, 0.0, 1.0)]
    assert np.abs(thin[0] - thin[2]).mean() > 1
    assert np.allclose(slab(0.0, 3.0), np.mean(thin, axis=0), atol=0.5)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_two_images_of_one_plane_agree_where_they_overlap(patient, orientation):
    wide = plane_at(patient, level="L1", orientation=orientation, size=201)
    shift = np.array(wide.row_direction) * 20 * PIXEL_MM - np.array(wide.column_direction) * 30 * PIXEL_MM
    moved = replace(wide, centre_mm=tuple(float(x) for x in wide.centre_mm + shift))
    first, second = (draw_plane(patient, plane=plane) for plane in (wide, moved))
    difference = np.abs(first[:-30, 20:] - second[30:, :-20])
    # Single precision may move a sample into the next cell of a table.
    assert np.mean(difference < 1.0) > 0.999


@pytest.mark.parametrize("orientation", ["sagittal", "coronal"])
@pytest.mark.parametrize("level", ["L1", "L3", "L5"])
def test_windows_leave_out_nothing_of_bodies_and_discs(level, orientation, monkeypatch):
    # The lower two fractures sink deep, and the disc above must follow the sunken plate.
    broken = make_patient(1, fractures={"T12": "A", "L1": "B", "L3": "A", "L5": "B"})
    plane = replace(plane_at(broken, level=level, orientation=orientation, size=101), pixel_mm=0.8)
    windowed = draw_plane(broken, plane=plane)
    monkeypatch.setattr(Canvas, "around", lambda canvas, points, *, margin_mm: canvas.everywhere)
    everywhere = draw_plane(broken, plane=plane)
    assert np.mean(np.abs(windowed - everywhere) < 5) > 0.9995


def test_a_bodys_window_holds_a_fragment_that_fills_the_canal(patient):
    vertebra = replace(patient.spine.at("L2"), frame=Frame(), fragment_mm=11.0)
    canvas = Canvas.of(Plane("sagittal", (0.0, 0.0, 0.0), 201, 201, PIXEL_MM, 0.1))
    window = body_window(canvas, vertebra)
    assert window.points[1].max() > vertebra.shape.half_depth_mm + 11
