"""Painting all that is around the bones: muscles, fat, viscera, lungs, great vessels, the canal and the foramina.

All of it follows the course of the spine: how its front, its canal and the tips of its processes run along ``c``. HU
depend on the place (x, p, c) alone, so that planes through one patient agree where they cross. Shapes are modelling
choices for plausible adults.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.phantom.anatomy import MOBILE_LEVELS
from helpers.phantom.canvas import Canvas, Window
from helpers.phantom.course import Course, SpinePaths, trace_spine
from helpers.phantom.geometry import Range, Triple, capsule_depth, ellipsoid_depth
from helpers.phantom.spine import Spine, Vertebra
from helpers.phantom.surroundings import GAS, WATER, Bowel, Plaque, Surroundings
from helpers.phantom.tissue import Tissue

#: HU of the air behind the skin.
AIR = -1000.0
#: Enhancement of organs after contrast medium, HU; kidneys take up three times as much.
CONTRAST_STEP = 35.0
_ANY: Range = (-np.inf, np.inf)
_CONUS_LEVEL, _BIFURCATION_LEVEL = "L1", "L4"


@dataclass(frozen=True)
class _Region:
    """A part of the canvas with the spine's course in it, the distance from the midline and the wavy field."""

    canvas: Canvas
    window: Window
    course: Course
    wave: np.ndarray

    @property
    def p(self) -> np.ndarray:
        return self.window.points[1]

    @property
    def c(self) -> np.ndarray:
        return self.window.points[2]

    @property
    def left(self) -> np.ndarray:
        return self.window.points[0] - self.course.middle

    def paint(self, depth_mm: np.ndarray, *, hu: np.ndarray | float, opacity: float = 1.0) -> None:
        self.canvas.paint(self.window, depth_mm=depth_mm, hu=hu, opacity=opacity)


@dataclass(frozen=True)
class _Scene:
    """What every painter needs; ``course`` and ``wave`` (the visceral field) span the whole canvas."""

    canvas: Canvas
    paths: SpinePaths
    tissue: Tissue
    around: Surroundings
    course: Course
    wave: np.ndarray

    def within(self, *, x: Range = _ANY, p: Range = _ANY, c: Range = _ANY) -> _Region | None:
        """The part of the canvas in a box of patient coordinates and the edge around it, or None if it is off."""
        window = self.canvas.around(np.array([x, p, c]).T, margin_mm=self.canvas.step_mm)
        if window is None:
            return None
        cut = tuple(s if n > 1 else slice(None) for s, n in zip(window.part, self.course.front.shape, strict=True))
        course = Course(**{name: line[cut] for name, line in vars(self.course).items()})
        return _Region(self.canvas, window, course, self.wave[window.part])


def _spread(values: np.ndarray, *, margin_mm: float) -> Range:
    return float(np.min(values)) - margin_mm, float(np.max(values)) + margin_mm


def _box(centre: Triple, *, reach_mm: Sequence[float]) -> dict[str, Range]:
    """Bounds for `_Scene.within`, ``reach_mm`` to both sides of a centre."""
    return {axis: (m - r, m + r) for axis, m, r in zip("xpc", centre, reach_mm, strict=True)}


def paint_background(canvas: Canvas, *, spine: Spine, tissue: Tissue, around: Surroundings) -> None:
    """Fill the canvas with soft tissue, from the matrix of fat to the canal; bones come later."""
    wave = around.viscera.at(canvas.points)
    paths = trace_spine(spine)
    scene = _Scene(canvas, paths, tissue, around, paths.at(canvas.points[2]), wave)
    canvas.hu[:] = np.float32(tissue.fat) + 4 * wave
    _paint_viscera(scene)
    _paint_lungs(scene)
    _paint_erectors(scene)
    _paint_flanks(scene)
    for loop in around.bowel:
        _paint_bowel(scene, loop=loop)
    _paint_front(scene)
    _paint_aorta(scene)
    _paint_skin(scene)
    _paint_canal(scene)
    for level in MOBILE_LEVELS:
        _paint_foramina(scene, vertebra=spine.vertebrae[level])


