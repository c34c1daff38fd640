"""Everything around the bones: muscle, fat, viscera, aorta, bowel, the canal and the discs' surroundings."""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.anatomy import ANATOMY, LEVELS
from helpers.phantom.canvas import Canvas, random_field, sample_field
from helpers.phantom.geometry import Range, draw, ellipse_depth, polygon_depth
from helpers.phantom.spine import Spine
from helpers.phantom.tissue import Tissue

AIR = -1000.0
_CORD_ENDS_BELOW = "L1"


@dataclass(frozen=True)
class BackgroundRanges:
    """Ranges (low, high) of the surroundings; lengths in mm, attenuation in HU."""

    prevertebral_mm: Range = (2.0, 6.0)
    aorta_gap_mm: Range = (0.5, 5.0)
    aorta_mm: Range = (13.0, 24.0)
    aorta_rate: float = 0.65
    plaque_hu: Range = (250.0, 900.0)
    lung_rate: float = 0.3
    lung_hu: Range = (-880.0, -780.0)
    subcutaneous_mm: Range = (8.0, 45.0)
    bowel_radius_mm: Range = (6.0, 18.0)
    bowel_count: int = 7


BACKGROUND = BackgroundRanges()


@dataclass(frozen=True)
class Bowel:
    """One loop: plane position relative to the front of the spine, radii in mm, content in HU."""

    before_mm: float
    c_mm: float
    radii_mm: tuple[float, float]
    hu: float


@dataclass(frozen=True)
class Surroundings:
    """One patient's surroundings, fixed in the patient's plane; lengths in mm."""

    prevertebral_mm: float
    aorta_gap_mm: float
    aorta_mm: float
    has_aorta: bool
    plaques: tuple[tuple[float, bool, float], ...]
    plaque_hu: float
    lung_hu: float | None
    lung_before_mm: float
    subcutaneous_mm: float
    visceral_fat: float
    muscle_fat: float
    bowel: tuple[Bowel, ...]
    viscera: np.ndarray
    streaks: np.ndarray


def sample_surroundings(rng: np.random.Generator, *, age: float) -> Surroundings:
    """Draw the soft tissue around one spine; plaques and fatty muscle grow with age."""
    older = float(np.clip((age - 40) / 45, 0, 1))
    plaques = tuple(
        (draw(rng, (-250, 150)), bool(rng.random() < 0.5), draw(rng, (1.5, 9.0))) for _ in range(rng.poisson(9 * older))
    )
    return Surroundings(
        prevertebral_mm=draw(rng, BACKGROUND.prevertebral_mm),
        aorta_gap_mm=draw(rng, BACKGROUND.aorta_gap_mm),
        aorta_mm=draw(rng, BACKGROUND.aorta_mm),
        has_aorta=bool(rng.random() < BACKGROUND.aorta_rate),
        plaques=plaques,
        plaque_hu=draw(rng, BACKGROUND.plaque_hu),
        lung_hu=draw(rng, BACKGROUND.lung_hu) if rng.random() < BACKGROUND.lung_rate else None,
        lung_before_mm=draw(rng, (22, 45)),
        subcutaneous_mm=draw(rng, BACKGROUND.subcutaneous_mm),
        visceral_fat=draw(rng, (-0.6, 0.9)),
        muscle_fat=draw(rng, (0.2, 0.9)) + 0.9 * older,
        bowel=tuple(_sample_bowel(rng) for _ in range(rng.integers(BACKGROUND.bowel_count + 1))),
        viscera=random_field(rng, length_mm=7.0),
        streaks=random_field(rng, length_mm=4.0),
    )


def _sample_bowel(rng: np.random.Generator) -> Bowel:
    content = rng.choice([-950.0, 15.0, 220.0], p=[0.55, 0.35, 0.10])
    radii = (draw(rng, BACKGROUND.bowel_radius_mm), draw(rng, BACKGROUND.bowel_radius_mm))
    return Bowel(draw(rng, (36, 75)), draw(rng, (-60, 170)), radii, float(content))


@dataclass(frozen=True)
class SpineLines:
    """Along the rows of a canvas: ``p`` of the spine's front, of its posterior wall, canal back and spinous tips.

    Arrays are (h, 1) in mm.
    """

    front: np.ndarray
    back: np.ndarray
    canal: np.ndarray
    tips: np.ndarray


