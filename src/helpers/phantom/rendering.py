"""From a patient's anatomy to HU on a fine sagittal grid: discs, posterior elements and vertebral bodies."""

import itertools

import numpy as np

from helpers.phantom.anatomy import LEVEL_NORMS, LEVELS, U_GRID_MM
from helpers.phantom.background import Surroundings, paint_background
from helpers.phantom.canvas import Canvas, Window
from helpers.phantom.geometry import coverage, ellipse_depth, polygon_depth
from helpers.phantom.spine import Spine, Vertebra
from helpers.phantom.tissue import Texture, Tissue, bone_texture

#: How far osteophytes, fragments and clefts may stand out of a body's corners.
_BODY_MARGIN_MM = 9.0


def draw_plane(
    canvas: Canvas, *, spine: Spine, tissue: Tissue, around: Surroundings, entropy: int, offset_mm: float
) -> None:
    """Draw one sagittal plane of a patient onto ``canvas``.

    Parameters
    ----------
    entropy
        The patient's integer, from which textures and irregularities are derived.
    offset_mm
        Distance of the plane from the midline; it shortens the spinous processes and changes the texture.
    """
    paint_background(canvas, spine=spine, tissue=tissue, around=around)
    visible = [v for v in spine.vertebrae.values() if _window(canvas, v) is not None]
    for vertebra in spine.vertebrae.values():
        _paint_process(canvas, vertebra=vertebra, tissue=tissue, entropy=entropy, offset_mm=offset_mm)
    for above, below in itertools.pairwise(spine.vertebrae.values()):
        _paint_disc(canvas, above=above, below=below, tissue=tissue, entropy=entropy)
    for vertebra in visible:
        index = LEVELS.index(vertebra.level)
        texture = bone_texture(seed=(entropy, index), grain_mm=tissue.texture_grain_mm, offset_mm=offset_mm)
        above = spine.at(LEVELS[index - 1]).disc.sclerosis_hu if index else 0.0
        sclerosis = (above, vertebra.disc.sclerosis_hu)
        _paint_body(canvas, vertebra=vertebra, tissue=tissue, texture=texture, sclerosis_hu=sclerosis)
    for vertebra in visible:
        if vertebra.disc.vacuum:
            _paint_vacuum(canvas, vertebra=vertebra, entropy=entropy)


def _window(canvas: Canvas, vertebra: Vertebra) -> Window | None:
    shape = vertebra.shape
    corners = [shape.corner(posterior=back, lower=lower) for back in (False, True) for lower in (False, True)]
    return canvas.around(vertebra.frame.to_plane(np.array(corners)), margin_mm=_BODY_MARGIN_MM)


def _paint_disc(canvas: Canvas, *, above: Vertebra, below: Vertebra, tissue: Tissue, entropy: int) -> None:
    """Fill the space between two end plates with disc, the annulus a little denser than the nucleus."""
    upper, lower = _plate_points(above, lower=True), _plate_points(below, lower=False)
    bulge = np.random.default_rng((entropy, LEVELS.index(above.level), 1)).uniform(-0.5, 2.0, size=2)
    if above.disc.worn:
        bulge += 0.8
    axis = np.array([np.cos(above.frame.angle_rad), np.sin(above.frame.angle_rad)])
    front = (upper[0] + lower[0]) / 2 - bulge[0] * axis
    back = (upper[-1] + lower[-1]) / 2 + bulge[1] * axis
    outline = np.concatenate([[front], upper, [back], lower[::-1]])
    window = canvas.around(outline, margin_mm=1.0)
    if window is None:
        return
    depth = polygon_depth(window.p, window.c, vertices=outline)
    annulus = 12 * np.exp(-np.maximum(depth, 0) / 3.0)
    canvas.paint(window, depth_mm=depth, hu=tissue.disc - 8 + annulus)


def _plate_points(vertebra: Vertebra, *, lower: bool) -> np.ndarray:
    """Points along an end plate, 1 mm inside the bone so that no seam shows, shape (9, 2) in the plane."""
    shape = vertebra.shape
    u = np.linspace(-0.97, 0.97, 9) * shape.half_depth_mm
    table = shape.bottom - 1.0 if lower else shape.top + 1.0
    return vertebra.frame.to_plane(np.stack([u, np.interp(u, U_GRID_MM, table)], axis=-1))