def _paint_viscera(scene: _Scene) -> None:
    """Organs before the spine and beside it, parted by fat of uneven width that is gone in places."""
    course = scene.course
    part = scene.within(p=(-np.inf, float(course.back.max()) + 10))
    if part is None:
        return
    before = part.course.front + 0.35 * part.left**2 / part.course.half_width - part.p
    # The upper abdomen is filled by solid organs: liver, stomach, spleen.
    solid = np.clip((scene.paths.level_c_mm["L2"] - part.c) / 60, 0, 1.3)
    lobules = part.wave + (solid + np.float32(0.3 - scene.around.visceral_fat))
    wall = part.course.back - (np.abs(part.left) - 45) ** 2 / 80 - part.p
    cavity = np.minimum(before - np.float32(scene.around.prevertebral_mm + 4), wall) + 2.5 * part.wave
    soft = scene.tissue.muscle + (CONTRAST_STEP if scene.tissue.contrast else 0)
    part.paint(np.minimum(cavity, 6 * lobules), hu=np.float32(soft) + 6 * part.wave)
    # Thin fat runs around loops and vessels, less so between solid organs.
    septa = np.float32(0.8) - 8 * np.abs(part.wave - (0.6 + solid))
    part.paint(np.minimum(cavity, septa), hu=scene.tissue.fat + 15, opacity=0.7)


def _paint_lungs(scene: _Scene) -> None:
    """Both lungs with chest wall, mediastinum and diaphragm as a rim; they lie on a dome and reach deepest behind."""
    around, end = scene.around, scene.paths.level_c_mm["T12"] + scene.around.lung_end_mm
    deepest = float(scene.course.tips.max())
    part = scene.within(p=(-np.inf, deepest - 2), c=(-np.inf, end + 16))
    if part is None:
        return
    course, left, side = part.course, part.left, np.abs(part.left)
    before = np.maximum(course.front - part.p, 0)
    # The lungs come closest to each other behind the heart.
    recess = around.lung_reach * before * (1 - before / 60)
    medial = side - course.half_width - 5 - recess - 1.8 * np.maximum(part.p - course.back - 4, 0)
    dome = np.maximum(70 - 0.009 * (side - 55) ** 2 - 0.009 * (course.front - 50 - part.p) ** 2, 0)
    chest = np.minimum(course.tips - 14 - left**2 / 250 - part.p, 0.7 * (end - part.c - dome))
    depth = _round_minimum(medial, chest) + 2 * part.wave
    part.paint(depth + 4.0, hu=scene.tissue.muscle)
    part.paint(depth, hu=np.float32(around.lung_hu) + 10 * part.wave)