@dataclass(frozen=True)
class SpinePaths:
    """The same four lines as plane points (n, 2) at the corners of all bodies, cranial first, mm."""

    front: np.ndarray
    back: np.ndarray
    canal: np.ndarray
    tips: np.ndarray

    def lines(self, c: np.ndarray) -> SpineLines:
        """Interpolate all four to the rows ``c`` (h,)."""
        paths = (self.front, self.back, self.canal, self.tips)
        return SpineLines(*(_along_rows(path, c=c).astype(np.float32)[:, None] for path in paths))


def trace_spine(spine: Spine) -> SpinePaths:
    """Collect the corners of all bodies, and what lies a canal's depth and a process' length behind them."""
    paths: list[list[np.ndarray]] = [[], [], [], []]
    for vertebra in spine.vertebrae.values():
        for lower in (False, True):
            front, back = (vertebra.shape.corner(posterior=side, lower=lower) for side in (False, True))
            behind = (back, back + (vertebra.canal_mm, 0), back + (vertebra.canal_mm + 34, 8))
            for path, point in zip(paths, vertebra.frame.to_plane(np.array([front, *behind])), strict=True):
                path.append(point)
    return SpinePaths(*(np.array(path) for path in paths))


def _along_rows(path: np.ndarray, *, c: np.ndarray) -> np.ndarray:
    """``p`` of a path (n, 2) at rows ``c`` (h,), constant beyond its ends."""
    return np.interp(c, np.maximum.accumulate(path[:, 1]), path[:, 0])


def paint_background(canvas: Canvas, *, spine: Spine, tissue: Tissue, around: Surroundings) -> None:
    """Fill the canvas with soft tissue, back to front: muscle, fat, viscera, aorta, then the canal."""
    paths = trace_spine(spine)
    lines = paths.lines(canvas.c)
    streaks = sample_field(around.streaks, p=canvas.p, c=canvas.c)
    canvas.hu[:] = tissue.muscle + 4 * streaks
    _paint_behind(canvas, lines=lines, tissue=tissue, around=around, streaks=streaks)
    _paint_before(canvas, lines=lines, tissue=tissue, around=around)
    for loop in around.bowel:
        _paint_bowel(canvas, loop=loop, paths=paths, tissue=tissue)
    if around.has_aorta:
        _paint_aorta(canvas, paths=paths, end_mm=spine.at("L4").frame.c_mm, tissue=tissue, around=around)
    _paint_canal(canvas, lines=lines, spine=spine, tissue=tissue)


def _paint_behind(
    canvas: Canvas, *, lines: SpineLines, tissue: Tissue, around: Surroundings, streaks: np.ndarray
) -> None:
    everywhere = canvas.everywhere
    behind = everywhere.p - lines.canal
    fatty = np.minimum(behind, (streaks - 1.6 + around.muscle_fat) * 1.5)
    canvas.paint(everywhere, depth_mm=fatty, hu=tissue.fat + 25, opacity=0.75)
    beyond = everywhere.p - lines.tips
    canvas.paint(everywhere, depth_mm=beyond, hu=tissue.fat)
    canvas.paint(everywhere, depth_mm=beyond - around.subcutaneous_mm, hu=tissue.muscle)
    canvas.paint(everywhere, depth_mm=beyond - around.subcutaneous_mm - 2.0, hu=AIR)


def _paint_before(canvas: Canvas, *, lines: SpineLines, tissue: Tissue, around: Surroundings) -> None:
    everywhere = canvas.everywhere
    before = lines.front - everywhere.p - around.prevertebral_mm
    viscera = sample_field(around.viscera, p=canvas.p, c=canvas.c)
    canvas.paint(everywhere, depth_mm=before + 0.8 * viscera, hu=tissue.fat + 6 * viscera)
    # The fat between spine and organs is of uneven width, and gone in places.
    organs = np.minimum(before - 2 + 2.5 * viscera, 6 * (viscera + 0.4 - around.visceral_fat))
    canvas.paint(everywhere, depth_mm=organs, hu=tissue.muscle + (25 if tissue.contrast else 0) + 5 * viscera)
    if around.lung_hu is not None:
        dome = -62.0 - 0.012 * (before - around.lung_before_mm) ** 2 - everywhere.c
        canvas.paint(everywhere, depth_mm=np.minimum(before - around.lung_before_mm, dome), hu=around.lung_hu)


