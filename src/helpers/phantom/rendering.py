"""From a patient's anatomy to HU on a fine slab: surroundings, discs, vertebral bodies and what is behind them.

Every value depends on the place in the patient only, so that planes which cross agree where they cross.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from helpers.phantom.anatomy import LEVELS
from helpers.phantom.arch import paint_posterior
from helpers.phantom.background import paint_background
from helpers.phantom.canvas import Canvas, Window
from helpers.phantom.geometry import Points, coverage, ellipsoid_depth
from helpers.phantom.metal import METAL_HU, Metal
from helpers.phantom.spine import Spine, Vertebra
from helpers.phantom.surroundings import Surroundings
from helpers.phantom.tissue import Texture, Tissue

#: How far osteophytes, clefts and most fragments may stand out of a body's corners.
_BODY_MARGIN_MM = 9.0
#: How far discs may bulge beyond the plates beside them or be pressed into these as nodes.
_DISC_MARGIN_MM = 6.0
#: How far from a body's middle its processes and ribs may end.
_ARCH_REACH_MM = 90.0
#: Discs reach this far into the bone, which is painted over them, so that no seam shows.
_SEAM_MM = 1.0


@dataclass(frozen=True)
class Grain:
    """Texture fields sampled over a whole canvas, its shape."""

    fine: np.ndarray
    patches: np.ndarray

    def within(self, window: Window) -> "Grain":
        """The same over a part of the canvas."""
        return Grain(self.fine[window.part], self.patches[window.part])


def draw_anatomy(
    canvas: Canvas, *, spine: Spine, tissue: Tissue, texture: Texture, around: Surroundings, entropy: int
) -> None:
    """Draw a patient onto ``canvas``; ``entropy`` is the patient's integer, from which irregularities are derived."""
    paint_background(canvas, spine=spine, tissue=tissue, around=around)
    grain = Grain(texture.fine.at(canvas.points), texture.patches.at(canvas.points))
    for above, below in itertools.pairwise(spine.vertebrae.values()):
        _paint_disc(canvas, above=above, below=below, tissue=tissue, entropy=entropy)
    sclerosis = 0.0
    for vertebra in spine.vertebrae.values():
        beside = (sclerosis, vertebra.disc.sclerosis_hu)
        _paint_body(canvas, vertebra=vertebra, tissue=tissue, grain=grain, sclerosis_hu=beside)
        sclerosis = vertebra.disc.sclerosis_hu
    for vertebra in spine.vertebrae.values():
        if canvas.around(np.array([vertebra.frame.origin_mm]), margin_mm=_ARCH_REACH_MM) is None:
            continue
        paint_posterior(
            canvas,
            frame=vertebra.frame,
            plan=vertebra.posterior,
            body=vertebra.arch_base,
            tissue=tissue,
            texture=grain.fine,
        )
    for vertebra in spine.vertebrae.values():
        if vertebra.disc.vacuum:
            _paint_vacuum(canvas, vertebra=vertebra, entropy=entropy)


def draw_metal(canvas: Canvas, *, metal: Metal) -> None:
    """Paint screws and rods over a finished canvas, and add the streaks they cast."""
    depth = metal.depth(canvas.points)
    if depth is not None:
        # Streaks are wider than a slab is thick: its middle stands for all of it.
        x, p, c = (line.mean(axis=0, keepdims=True) for line in canvas.points)
        canvas.hu[...] += metal.streak_hu((x, p, c))
        canvas.paint(canvas.everywhere, depth_mm=depth, hu=METAL_HU)


def body_window(canvas: Canvas, vertebra: Vertebra) -> Window | None:
    """The part of a canvas that a body with all that stands out of it may touch."""
    margin = max(_BODY_MARGIN_MM, vertebra.fragment_mm + 1.0)
    return canvas.around(vertebra.frame.to_patient(vertebra.shape.corners()), margin_mm=margin)


def _paint_disc(canvas: Canvas, *, above: Vertebra, below: Vertebra, tissue: Tissue, entropy: int) -> None:
    """Fill the space between two end plates with disc, the annulus a little denser than the nucleus."""
    ends = [
        vertebra.frame.to_patient(vertebra.shape.plate_corners(lower=lower))
        for vertebra, lower in ((above, True), (below, False))
    ]
    window = canvas.around(np.concatenate(ends), margin_mm=_DISC_MARGIN_MM)
    if window is None:
        return
    front, back = np.random.default_rng((entropy, LEVELS.index(above.level), 1)).uniform(-0.5, 2.0, size=2)
    front, back = (bulge + 0.8 * above.disc.worn for bulge in (front, back))
    upper, lower = above.frame.to_local(window.points), below.frame.to_local(window.points)
    under = _SEAM_MM - above.shape.endplate_depths(upper)[1]
    over = _SEAM_MM - below.shape.endplate_depths(lower)[0]
    share = np.clip(under / np.maximum(under + over, np.float32(0.1)), 0, 1)
    walls = above.shape.wall_depth(upper), below.shape.wall_depth(lower)
    behind = np.clip(upper[1] / np.float32(above.shape.half_depth_mm), -1, 1) / 2 + np.float32(0.5)
    wall = walls[0] + share * (walls[1] - walls[0]) + np.float32(front) + np.float32(back - front) * behind
    depth = np.minimum(np.minimum(under, over), wall)
    annulus = 12 * np.exp(-np.maximum(wall, 0) / 3.0)
    canvas.paint(window, depth_mm=depth, hu=np.float32(tissue.disc - 8) + annulus)