def _round_minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersect two depths with a rounded corner, about 10 mm wide."""
    corner = np.maximum(10 - np.abs(a - b), 0)
    return np.minimum(a, b) - 0.025 * corner * corner


def _paint_erectors(scene: _Scene) -> None:
    """Muscles behind the transverse processes, parted by sheets of fat and streaked with it along their fibres."""
    around, tissue = scene.around, scene.tissue
    course = scene.course
    part = scene.within(p=(float(course.back.min()) + 4, float(course.tips.max()) + 8))
    if part is None:
        return
    streaks = around.streaks.at(part.window.points)
    side, behind = np.abs(part.left), part.p - part.course.canal
    across = (side / np.float32(around.erector_mm * 0.5)) ** 2
    # A furrow lies over the processes, and the muscles' back falls off to the sides.
    fascia = part.course.tips - 3 + 5 * across * (2 - across) - part.p
    depth = np.minimum(part.p - part.course.back - 9 - 0.06 * side, fascia) + part.wave
    part.paint(depth, hu=np.float32(tissue.muscle) + 3 * streaks)
    uneven = 0.5 * streaks + 0.6 * part.wave + np.float32(0.2 + 0.7 * around.muscle_fat)
    bent = side + 2.5 * part.wave
    for start, slope in ((4.0, 0.12), (15.0, 0.55), (38.0, 0.35)):
        sheet = uneven - 0.9 * np.abs(bent - (start + slope * behind))
        part.paint(np.minimum(sheet, depth), hu=tissue.fat, opacity=0.8)
    fatty = np.minimum(depth, (streaks - np.float32(2.1 - around.muscle_fat)) * 1.5)
    part.paint(fatty, hu=tissue.fat + 25, opacity=0.75)


def _paint_flanks(scene: _Scene) -> None:
    """Beside the bodies: kidneys in their fat, psoas from L1 downwards, and the square muscle of the loin."""
    levels = scene.paths.level_c_mm
    for sign, shift in zip((1, -1), scene.around.kidney_c_mm, strict=True):
        _paint_kidney(scene, sign=sign, c_mm=levels["L2"] + shift)
    lowest, highest = _spread(scene.course.back, margin_mm=24)
    bounds = (lowest - 1.3 * scene.around.psoas_mm, highest)
    part = scene.within(p=bounds, c=(levels["T12"] - 5, np.inf))
    if part is None:
        return
    course, side, muscle = part.course, np.abs(part.left), scene.tissue.muscle
    share = np.clip((part.c - levels["T12"]) / (levels["L4"] - levels["T12"]), 0.0, 1.0).astype(np.float32)
    radius = 2 + (scene.around.psoas_mm - 2) * share
    across = (side - course.half_width - 0.75 * radius - 4 * share) / radius
    along = (part.p - course.back + 8 + 4 * share) / (1.3 * radius)
    psoas = radius * (1 - np.sqrt(across**2 + along**2)) + 0.8 * part.wave
    loin = 8 * (1 - np.sqrt(((side - 58) / 18) ** 2 + ((part.p - course.back - 4) / 8) ** 2)) + 0.8 * part.wave
    depth = np.minimum(np.maximum(psoas, loin), 0.5 * (part.c - levels["T12"]))
    part.paint(depth + 2.0, hu=scene.tissue.fat)
    part.paint(depth, hu=np.float32(muscle) + 2 * part.wave)


def _paint_kidney(scene: _Scene, *, sign: int, c_mm: float) -> None:
    place = scene.paths.at(c_mm)
    centre = (place.middle + sign * (place.half_width + 34), place.back - 16, c_mm)
    part = scene.within(**_box(centre, reach_mm=(42, 38, 82)))
    if part is None:
        return
    points = part.window.points
    depth = ellipsoid_depth(points, centre=centre, radii=(24, 21, 50)) + 1.2 * part.wave
    part.paint(depth + 9, hu=scene.tissue.fat)
    part.paint(depth, hu=scene.tissue.muscle - 5 + (3 * CONTRAST_STEP if scene.tissue.contrast else 0))
    hilum = (centre[0] - sign * 12, centre[1] - 4, c_mm)
    sinus = ellipsoid_depth(points, centre=hilum, radii=(13, 8, 22)) + 1.5 * part.wave
    part.paint(sinus, hu=scene.tissue.fat + 10)


def _paint_bowel(scene: _Scene, *, loop: Bowel) -> None:
    place = scene.paths.at(loop.c_mm)
    centre = (place.middle + loop.left_mm, place.front - loop.before_mm, loop.c_mm)
    part = scene.within(**_box(centre, reach_mm=[1.45 * r for r in loop.radii_mm]))
    if part is None:
        return
    depth = ellipsoid_depth(part.window.points, centre=centre, radii=loop.radii_mm) + 0.8 * part.wave
    part.paint(depth, hu=scene.tissue.muscle)
    part.paint(depth - 2.0, hu=WATER if loop.hu == GAS else loop.hu)
    if loop.hu == GAS:
        surface = centre[1] + loop.level * loop.radii_mm[1] - part.p
        part.paint(np.minimum(depth - 2.0, surface), hu=GAS)


def _paint_front(scene: _Scene) -> None:
    """What lies on the bodies' front: a thin layer of soft tissue, the crura and the inferior vena cava."""
    around, tissue, levels = scene.around, scene.tissue, scene.paths.level_c_mm
    course = scene.course
    part = scene.within(p=(float(course.front.min()) - 12, float(course.back.max())))
    if part is not None:
        flare = np.float32(0.55) * part.left**2 / part.course.half_width
        layer = 1.2 - np.abs(part.course.front + flare - 1 - part.p) + 0.6 * part.wave
        part.paint(np.minimum(layer, part.course.half_width - np.abs(part.left)), hu=tissue.muscle, opacity=0.8)
    for left, end in ((8.0, levels["L2"]), (-8.0, levels["L3"])):
        _paint_tube(scene, left_mm=left, gap_mm=0.0, radii_mm=(6.0, 3.2), end_mm=end, hu=tissue.muscle)
    # Veins fill later and less than arteries.
    vein = max(0.6 * tissue.vessel, 35.0) if tissue.contrast else tissue.vessel
    left, end, (rx, rp) = -6 - 0.5 * around.cava_mm, levels["L5"], (0.58 * around.cava_mm, 0.42 * around.cava_mm)
    _paint_tube(scene, left_mm=left, gap_mm=around.aorta_gap_mm, radii_mm=(rx, rp), end_mm=end, hu=vein)
    place = scene.paths.at(end - 14)
    start = (place.middle + left, place.vessels - around.aorta_gap_mm - rp, end - 14)
    _paint_iliacs(scene, start=start, radius_mm=0.7 * rp, hu=vein)


