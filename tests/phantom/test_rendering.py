from dataclasses import replace

import numpy as np
import pytest

from helpers.phantom.anatomy import U_GRID_MM
from helpers.phantom.canvas import Canvas
from helpers.phantom.patient import sample_patient
from helpers.phantom.rendering import draw_plane

STEP_MM = 0.2


def drawn(patient, *, level, offset_mm=0.0, step_mm=STEP_MM):
    """A noise-free, unblurred plane around a level."""
    frame = patient.spine.at(level).frame
    # All canvases lie on one grid of the patient's plane.
    corner = np.floor(np.array([frame.p_mm, frame.c_mm]) / step_mm) * step_mm
    p = (corner[0] + np.arange(round(-40 / step_mm), round(75 / step_mm)) * step_mm).astype(np.float32)
    c = (corner[1] + np.arange(round(-45 / step_mm), round(45 / step_mm)) * step_mm).astype(np.float32)
    canvas = Canvas(np.zeros((len(c), len(p)), np.float32), p, c)
    draw_plane(
        canvas, spine=patient.spine, tissue=patient.tissue, around=patient.around,
        entropy=patient.entropy, offset_mm=offset_mm,
    )  # fmt: skip
    return canvas


def values_at(canvas, points):
    columns = np.rint((points[:, 0] - canvas.p[0]) / STEP_MM).astype(int)
    rows = np.rint((points[:, 1] - canvas.c[0]) / STEP_MM).astype(int)
    inside = (rows >= 0) & (rows < len(canvas.c)) & (columns >= 0) & (columns < len(canvas.p))
    return canvas.hu[rows[inside], columns[inside]]


@pytest.fixture(scope="module")
def patient():
    return sample_patient(np.random.default_rng(21), patient_id="SIM0001", fractures={"L2": "B", "T12": "A"})


def body_values(canvas, vertebra, *, low, high):
    """HU of body points whose depth lies between two bounds (mm)."""
    points = vertebra.shape.bone_points()
    depth = vertebra.shape.depth(*points.T)
    chosen = points[(depth > low) & (depth < high)]
    return values_at(canvas, vertebra.frame.to_plane(chosen))


def test_spongiosa_has_the_patients_hu_and_lies_below_its_cortex(patient):
    vertebra = patient.spine.at("L1")
    canvas = drawn(patient, level="L1")
    marrow = body_values(canvas, vertebra, low=4, high=20)
    shell = body_values(canvas, vertebra, low=0.05, high=0.4)
    assert np.median(marrow) == pytest.approx(patient.tissue.trabecular, abs=25)
    assert np.median(shell) > np.median(marrow) + 100


def test_the_disc_has_its_hu_between_the_plates(patient):
    vertebra = patient.spine.at("L1")
    spine = patient.spine.vertebrae | {"L1": replace(vertebra, disc=replace(vertebra.disc, vacuum=False))}
    canvas = drawn(replace(patient, spine=replace(patient.spine, vertebrae=spine)), level="L1")
    lower = vertebra.shape.corner(posterior=True, lower=True) + vertebra.shape.corner(posterior=False, lower=True)
    middle = lower / 2 + (0, vertebra.disc.height_mm / 2)
    value = values_at(canvas, vertebra.frame.to_plane(middle[None, :]))
    assert value == pytest.approx(patient.tissue.disc, abs=14)


@pytest.mark.parametrize("level", ["T12", "L1"])
def test_heights_read_from_the_picture_are_the_measured_ones(patient, level):
    # Soft discs and a bright shell: the first and last bright sample along a line are the end plates.
    tissue = replace(patient.tissue, cortex=800.0, plate_mm=1.0, disc=60.0)
    vertebra = patient.spine.at(level)
    canvas = drawn(replace(patient, tissue=tissue), level=level)
    site, half = 0.9, vertebra.shape.half_depth_mm
    for u, expected in ((-site * half, "anterior_mm"), (site * half, "posterior_mm")):
        top, bottom = (float(np.interp(u, U_GRID_MM, side)) for side in (vertebra.shape.top, vertebra.shape.bottom))
        v = np.arange(top - 1.5, bottom + 1.5, 0.05)
        profile = values_at(canvas, vertebra.frame.to_plane(np.stack([np.full_like(v, u), v], axis=-1)))
        bright = v[profile > 350]
        assert bright.max() - bright.min() == pytest.approx(getattr(vertebra.shape.heights, expected), abs=0.6)


def test_a_burst_puts_bone_into_the_canal_and_a_compression_does_not(patient):
    for level, wall_broken in (("L2", True), ("T12", False)):
        vertebra = patient.spine.at(level)
        canvas = drawn(patient, level=level)
        behind = vertebra.shape.half_depth_mm + np.array([[0.6 * max(vertebra.fragment_mm, 2.0)]])
        v = np.arange(-12, 4, 0.2)[:, None]
        line = np.concatenate([np.broadcast_to(behind, v.shape), v], axis=1)
        values = values_at(canvas, vertebra.frame.to_plane(line))
        assert (values.max() > patient.tissue.sac + 60) == wall_broken, level


def test_a_vacuum_cleft_is_gas(patient):
    vertebra = patient.spine.at("L1")
    lowest = {}
    for vacuum in (True, False):
        disc = replace(vertebra.disc, vacuum=vacuum, height_mm=9.0)
        spine = patient.spine.vertebrae | {"L1": replace(vertebra, disc=disc)}
        canvas = drawn(replace(patient, spine=replace(patient.spine, vertebrae=spine)), level="L1")
        corner = vertebra.shape.corner(posterior=True, lower=True)
        u, v = np.meshgrid(np.linspace(-12, 12, 80), corner[1] + np.linspace(0, 8, 40))
        points = np.stack([u.ravel(), v.ravel()], axis=-1)
        lowest[vacuum] = values_at(canvas, vertebra.frame.to_plane(points)).min()
    assert lowest[True] < -150 < lowest[False]


def test_beside_the_midline_the_spinous_process_is_short(patient):
    def bright_behind(offset):
        canvas = drawn(patient, level="L3", offset_mm=offset)
        behind = canvas.p > patient.spine.at("L3").frame.p_mm + 38
        return (canvas.hu[:, behind] > 300).sum()

    assert bright_behind(0.0) > 1.3 * bright_behind(5.0)


def test_two_images_of_one_plane_agree_where_they_overlap(patient):
    upper, lower = (drawn(patient, level=level, step_mm=0.5) for level in ("L1", "L2"))
    shared = [np.intersect1d(np.rint(getattr(upper, x) * 2), np.rint(getattr(lower, x) * 2)) / 2 for x in "cp"]
    parts = []
    for canvas in (upper, lower):
        rows, columns = (
            np.rint((axis - getattr(canvas, x)[0]) * 2).astype(int) for axis, x in zip(shared, "cp", strict=True)
        )
        parts.append(canvas.hu[np.ix_(rows, columns)])
    assert parts[0].size > 10_000
    # Single precision may move a sample into the next cell of a texture table.
    assert np.mean(np.abs(parts[0] - parts[1]) < 1.0) > 0.99
