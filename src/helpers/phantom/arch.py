"""The bone behind a vertebral body: pedicles, laminae, facets, transverse and spinous processes, and the ribs.

Everything lies in the vertebra's frame, w (left), u (posterior) and v (caudal) in mm from the middle of its body. The
bones are simple solids that are blended where they meet. Each is a `Part` with a bounding box, so that an image pays
only for the parts that it cuts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.body import FLAT_BACK
from helpers.phantom.canvas import Canvas
from helpers.phantom.geometry import (
    Frame,
    Points,
    Triple,
    box_corners,
    capsule_depth,
    coverage,
    ellipsoid_depth,
    intersect_depths,
    polygon_depth,
    unite_depths,
)
from helpers.phantom.posterior import ArchBase, Facet, PosteriorPlan
from helpers.phantom.tissue import Tissue

#: Width of the fillet where two parts meet, mm.
_BLEND_MM = 2.0
#: Depth far from any bone, mm; finite, so that blending stays finite.
_FAR_MM = np.float32(-100.0)
#: How far pedicles and ribs are drawn over the body's rim, so that marrow runs through without a wall between.
_OVERLAP_MM = 2.5
#: Radius of the curved joint surfaces, mm.
_FACET_RADIUS_MM = 14.0
#: Radius of the isthmus where it is thinnest, mm.
_PARS_RADIUS_MM = 4.2


@dataclass(frozen=True)
class Part:
    """One named solid: local points (n, 3) whose bounding box holds it, and its signed depth."""

    name: str
    points: np.ndarray
    depth: Callable[[Points], np.ndarray]
    blend_mm: float = _BLEND_MM


def posterior_parts(plan: PosteriorPlan, *, body: ArchBase) -> list[Part]:
    """All solids of a vertebra behind its body; paired ones are named ``left ...`` and ``right ...``."""
    parts = [_lamina(plan, body=body), _spinous_process(plan, body=body)]
    for side in (1, -1):
        parts += [_mirrored(part, side=side) for part in _paired(plan, body=body)]
    return parts


def paint_posterior(
    canvas: Canvas,
    *,
    frame: Frame,
    plan: PosteriorPlan,
    body: ArchBase,
    tissue: Tissue,
    texture: np.ndarray | None,
) -> None:
    """Draw shell and marrow of all parts that the canvas cuts; to be called once the body has been drawn.

    Parameters
    ----------
    texture
        Unevenness of the marrow, of unit variance and the canvas' shape, or None for even marrow.
    """
    margin = _BLEND_MM + canvas.step_mm
    placed = [replace(part, points=frame.to_patient(part.points)) for part in posterior_parts(plan, body=body)]
    cut = [part for part in placed if canvas.around(part.points, margin_mm=margin)]
    window = canvas.around(np.concatenate([part.points for part in cut]), margin_mm=margin) if cut else None
    if window is None:
        return
    local = frame.to_local(window.points)
    depth = np.full(local[0].shape, _FAR_MM)
    scratch = replace(canvas, hu=depth, points=window.points)
    for part in cut:
        _add(part, scratch=scratch, local=local, margin_mm=margin)
    depth = _cleave(depth, points=local, plan=plan, body=body)
    marrow = np.float32(0.8 * tissue.trabecular + 40)
    if texture is not None:
        marrow = marrow * (1 + np.float32(0.5 * tissue.texture) * texture[window.part])
    inner = coverage(depth - np.float32(tissue.posterior_cortex_mm), edge_mm=canvas.step_mm)
    hu = tissue.posterior_cortex + inner * (marrow - np.float32(tissue.posterior_cortex))
    canvas.paint(window, depth_mm=np.minimum(depth, _outside_body(local, body=body)), hu=hu)


def _add(part: Part, *, scratch: Canvas, local: Points, margin_mm: float) -> None:
    """Unite a part, placed in the patient, with the depth on a scratch canvas, within the part's own window."""
    window = scratch.around(part.points, margin_mm=margin_mm)
    if window is None:
        return
    w, u, v = (x[window.part] for x in local)
    here = scratch.hu[window.part]
    here[...] = unite_depths(here, part.depth((w, u, v)), blend_mm=part.blend_mm)