def _paint_vacuum(canvas: Canvas, *, vertebra: Vertebra, entropy: int) -> None:
    """A gas cleft in the disc below, lens-shaped and ragged."""
    shape = vertebra.shape
    window = canvas.around(
        vertebra.frame.to_patient(shape.plate_corners(lower=True)), margin_mm=vertebra.disc.height_mm + 3
    )
    if window is None:
        return
    rng = np.random.default_rng((entropy, LEVELS.index(vertebra.level), 2))
    w, u, v = vertebra.frame.to_local(window.points)
    front, back = (shape.corner(posterior=side, lower=True) for side in (False, True))
    share, slope = rng.uniform(0.25, 0.7), (back[1] - front[1]) / (back[0] - front[0])
    radii = (rng.uniform(0.4, 0.8) * shape.half_width_mm, rng.uniform(0.3, 0.75) * shape.half_depth_mm)
    centre_u = rng.uniform(-0.4, 0.3) * shape.half_depth_mm
    thickness = max(0.7, rng.uniform(0.12, 0.3) * vertebra.disc.height_mm)
    middle = np.float32((front[1] + back[1]) / 2 + share * vertebra.disc.height_mm) + np.float32(slope) * u
    waves = zip(rng.uniform(0.05, 0.25, size=3), rng.uniform(0.25, 1.2, size=3), rng.uniform(0, 6, size=3), strict=True)
    wobble = sum(np.float32(a) * np.sin((u + np.float32(0.7) * w) * np.float32(k) + np.float32(f)) for a, k, f in waves)
    depth = ellipsoid_depth(
        (w, u, v - middle + wobble), centre=(rng.normal(0, 3), centre_u, 0), radii=(*radii, thickness)
    )
    canvas.paint(window, depth_mm=depth - np.float32(0.3) * np.abs(wobble), hu=rng.uniform(-850, -250))


def _paint_body(
    canvas: Canvas, *, vertebra: Vertebra, tissue: Tissue, grain: Grain, sclerosis_hu: tuple[float, float]
) -> None:
    window = body_window(canvas, vertebra)
    if window is None:
        return
    points, shape, here = vertebra.frame.to_local(window.points), vertebra.shape, grain.within(window)
    if len(shape.pieces) > 1:
        _paint_debris(canvas, window, points=points, vertebra=vertebra, tissue=tissue, grain=here)
    for piece in shape.pieces:
        material = piece.material(points)
        plates = shape.endplate_depths(material)
        plate, wall = np.minimum(*plates), shape.wall_depth(material)
        surface = shape.with_spurs(shape.join(plate, wall=wall), points=material)
        marrow = _marrow_hu(vertebra, tissue=tissue, at=material, plates=plates, grain=here)
        for dense_hu, depth in zip(sclerosis_hu, plates, strict=True):
            if dense_hu:
                marrow += np.float32(dense_hu) * np.exp(-np.abs(depth) / np.float32(2.5))
        thickness = np.where(plate < wall, np.float32(tissue.plate_mm), np.float32(tissue.wall_mm))
        inner = coverage(surface - thickness * (1 + np.float32(0.25) * here.patches), edge_mm=canvas.step_mm)
        shell = np.float32(tissue.cortex) * (1 + np.float32(0.15) * here.patches)
        canvas.paint(window, depth_mm=piece.trim(surface, points=material), hu=shell + inner * (marrow - shell))


def _paint_debris(
    canvas: Canvas, window: Window, *, points: Points, vertebra: Vertebra, tissue: Tissue, grain: Grain
) -> None:
    """Between the pieces lie blood and crumbs of bone, as far back as half the fragment's way."""
    w, u, v = points
    crumbs = 0.55 * tissue.trabecular + 40 + 45 * np.maximum(grain.patches, -0.5) + 25 * grain.fine
    for way in (0.0, 0.5 * vertebra.fragment_mm):
        depth = vertebra.shape.depth((w, u - np.float32(way), v)) - np.float32(0.8)
        canvas.paint(window, depth_mm=depth, hu=crumbs, opacity=0.85)


def _marrow_hu(
    vertebra: Vertebra, *, tissue: Tissue, at: Points, plates: tuple[np.ndarray, np.ndarray], grain: Grain
) -> np.ndarray:
    """Spongiosa: textured, denser under the plates, lucent at the basivertebral vein, banded where impacted."""
    strength = np.float32(tissue.texture * (0.6 * tissue.trabecular + 60))
    marrow = np.float32(tissue.trabecular) + strength * (
        np.float32(0.75) * grain.fine + np.float32(0.5) * grain.patches
    )
    near_plate = np.maximum(np.minimum(*plates), 0) * np.float32(-0.5)
    marrow += np.float32(0.25 * tissue.trabecular + 15) * np.exp(near_plate)
    half_depth = vertebra.shape.half_depth_mm
    vein = ellipsoid_depth(at, centre=(0.0, half_depth, 0.0), radii=(5.0, 7.0, 2.2))
    marrow -= np.float32(0.45 * tissue.trabecular) * np.clip(vein / np.float32(1.5), 0, 1)
    fracture = vertebra.fracture
    if fracture is not None and fracture.band_hu > 0:
        ragged = plates[0] + np.float32(1.1) * grain.patches - np.float32(fracture.band_depth_mm)
        near = fracture.loss.profile(at[1] / np.float32(half_depth)).astype(np.float32)
        marrow += np.float32(fracture.band_hu) * near * np.exp(-((ragged / np.float32(fracture.band_width_mm)) ** 2))
    return marrow