def _paint_vacuum(canvas: Canvas, *, vertebra: Vertebra, entropy: int) -> None:
    """A gas cleft in the disc below, lens-shaped and ragged."""
    window = _window(canvas, vertebra)
    if window is None:
        return
    rng = np.random.default_rng((entropy, LEVELS.index(vertebra.level), 2))
    u, v = vertebra.frame.to_local(window.p, window.c)
    front, back = (vertebra.shape.corner(posterior=side, lower=True) for side in (False, True))
    share, slope = rng.uniform(0.25, 0.7), (back[1] - front[1]) / (back[0] - front[0])
    half_width = rng.uniform(0.3, 0.75) * vertebra.shape.half_depth_mm
    centre_u = rng.uniform(-0.4, 0.3) * vertebra.shape.half_depth_mm
    thickness = max(0.7, rng.uniform(0.12, 0.3) * vertebra.disc.height_mm)
    middle = (front[1] + back[1]) / 2 + share * vertebra.disc.height_mm + slope * u
    wobble = sum(rng.uniform(0.05, 0.25) * np.sin(u * k + rng.uniform(0, 6)) for k in rng.uniform(0.25, 1.2, size=3))
    depth = ellipse_depth(u, v - middle + wobble, centre=(centre_u, 0), radii=(half_width, thickness))
    canvas.paint(window, depth_mm=depth - 0.3 * np.abs(wobble), hu=rng.uniform(-850, -250))


def _paint_process(canvas: Canvas, *, vertebra: Vertebra, tissue: Tissue, entropy: int, offset_mm: float) -> None:
    """Lamina and spinous process: long in the midline, only the lamina a few millimetres beside it."""
    rng = np.random.default_rng((entropy, LEVELS.index(vertebra.level), 3))
    outline, rounding = _process_outline(vertebra, rng=rng, offset_mm=offset_mm)
    window = canvas.around(vertebra.frame.to_plane(outline), margin_mm=rounding + 1)
    if window is None:
        return
    u, v = vertebra.frame.to_local(window.p, window.c)
    depth = polygon_depth(u, v, vertices=outline) + np.float32(rounding)
    shell = coverage(depth - tissue.posterior_cortex_mm, edge_mm=canvas.step_mm)
    marrow = 0.8 * tissue.trabecular + 40
    canvas.paint(window, depth_mm=depth, hu=tissue.posterior_cortex + shell * (marrow - tissue.posterior_cortex))


def _process_outline(vertebra: Vertebra, *, rng: np.random.Generator, offset_mm: float) -> tuple[np.ndarray, float]:
    """Polygon (n, 2) in the vertebra's frame and the radius by which it is to be rounded out, mm."""
    norm = LEVEL_NORMS[vertebra.level]
    midline = float(np.exp(-((offset_mm / 4.5) ** 2)))
    length = norm.process_mm[0] * rng.uniform(0.8, 1.2) * (0.22 + 0.78 * midline)
    waist = norm.process_mm[1] * rng.uniform(0.75, 1.2) / 2
    lamina = max(waist, 0.27 * vertebra.plan.posterior_mm) * (1.25 - 0.35 * midline)
    slope = np.deg2rad(norm.process_slope_deg + rng.uniform(-5, 5))
    rounding = rng.uniform(1.5, 2.6)
    # The lamina leans: its upper end stands further back. Then a neck, then a tip that hangs down.
    along = np.array([0.30, 0.42, 0.62, 0.90, 1.00, 0.97, 0.82, 0.50, 0.22, 0.02, -0.02, 0.12])
    across = np.array([-1.0, -0.95, -0.72, -0.75, -0.35, 0.60, 1.05, 0.62, 0.72, 0.95, 0.55, -0.30])
    across = np.where(along > 0.45, across * waist, across * lamina) * rng.uniform(0.85, 1.15, size=across.size)
    along = along * length + rng.uniform(-0.8, 0.8, size=along.size)
    start = (vertebra.shape.half_depth_mm + vertebra.canal_mm + rounding + 0.8, 0.28 * vertebra.plan.posterior_mm)
    bend = slope * np.clip(along / length, 0, 1)
    u = start[0] + along * np.cos(bend) - across * np.sin(0.6 * bend)
    v = start[1] + along * np.sin(bend) + across * np.cos(0.6 * bend)
    return np.stack([u, v], axis=-1), float(rounding)