def _cleave(depth: np.ndarray, *, points: Points, plan: PosteriorPlan, body: ArchBase) -> np.ndarray:
    """Split the arch by a slightly wavy vertical cleft beside the midline, where there is one."""
    if not body.lamina_cleft:
        return depth
    wave = np.sin(np.float32(0.25) * points[2])
    return np.minimum(depth, np.abs(points[0] - np.float32(plan.cleft_at_mm) + wave) - np.float32(plan.cleft_mm / 2))


def _outside_body(points: Points, *, body: ArchBase) -> np.ndarray:
    """Depth outside the body's outline seen from above, an ellipse with a flattened back, but for its rim, mm."""
    w, u, _ = points
    t, s = w * np.float32(1 / body.half_width_mm), u * np.float32(1 / body.half_depth_mm)
    squared = t * t
    s = s - np.float32(body.flatness / FLAT_BACK) * np.minimum(squared, np.float32(FLAT_BACK)) * np.clip(2 * s, 0, 1)
    return (np.sqrt(squared + s * s) - 1) * np.float32(body.half_depth_mm) + np.float32(_OVERLAP_MM)


def _lamina(plan: PosteriorPlan, *, body: ArchBase) -> Part:
    """Roof of the canal: a plate that leans back caudally, gabled, arched below between the inferior facets."""
    begin, end = (share * body.posterior_mm for share in plan.lamina)
    lean = np.float32(np.tan(plan.lamina_lean_rad))
    gable = np.float32(0.5 * body.canal_mm / body.half_canal_mm)
    arch = np.float32(0.30 * body.posterior_mm / body.half_canal_mm)
    straighten = np.float32(1 / np.sqrt(1 + lean**2 + gable**2))
    reach = np.float32(body.half_canal_mm + 2.5)
    rise = np.float32(plan.lamina_mm / 2 / straighten)

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        out = np.abs(w)
        middle = np.float32(body.roof_mm) + rise + lean * (v - np.float32(begin)) - gable * out
        sheet = np.float32(plan.lamina_mm / 2) - np.abs(u - middle) * straighten
        edge = np.minimum(v - np.float32(begin), np.float32(end) + arch * out - v)
        return intersect_depths(sheet, np.minimum(edge, reach - out), rounding_mm=2.0)

    low = (-reach, body.roof_mm - gable * reach - 1, begin)
    high_v = end + arch * reach
    high = (reach, body.roof_mm + 2 * rise + lean * (high_v - begin), high_v)
    return Part("lamina", box_corners(low, high=high), depth)


def _spinous_process(plan: PosteriorPlan, *, body: ArchBase) -> Part:
    """A midline plate that is thin above and thick along its lower border and at its tip."""
    along, across = np.array(plan.spinous_outline).T
    begin, end = (share * body.posterior_mm for share in plan.lamina)
    bend = plan.spinous_rad * np.clip(along / along.max() * 1.4, 0, 1)
    root_v = begin + 0.62 * (end - begin)
    root_u = body.roof_mm + plan.lamina_mm / 2 + np.tan(plan.lamina_lean_rad) * 0.4 * (end - begin)
    u = root_u + along * np.cos(bend) - across * np.sin(0.6 * bend)
    v = root_v + along * np.sin(bend) + across * np.cos(0.6 * bend)
    rounding = np.float32(plan.rounding_mm)
    # However the outline falls, it must not grow into the canal.
    outline = np.stack([np.maximum(u, body.roof_mm + plan.rounding_mm + 1), v], axis=-1)
    thin, thick = np.float32(0.75 * plan.spinous_half_width_mm), np.float32(1.5 * plan.spinous_half_width_mm)
    top, height = np.float32(v.min()), np.float32(np.ptp(v))

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        plate = polygon_depth(u, v, vertices=outline) + rounding
        half = thin + (thick - thin) * np.clip((v - top) / height, 0, 1) ** 2
        return intersect_depths(plate, half - np.abs(w), rounding_mm=1.5)

    low, high = outline.min(axis=0) - rounding, outline.max(axis=0) + rounding
    return Part("spinous process", box_corners((-thick, *low), high=(thick, *high)), depth)