def _paint_tube(
    scene: _Scene, *, left_mm: float, gap_mm: float, radii_mm: tuple[float, float], end_mm: float, hu: float
) -> None:
    """A strand of elliptic section along the spine's front that thins out over its last 30 mm."""
    rx, rp = radii_mm
    x = _spread(scene.course.middle + left_mm, margin_mm=rx + 3)
    p = _spread(scene.course.vessels - gap_mm - rp, margin_mm=rp + 3)
    part = scene.within(x=x, p=p, c=(-np.inf, end_mm))
    if part is None:
        return
    axis = part.course.vessels - np.float32(gap_mm + rp)
    size = np.clip((end_mm - part.c) / 30, 0.3, 1.0) ** np.float32(0.4)
    away = np.sqrt(((part.left - np.float32(left_mm)) / rx) ** 2 + ((part.p - axis) / rp) ** 2)
    part.paint(np.minimum(rp * (size - away) + 0.4 * part.wave, end_mm - part.c), hu=hu)


def _aorta_axis(scene: _Scene, *, c: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``x`` and ``p`` of the aorta's axis and its radius at ``c``, float32, mm.

    Above the diaphragm it lies beside the bodies, below it runs before them; it widens upwards.
    """
    around, levels, course = scene.around, scene.paths.level_c_mm, scene.paths.at(c)
    above = np.maximum(levels["T12"] - c, 0)
    radius = around.aorta_mm / 2 * (1 + 0.001 * (levels[_BIFURCATION_LEVEL] - c))
    left = around.aorta_left_mm + 2.5 * np.sin(c / 32 + around.aorta_left_mm) + 0.12 * above
    p = course.vessels - around.aorta_gap_mm - radius + 0.012 * left**2 + 0.1 * above
    return np.float32(course.middle + left), np.float32(p), np.float32(radius)


def _aorta_depth(scene: _Scene, *, part: _Region) -> np.ndarray:
    """Depth in the aorta, whose lower end is round."""
    x, p, radius = _aorta_axis(scene, c=part.c)
    remaining = scene.paths.level_c_mm[_BIFURCATION_LEVEL] - part.c
    radius = radius * np.sqrt(np.clip(remaining / 10, 0, 1))
    depth = radius - np.sqrt((part.window.points[0] - x) ** 2 + (part.p - p) ** 2) + 0.3 * part.wave
    return np.minimum(depth, remaining)


def _paint_aorta(scene: _Scene) -> None:
    """The aorta with plaques in its wall; it divides into the common iliac arteries before L4."""
    end, tissue = scene.paths.level_c_mm[_BIFURCATION_LEVEL], scene.tissue
    x, p, radius = _aorta_axis(scene, c=end - 6)
    _paint_iliacs(scene, start=(x, p, end - 6), radius_mm=0.55 * float(radius), hu=tissue.vessel)
    x, p, radius = _aorta_axis(scene, c=scene.canvas.points[2])
    reach = float(radius.max()) + 3
    part = scene.within(x=_spread(x, margin_mm=reach), p=_spread(p, margin_mm=reach), c=(-np.inf, end))
    if part is None:
        return
    part.paint(_aorta_depth(scene, part=part), hu=tissue.vessel)
    for plaque in scene.around.plaques:
        _paint_plaque(scene, plaque=plaque, c_mm=end + plaque.c_mm)


def _paint_plaque(scene: _Scene, *, plaque: Plaque, c_mm: float) -> None:
    """A patch of the wall, at most 2 mm thick."""
    x, p, radius = _aorta_axis(scene, c=c_mm)
    centre = (x + radius * np.cos(plaque.angle_rad), p + radius * np.sin(plaque.angle_rad), c_mm)
    reach = plaque.length_mm / 2 + 1
    part = scene.within(**_box(centre, reach_mm=(reach,) * 3))
    if part is None:
        return
    wall = 1.0 - np.abs(_aorta_depth(scene, part=part) - 0.7)
    patch = ellipsoid_depth(part.window.points, centre=centre, radii=(reach,) * 3)
    part.paint(np.minimum(wall, patch), hu=scene.around.plaque_hu)


def _paint_iliacs(scene: _Scene, *, start: Triple, radius_mm: float, hu: float) -> None:
    """The two vessels that part at ``start`` (x, p, c) and run to the sides of the sacrum."""
    c_end = scene.paths.level_c_mm["S1"] + 15
    sacrum = scene.paths.at(c_end)
    for sign in (1, -1):
        end = (sacrum.middle + 44 * sign, sacrum.front + 2, c_end)
        x, p, c = (_spread(np.array(ends), margin_mm=radius_mm + 2) for ends in zip(start, end, strict=True))
        part = scene.within(x=x, p=p, c=c)
        if part is not None:
            depth = capsule_depth(part.window.points, ends=(start, end), radii=(radius_mm, 0.8 * radius_mm))
            part.paint(depth + 0.3 * part.wave, hu=hu)


def _paint_skin(scene: _Scene) -> None:
    """The fascia in the subcutaneous fat, the skin, and the air behind it."""
    around, tissue = scene.around, scene.tissue
    aside = float(np.abs(scene.canvas.points[0]).max() + np.abs(scene.course.middle).max())
    part = scene.within(p=(float(scene.course.tips.min()) - aside**2 / 360, np.inf))
    if part is None:
        return
    beyond = part.p - part.course.tips + part.left**2 / 360
    fascia = 0.5 - np.abs(beyond - np.float32(0.6 * around.subcutaneous_mm) + 2.5 * part.wave)
    part.paint(np.minimum(fascia, beyond), hu=tissue.muscle, opacity=0.55)
    skin = beyond - np.float32(around.subcutaneous_mm)
    part.paint(skin, hu=tissue.muscle)
    part.paint(skin - 2.0, hu=AIR)


def _paint_canal(scene: _Scene) -> None:
    """Epidural fat, widest behind the sac under the laminae; the thecal sac; the cord down to the conus."""
    whole, tissue = scene.course, scene.tissue
    x = _spread(whole.middle, margin_mm=float(whole.canal_half.max()) + 1)
    part = scene.within(x=x, p=(float(whole.back.min()) - 1, float(whole.canal.max()) + 4))
    if part is None:
        return
    course, left = part.course, part.left
    depth, side = course.canal - course.back, np.abs(left)
    fat = np.float32(scene.around.epidural_fat)
    # Behind, the canal narrows to the angle between the laminae.
    behind = part.p - course.back
    roof = 0.8 * (depth + 2.5 * fat * (1 - course.disc) - behind) - np.maximum(0.45 * side - 0.25 * depth, 0)
    canal = np.minimum(np.minimum(behind, roof), course.canal_half - side)
    part.paint(canal, hu=tissue.fat + 10)
    ventral, dorsal = 1.2 * fat * (1 - course.disc), fat * (0.6 + 3.0 * (1 - course.disc))
    radius = 0.5 * (depth - ventral - dorsal)
    across = left / (0.88 * course.canal_half)
    along = (behind - ventral - radius) / radius
    sac = radius * (1 - np.sqrt(across**2 + along**2))
    part.paint(sac + 0.15 * part.wave, hu=tissue.sac)
    conus = scene.paths.level_c_mm[_CONUS_LEVEL] + 12 - part.c
    cord = np.minimum(np.clip(conus / 25, 0, 1) ** np.float32(0.6) * 0.58 * radius, 4.6)
    part.paint(cord - np.sqrt((0.75 * left) ** 2 + (along * radius) ** 2), hu=tissue.sac + 16)


def _paint_foramina(scene: _Scene, *, vertebra: Vertebra) -> None:
    """Fat in both foramina below a vertebra's pedicles, with the nerve root on its way out and down."""
    half, height = vertebra.canal_width_mm / 2, vertebra.plan.posterior_mm
    centre = np.array([0.0, vertebra.shape.half_depth_mm + 4.5, 0.42 * height])
    ru, rv = 5.5, 0.30 * height
    reach = np.array([[s * (half + 14), t * ru, t * rv] for s in (-1, 1) for t in (-1, 1)])
    window = scene.canvas.around(vertebra.frame.to_patient(centre + reach), margin_mm=4.0)
    if window is None:
        return
    w, u, v = vertebra.frame.to_local(window.points)
    w, u, v = np.abs(w), u - np.float32(centre[1]), v - np.float32(centre[2])
    hole = ru * (1 - np.sqrt((u / ru) ** 2 + (v / rv) ** 2)) + 0.5 * scene.wave[window.part]
    depth = np.minimum(hole, np.minimum(w - (half - 2), half + 11 - w))
    scene.canvas.paint(window, depth_mm=depth, hu=scene.tissue.fat)
    ends = ((half - 3, -1.0, -0.55 * rv), (half + 14, 2.5, 0.45 * rv))
    root = capsule_depth((w, u, v), ends=ends, radii=(2.0, 2.6))
    scene.canvas.paint(window, depth_mm=root, hu=scene.tissue.sac + 22)