def _paint_body(
    canvas: Canvas, *, vertebra: Vertebra, tissue: Tissue, texture: Texture, sclerosis_hu: tuple[float, float]
) -> None:
    window = _window(canvas, vertebra)
    if window is None:
        return
    u, v = vertebra.frame.to_local(window.p, window.c)
    shape = vertebra.shape
    if len(shape.pieces) > 1:
        _paint_debris(canvas, window, vertebra=vertebra, tissue=tissue, texture=texture)
    for piece in shape.pieces:
        mu, mv = piece.material(u, v)
        plates = shape.endplate_depths(mu, mv)
        plate, wall = np.minimum(*plates), shape.wall_depth(mu, mv)
        surface = shape.with_spurs(shape.join(plate, wall=wall), u=mu, v=mv)
        fine, patches = texture.at(mu, mv)
        marrow = _marrow_hu(vertebra, tissue=tissue, at=(mu, mv), plates=plates, texture=(fine, patches))
        for dense_hu, depth in zip(sclerosis_hu, plates, strict=True):
            marrow += np.float32(dense_hu) * np.exp(-np.abs(depth) / 2.5)
        thickness = np.where(plate < wall, np.float32(tissue.plate_mm), np.float32(tissue.wall_mm))
        inner = coverage(surface - thickness * (1 + 0.25 * patches), edge_mm=canvas.step_mm)
        shell = tissue.cortex * (1 + 0.15 * patches)
        canvas.paint(window, depth_mm=piece.trim(surface, u=mu, v=mv), hu=shell + inner * (marrow - shell))


def _paint_debris(canvas: Canvas, window: Window, *, vertebra: Vertebra, tissue: Tissue, texture: Texture) -> None:
    """Between the pieces lie blood and crumbs of bone, as far back as half the fragment's way."""
    u, v = vertebra.frame.to_local(window.p, window.c)
    fine, patches = texture.at(u, v)
    crumbs = 0.55 * tissue.trabecular + 40 + 45 * np.maximum(patches, -0.5) + 25 * fine
    for way in (0.0, 0.5 * vertebra.fragment_mm):
        depth = vertebra.shape.depth(u - np.float32(way), v) - 0.8
        canvas.paint(window, depth_mm=depth, hu=crumbs, opacity=0.85)


def _marrow_hu(
    vertebra: Vertebra,
    *,
    tissue: Tissue,
    at: tuple[np.ndarray, np.ndarray],
    plates: tuple[np.ndarray, np.ndarray],
    texture: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Spongiosa: textured, denser under the plates, lucent at the basivertebral vein, banded where impacted."""
    (u, v), (fine, patches) = at, texture
    strength = np.float32(tissue.texture * (0.6 * tissue.trabecular + 60))
    marrow = np.float32(tissue.trabecular) + strength * (0.75 * fine + 0.5 * patches)
    marrow += np.float32(0.25 * tissue.trabecular + 15) * np.exp(-np.maximum(np.minimum(*plates), 0) / 2.0)
    vein = ellipse_depth(u, v, centre=(vertebra.shape.half_depth_mm, 0.0), radii=(7.0, 2.2))
    marrow -= np.float32(0.45 * tissue.trabecular) * np.clip(vein / 1.5, 0, 1)
    fracture = vertebra.fracture
    if fracture is not None and fracture.band_hu > 0:
        ragged = plates[0] + 1.1 * patches - fracture.band_depth_mm
        near = fracture.loss.profile(u / vertebra.shape.half_depth_mm)
        marrow += np.float32(fracture.band_hu) * near * np.exp(-((ragged / fracture.band_width_mm) ** 2))
    return marrow