def _paired(plan: PosteriorPlan, *, body: ArchBase) -> Iterator[Part]:
    """The left one of each pair."""
    yield _pedicle(plan, body=body)
    if plan.joint_above:
        yield _superior_process(plan, facet=plan.joint_above, body=body)
    if plan.joint_below:
        yield _pars(plan, body=body)
        yield _inferior_process(plan, facet=plan.joint_below, body=body)
    if plan.transverse_mm:
        yield _transverse_process(plan, reach_mm=plan.transverse_mm, body=body)
    if plan.rib_mm is not None:
        yield from _rib(plan, head_mm=plan.rib_mm, body=body)


def _pedicle(plan: PosteriorPlan, *, body: ArchBase) -> Part:
    """A tube of elliptic section from within the body to the articular pillar."""
    half_width, half_height = (length / 2 for length in plan.pedicle_mm)
    w0, v0, _ = _pedicle_middle(plan, body=body)
    front, back = 0.35 * body.half_depth_mm, body.half_depth_mm + 0.6 * body.canal_mm

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        tube = ellipsoid_depth((w, v, v), centre=(w0, v0, v0), radii=(half_width, half_height, 1e6))
        return intersect_depths(tube, np.minimum(u - np.float32(front), np.float32(back) - u), rounding_mm=1.5)

    low = (w0 - half_width, front, v0 - half_height)
    return Part("pedicle", box_corners(low, high=(w0 + half_width, back, v0 + half_height)), depth)


def _pedicle_middle(plan: PosteriorPlan, *, body: ArchBase) -> tuple[float, float, float]:
    """Middle (w, v) of the left pedicle's section, and the radius of the pillar behind it."""
    width, height = plan.pedicle_mm
    w = body.half_canal_mm + width / 2
    return w, 0.06 * body.posterior_mm + (height - body.posterior_mm) / 2, float(np.clip(0.46 * width, 3.2, 5.5))


def _superior_process(plan: PosteriorPlan, *, facet: Facet, body: ArchBase) -> Part:
    """From the pedicle's back up to the joint with the vertebra above, in front of and lateral to the joint."""
    _, v0, radius = _pedicle_middle(plan, body=body)
    joint, facing = _joint(plan, facet=facet, body=body)
    base = (body.half_canal_mm + 0.6 + radius, body.half_depth_mm + 0.55 * body.canal_mm, v0)
    tip_radius = plan.size * facet.radius_mm
    tip = (*(joint - 0.65 * tip_radius * facing), -0.68 * body.posterior_mm)
    stroke = _stroke("superior articular process", ends=(base, tip), radii=(radius, tip_radius))
    return _faced(stroke, joint=joint, facing=facing, gap_mm=plan.joint_gap_mm, behind=False)


def _inferior_process(plan: PosteriorPlan, *, facet: Facet, body: ArchBase) -> Part:
    """From the pars down to the joint with the vertebra below, behind and medial to the joint."""
    joint, facing = _joint(plan, facet=facet, body=body)
    tip_radius = 0.9 * plan.size * facet.radius_mm
    tip = (*(joint + 0.7 * tip_radius * facing), 0.80 * body.posterior_mm)
    stroke = _stroke("inferior articular process", ends=(_pars_end(body), tip), radii=(_PARS_RADIUS_MM, tip_radius))
    return _faced(stroke, joint=joint, facing=facing, gap_mm=plan.joint_gap_mm, behind=True)


def _joint(plan: PosteriorPlan, *, facet: Facet, body: ArchBase) -> tuple[np.ndarray, np.ndarray]:
    """Middle (w, u) of the left joint, and the unit vector from the superior to the inferior facet."""
    out, angle = plan.size * facet.out_mm, np.deg2rad(facet.angle_deg)
    middle = np.array([body.half_canal_mm + out, body.half_depth_mm + 0.72 * body.canal_mm])
    return middle, np.array([-np.sin(angle), np.cos(angle)])