def _paint_bowel(canvas: Canvas, *, loop: Bowel, paths: SpinePaths, tissue: Tissue) -> None:
    front = _along_rows(paths.front, c=np.array([loop.c_mm]))
    centre = (float(front[0]) - loop.before_mm, loop.c_mm)
    window = canvas.around(np.array([centre]), margin_mm=max(loop.radii_mm) + 2)
    if window is None:
        return
    depth = ellipse_depth(window.p, window.c, centre=centre, radii=loop.radii_mm)
    canvas.paint(window, depth_mm=depth, hu=tissue.muscle)
    canvas.paint(window, depth_mm=depth - 2.0, hu=loop.hu)


def _paint_aorta(canvas: Canvas, *, paths: SpinePaths, end_mm: float, tissue: Tissue, around: Surroundings) -> None:
    """A vessel along the spine's front down to its bifurcation at ``end_mm``, with plaques in its walls."""
    everywhere = canvas.everywhere
    near = _aorta_back(paths, c=canvas.c, around=around)[:, None]
    # It leaves the plane where it divides: its section narrows to a tip.
    width = around.aorta_mm * np.sqrt(np.clip((end_mm - everywhere.c) / 30, 0, 1))
    inset = (around.aorta_mm - width) / 2
    depth = np.minimum(near - inset - everywhere.p, everywhere.p - near + around.aorta_mm - inset)
    canvas.paint(everywhere, depth_mm=np.minimum(depth, end_mm - everywhere.c), hu=tissue.vessel)
    for c_mm, back_wall, length in around.plaques:
        if c_mm > end_mm - 30:
            continue
        wall = float(_aorta_back(paths, c=np.array([c_mm]), around=around)[0])
        wall -= 0.7 if back_wall else around.aorta_mm - 0.7
        window = canvas.around(np.array([(wall, c_mm)]), margin_mm=length + 1)
        if window is not None:
            plaque = ellipse_depth(window.p, window.c, centre=(wall, c_mm), radii=(0.9, length / 2))
            canvas.paint(window, depth_mm=plaque, hu=around.plaque_hu)


def _aorta_back(paths: SpinePaths, *, c: np.ndarray, around: Surroundings) -> np.ndarray:
    """``p`` of the aorta's back wall at rows ``c`` (h,): a vessel is straighter than the row of corners it lies on."""
    fronts = [_along_rows(paths.front, c=c + shift) for shift in (-20, -10, 0, 10, 20)]
    return (np.mean(fronts, axis=0) - around.prevertebral_mm - around.aorta_gap_mm).astype(np.float32)


def _paint_canal(canvas: Canvas, *, lines: SpineLines, spine: Spine, tissue: Tissue) -> None:
    """Thecal sac, the cord down to the conus, and triangles of epidural fat between the laminae."""
    everywhere = canvas.everywhere
    width = lines.canal - lines.back
    within = everywhere.p - lines.back
    canvas.paint(everywhere, depth_mm=np.minimum(within, width - within), hu=tissue.sac)
    conus = spine.at(_CORD_ENDS_BELOW).frame.c_mm + 12 - everywhere.c
    cord = np.minimum(np.minimum(within - 0.28 * width, 0.74 * width - within), conus)
    canvas.paint(everywhere, depth_mm=cord, hu=tissue.sac + 16)
    for level in LEVELS[LEVELS.index("T11") :]:
        vertebra = spine.at(level)
        back, half = vertebra.shape.half_depth_mm + vertebra.canal_mm, vertebra.plan.posterior_mm / 2
        # Its size follows the body's own proportions, so that no two patients' triangles look alike.
        size = 0.5 + 2.2 * (vertebra.plan.corner_mm - ANATOMY.corner_mm[0])
        rise = -(0.6 + 0.1 * size) * half
        fat = np.array([(back - size, -0.35 * half), (back + 1.5, rise), (back + 1.5, 0.1 * half)])
        window = canvas.around(vertebra.frame.to_plane(fat), margin_mm=1.0)
        if window is not None:
            u, v = vertebra.frame.to_local(window.p, window.c)
            canvas.paint(window, depth_mm=polygon_depth(u, v, vertices=fat), hu=tissue.fat + 15, opacity=0.7)