def _faced(part: Part, *, joint: np.ndarray, facing: np.ndarray, gap_mm: float, behind: bool) -> Part:
    """Cut a part back to its side of a cylindrical joint, half a gap away from the joint's middle."""
    centre = (joint + _FACET_RADIUS_MM * facing).astype(np.float32)
    sign = np.float32(1 if behind else -1)

    def depth(points: Points) -> np.ndarray:
        away = np.hypot(points[0] - centre[0], points[1] - centre[1])
        facet = sign * (np.float32(_FACET_RADIUS_MM) - away) - np.float32(gap_mm / 2)
        return intersect_depths(part.depth(points), facet, rounding_mm=1.0)

    return replace(part, depth=depth)


def _pars_end(body: ArchBase) -> Triple:
    """Where the pars ends and the inferior articular process begins."""
    return body.half_canal_mm + 1.0, body.half_depth_mm + 0.85 * body.canal_mm, 0.28 * body.posterior_mm


def _pars(plan: PosteriorPlan, *, body: ArchBase) -> Part:
    """The isthmus between the two articular processes."""
    _, v0, radius = _pedicle_middle(plan, body=body)
    base = (body.half_canal_mm + 0.6 + radius, body.half_depth_mm + 0.6 * body.canal_mm, v0)
    return _stroke("pars", ends=(base, _pars_end(body)), radii=(radius, _PARS_RADIUS_MM))


def _transverse_process(plan: PosteriorPlan, *, reach_mm: Triple, body: ArchBase) -> Part:
    """A flat bar from the pillar to lateral and posterior."""
    w0, v0, radius = _pedicle_middle(plan, body=body)
    base = (w0, body.half_depth_mm + 0.5 * body.canal_mm, v0 + 1)
    tip = tuple(x + dx for x, dx in zip(base, (plan.pedicle_mm[0] / 2 + reach_mm[0], *reach_mm[1:]), strict=True))
    return _stroke("transverse process", ends=(base, tip), radii=(min(radius, 4.0), 2.6), flat=0.6)


def _rib(plan: PosteriorPlan, *, head_mm: float, body: ArchBase) -> Iterator[Part]:
    """Head, neck and start of the shaft: back past the transverse process, then lateral and caudal."""
    head = np.array([0.80 * body.half_width_mm + 4.5, 0.80 * body.half_depth_mm, head_mm])
    neck = head + plan.size * np.array([14.0, 12.0, 3.0])
    angle = neck + plan.size * np.array([20.0, 8.0, 10.0])
    shaft = angle + plan.size * np.array([18.0, -8.0, 16.0])
    for name, ends, radii in (
        ("rib head", (head, neck), (4.0, 2.8)),
        ("rib neck", (neck, angle), (2.8, 3.4)),
        ("rib shaft", (angle, shaft), (3.4, 3.4)),
    ):
        # Ribs touch the vertebra at joints only: they are not blended with it.
        yield replace(_stroke(name, ends=ends, radii=radii, flat=0.6), blend_mm=0.5)


def _stroke(name: str, *, ends: Sequence[Sequence[float]], radii: tuple[float, float], flat: float = 1.0) -> Part:
    """A tapering bar, ``1 / flat`` times as high (along v) as it is thick."""
    squeezed = np.array(ends) * (1, 1, flat)
    radius = max(radii) / np.array((1, 1, flat))

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        return capsule_depth((w, u, v * np.float32(flat)), ends=squeezed, radii=radii)

    return Part(name, box_corners(np.min(ends, axis=0) - radius, high=np.max(ends, axis=0) + radius), depth)


def _mirrored(part: Part, *, side: int) -> Part:
    """A left part as it is, or its mirror image on the right, under the side's name."""
    sign = np.float32(side)
    return Part(
        f"{'left' if side > 0 else 'right'} {part.name}",
        part.points * (side, 1, 1),
        lambda points: part.depth((points[0] * sign, points[1], points[2])),
        part.blend_mm,
    )
