"""What a vertebra has behind its body: pedicles, laminae, facets, transverse and spinous processes, and the ribs.

Everything lies in the vertebra's frame, w (left), u (posterior) and v (caudal) in mm from the middle of its body. The
bones are simple solids that are blended where they meet. Each is a `Part` with a bounding box, so that an image pays
only for the parts that it cuts.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.canvas import Canvas
from helpers.phantom.geometry import (
    Frame,
    Points,
    Range,
    Triple,
    capsule_depth,
    coverage,
    draw,
    ellipsoid_depth,
    polygon_depth,
)
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
#: The sacrum's roof is one sheet: its laminae lean less, by this factor.
_SACRAL_LEAN = 0.35


@dataclass(frozen=True)
class Facet:
    """A pair of joints: how far they lie lateral of the canal, how they face, and the radius of the processes.

    The lower vertebra's facets face posterior at 0 degrees, as in the thorax, and medial at 90.
    """

    out_mm: float
    angle_deg: float
    radius_mm: float


@dataclass(frozen=True)
class PosteriorNorm:
    """What is typical of one level; lengths in mm for an average adult.

    ``pedicle_mm`` is (width, height). ``lamina`` is where the roof of the canal begins and ends in the midline, as a
    fraction of the body's posterior height. ``facet`` is the joint with the vertebra above. ``transverse_mm`` is how
    far the process reaches to lateral, posterior and caudal, ``spinous`` is length in mm, height in mm and descent in
    degrees, and ``rib_mm`` is where the rib's head touches, caudal of the body's middle.
    """

    pedicle_mm: Range
    lamina: Range
    facet: Facet | None
    transverse_mm: Triple | None
    spinous: Triple
    rib_mm: float | None = None


#: Pedicles, facet angles and processes are near the means of Zindrick et al., Spine 12:160 (1987), and of Panjabi et
#: al., Spine 16:888 (1991), 17:299 (1992) and 18:1298 (1993); the rest are modelling choices.
POSTERIOR_NORMS: dict[str, PosteriorNorm] = {
    "T8": PosteriorNorm((5.5, 11.5), (-0.34, 0.58), Facet(1.0, 5, 4.2), (17, 13, -5), (30, 8, 50), -11.0),
    "T9": PosteriorNorm((6.2, 13.0), (-0.34, 0.58), Facet(1.0, 5, 4.2), (16, 12, -5), (30, 8, 47), -11.0),
    "T10": PosteriorNorm((7.0, 14.5), (-0.34, 0.58), Facet(1.0, 5, 4.4), (14, 11, -4), (29, 9, 41), -10.0),
    "T11": PosteriorNorm((8.0, 15.5), (-0.34, 0.58), Facet(1.0, 5, 4.6), (8, 7, -3), (27, 11, 32), -5.0),
    "T12": PosteriorNorm((8.5, 16.0), (-0.28, 0.50), Facet(1.5, 12, 5.0), (5, 5, 0), (27, 14, 22), -4.0),
    "L1": PosteriorNorm((7.5, 15.5), (-0.22, 0.40), Facet(2.5, 62, 5.6), (20, 9, -1), (30, 17, 13)),
    "L2": PosteriorNorm((8.0, 15.0), (-0.21, 0.39), Facet(2.8, 60, 6.0), (24, 11, -1), (32, 19, 10)),
    "L3": PosteriorNorm((9.5, 15.0), (-0.20, 0.38), Facet(3.2, 56, 6.4), (28, 13, -1), (33, 20, 8)),
    "L4": PosteriorNorm((12.0, 15.0), (-0.18, 0.36), Facet(3.8, 50, 6.8), (24, 12, -3), (31, 18, 8)),
    "L5": PosteriorNorm((16.0, 15.0), (-0.14, 0.33), Facet(4.8, 44, 7.0), (19, 9, -4), (25, 13, 14)),
    "S1": PosteriorNorm((20.0, 19.0), (-0.30, 0.52), Facet(5.5, 40, 7.0), None, (15, 11, 22)),
    "S2": PosteriorNorm((18.0, 15.0), (-0.52, 0.52), None, None, (12, 10, 22)),
    "S3": PosteriorNorm((16.0, 13.0), (-0.52, 0.52), None, None, (10, 9, 22)),
}
#: Which vertebra follows below.
_NEXT = dict(itertools.pairwise(POSTERIOR_NORMS))


@dataclass(frozen=True)
class PosteriorRanges:
    """Ranges (low, high) in which single vertebrae vary about their level's norm.

    Fields without a unit are factors. Laminae are 5-8 mm thick (Xu et al., Spine 24:107, 1999), facet joints 1.2-2.4 mm
    wide with their cartilage; the other ranges are modelling choices.
    """

    pedicle_width: Range = (0.88, 1.12)
    pedicle_height: Range = (0.93, 1.07)
    transverse: Range = (0.8, 1.15)
    spinous_length: Range = (0.85, 1.15)
    spinous_height: Range = (0.8, 1.15)
    spinous_tilt_deg: Range = (-5.0, 5.0)
    spinous_half_width_mm: Range = (3.0, 4.3)
    outline: Range = (-0.028, 0.028)
    rounding_mm: Range = (1.6, 2.4)
    lamina_mm: Range = (5.2, 7.4)
    lamina_lean_deg: Range = (16.0, 27.0)
    joint_gap_mm: Range = (1.2, 2.4)
    cleft_mm: Range = (0.8, 1.7)
    cleft_beside_mm: Range = (4.5, 6.5)


POSTERIOR = PosteriorRanges()


@dataclass(frozen=True)
class PosteriorPlan:
    """The posterior elements of one vertebra as drawn; lengths in mm.

    ``spinous_outline`` holds corners (along, across) of the spinous process from its root, ``joint_above`` and
    ``joint_below`` are its facet joints, and a cleft runs ``cleft_at_mm`` left of the midline.
    """

    level: str
    size: float
    pedicle_mm: Range
    lamina: Range
    lamina_mm: float
    lamina_lean_rad: float
    joint_above: Facet | None
    joint_below: Facet | None
    joint_gap_mm: float
    transverse_mm: Triple | None
    spinous_outline: tuple[tuple[float, float], ...]
    spinous_rad: float
    spinous_half_width_mm: float
    rounding_mm: float
    rib_mm: float | None
    cleft_at_mm: float
    cleft_mm: float


def sample_posterior(rng: np.random.Generator, *, level: str, size: float) -> PosteriorPlan:
    """Draw the posterior elements of one vertebra.

    Parameters
    ----------
    level
        A key of `POSTERIOR_NORMS`.
    size
        Scales lengths; 1.0 is an average adult.

    Raises
    ------
    ValueError
        If the level is not known.
    """
    if level not in POSTERIOR_NORMS:
        raise ValueError(f"level {level!r} has no posterior elements; known are {', '.join(POSTERIOR_NORMS)}")
    norm, ranges = POSTERIOR_NORMS[level], POSTERIOR
    reach = size * draw(rng, ranges.transverse)
    below = POSTERIOR_NORMS.get(_NEXT.get(level, ""))
    lean = draw(rng, ranges.lamina_lean_deg) * (_SACRAL_LEAN if level.startswith("S") else 1.0)
    return PosteriorPlan(
        level=level,
        size=size,
        pedicle_mm=_sample_pedicle(rng, norm=norm, size=size),
        lamina=norm.lamina,
        lamina_mm=size * draw(rng, ranges.lamina_mm),
        lamina_lean_rad=float(np.deg2rad(lean)),
        joint_above=norm.facet,
        joint_below=below.facet if below else None,
        joint_gap_mm=draw(rng, ranges.joint_gap_mm),
        transverse_mm=_scaled(norm.transverse_mm, factor=reach) if norm.transverse_mm else None,
        spinous_outline=_sample_outline(rng, norm=norm, size=size),
        spinous_rad=float(np.deg2rad(norm.spinous[2] + draw(rng, ranges.spinous_tilt_deg))),
        spinous_half_width_mm=size * draw(rng, ranges.spinous_half_width_mm),
        rounding_mm=draw(rng, ranges.rounding_mm),
        rib_mm=size * norm.rib_mm if norm.rib_mm is not None else None,
        cleft_at_mm=draw(rng, ranges.cleft_beside_mm) * float(rng.choice((-1, 1))),
        cleft_mm=draw(rng, ranges.cleft_mm),
    )


def _sample_pedicle(rng: np.random.Generator, *, norm: PosteriorNorm, size: float) -> Range:
    width, height = norm.pedicle_mm
    return size * width * draw(rng, POSTERIOR.pedicle_width), size * height * draw(rng, POSTERIOR.pedicle_height)


def _scaled(reach: Triple, *, factor: float) -> Triple:
    return reach[0] * factor, reach[1] * factor, reach[2] * factor


def _sample_outline(rng: np.random.Generator, *, norm: PosteriorNorm, size: float) -> tuple[tuple[float, float], ...]:
    """Corners of a spinous process: a neck, then a tip that is highest and hangs down at its end."""
    length = size * norm.spinous[0] * draw(rng, POSTERIOR.spinous_length)
    half = size * norm.spinous[1] * draw(rng, POSTERIOR.spinous_height) / 2
    along = length * np.array([0.05, 0.40, 0.70, 0.92, 1.00, 0.98, 0.84, 0.55, 0.28, 0.05])
    across = half * np.array([-0.80, -0.62, -0.66, -0.60, -0.25, 0.55, 0.95, 0.66, 0.72, 0.85])
    along, across = (x + length * rng.uniform(*POSTERIOR.outline, size=x.size) for x in (along, across))
    return tuple(zip(along.tolist(), across.tolist(), strict=True))


@dataclass(frozen=True)
class BehindBody:
    """The body and canal that posterior elements attach to; lengths in mm.

    The posterior wall stands at u = ``half_depth_mm``; the canal behind it is ``canal_mm`` deep and, before the
    pedicles are pushed apart by ``splay_mm`` in all, ``canal_width_mm`` wide. ``lamina_cleft`` splits the lamina.
    ``flatness`` is how far the body's back stands out beside the midline, as a fraction of half its depth.
    """

    half_depth_mm: float
    half_width_mm: float
    posterior_mm: float
    canal_mm: float
    canal_width_mm: float
    splay_mm: float = 0.0
    lamina_cleft: bool = False
    flatness: float = 0.13

    @property
    def half_canal_mm(self) -> float:
        """Where the pedicles' medial walls stand."""
        return (self.canal_width_mm + self.splay_mm) / 2

    @property
    def roof_mm(self) -> float:
        """Where the canal ends posteriorly."""
        return self.half_depth_mm + self.canal_mm


@dataclass(frozen=True)
class Part:
    """One named solid: local points (n, 3) whose bounding box holds it, and its signed depth."""

    name: str
    points: np.ndarray
    depth: Callable[[Points], np.ndarray]
    blend_mm: float = _BLEND_MM


def posterior_parts(plan: PosteriorPlan, *, body: BehindBody) -> list[Part]:
    """All solids of a vertebra behind its body; paired ones are named ``left ...`` and ``right ...``."""
    parts = [_lamina(plan, body=body), _spinous_process(plan, body=body)]
    for side in (1, -1):
        parts += [_mirrored(part, side=side) for part in _paired(plan, body=body)]
    return parts


def posterior_extent(plan: PosteriorPlan, *, body: BehindBody) -> np.ndarray:
    """Corners of the bounding box, shape (8, 3), in the vertebra's frame."""
    points = np.concatenate([part.points for part in posterior_parts(plan, body=body)])
    return _box(points.min(axis=0), high=points.max(axis=0))


def posterior_depth(points: Points, *, plan: PosteriorPlan, body: BehindBody) -> np.ndarray:
    """Signed depth in all bone together, mm, at local ``points``; the pedicles reach into the body.

    Returns
    -------
    float32 of the points' broadcast shape.
    """
    points = tuple(np.asarray(x, dtype=np.float32) for x in points)
    depth = np.full(np.broadcast_shapes(*(x.shape for x in points)), _FAR_MM)
    for part in posterior_parts(plan, body=body):
        depth = _unite(depth, part.depth(points), blend_mm=part.blend_mm)
    return _cleave(depth, points=points, plan=plan, body=body)


def paint_posterior(
    canvas: Canvas,
    *,
    frame: Frame,
    plan: PosteriorPlan,
    body: BehindBody,
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
    here[...] = _unite(here, part.depth((w, u, v)), blend_mm=part.blend_mm)


def _unite(depth: np.ndarray, other: np.ndarray, *, blend_mm: float) -> np.ndarray:
    """Union of two depths with a fillet, no deeper than a quarter of ``blend_mm`` (quadratic smooth maximum)."""
    blend = np.float32(blend_mm)
    near = np.maximum(blend - np.abs(depth - other), 0)
    return np.maximum(depth, other) + near * near * np.float32(0.25 / blend_mm)


def _cleave(depth: np.ndarray, *, points: Points, plan: PosteriorPlan, body: BehindBody) -> np.ndarray:
    """Split the arch by a slightly wavy vertical cleft beside the midline, where there is one."""
    if not body.lamina_cleft:
        return depth
    wave = np.sin(np.float32(0.25) * points[2])
    return np.minimum(depth, np.abs(points[0] - np.float32(plan.cleft_at_mm) + wave) - np.float32(plan.cleft_mm / 2))


def _outside_body(points: Points, *, body: BehindBody) -> np.ndarray:
    """Depth outside the body's outline seen from above, an ellipse with a flattened back, but for its rim, mm."""
    w, u, _ = points
    t, s = w * np.float32(1 / body.half_width_mm), u * np.float32(1 / body.half_depth_mm)
    squared = t * t
    s = s - np.float32(body.flatness / 0.36) * np.minimum(squared, np.float32(0.36)) * np.clip(2 * s, 0, 1)
    return (np.sqrt(squared + s * s) - 1) * np.float32(body.half_depth_mm) + np.float32(_OVERLAP_MM)


def _lamina(plan: PosteriorPlan, *, body: BehindBody) -> Part:
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
        return _intersect(sheet, np.minimum(edge, reach - out), rounding_mm=2.0)

    low = (-reach, body.roof_mm - gable * reach - 1, begin)
    high_v = end + arch * reach
    return Part("lamina", _box(low, high=(reach, body.roof_mm + 2 * rise + lean * (high_v - begin), high_v)), depth)


def _intersect(depth: np.ndarray, other: np.ndarray, *, rounding_mm: float) -> np.ndarray:
    """Intersection of two depths with a rounded edge."""
    r = np.float32(rounding_mm)
    inner = np.maximum(np.minimum(depth, other) - r, 0)
    return r + inner - np.hypot(np.maximum(r - depth, 0), np.maximum(r - other, 0))


def _spinous_process(plan: PosteriorPlan, *, body: BehindBody) -> Part:
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
        return _intersect(plate, half - np.abs(w), rounding_mm=1.5)

    low, high = outline.min(axis=0) - rounding, outline.max(axis=0) + rounding
    return Part("spinous process", _box((-thick, *low), high=(thick, *high)), depth)


def _paired(plan: PosteriorPlan, *, body: BehindBody) -> Iterator[Part]:
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


def _pedicle(plan: PosteriorPlan, *, body: BehindBody) -> Part:
    """A tube of elliptic section from within the body to the articular pillar."""
    half_width, half_height = (length / 2 for length in plan.pedicle_mm)
    w0, v0, _ = _pedicle_middle(plan, body=body)
    front, back = 0.35 * body.half_depth_mm, body.half_depth_mm + 0.6 * body.canal_mm

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        tube = ellipsoid_depth((w, v, v), centre=(w0, v0, v0), radii=(half_width, half_height, 1e6))
        return _intersect(tube, np.minimum(u - np.float32(front), np.float32(back) - u), rounding_mm=1.5)

    low = (w0 - half_width, front, v0 - half_height)
    return Part("pedicle", _box(low, high=(w0 + half_width, back, v0 + half_height)), depth)


def _pedicle_middle(plan: PosteriorPlan, *, body: BehindBody) -> Triple:
    """Middle (w, v) of the left pedicle's section, and the radius of the pillar behind it."""
    width, height = plan.pedicle_mm
    w = body.half_canal_mm + width / 2
    return w, 0.06 * body.posterior_mm + (height - body.posterior_mm) / 2, float(np.clip(0.46 * width, 3.2, 5.5))


def _superior_process(plan: PosteriorPlan, *, facet: Facet, body: BehindBody) -> Part:
    """From the pedicle's back up to the joint with the vertebra above, in front of and lateral to the joint."""
    _, v0, radius = _pedicle_middle(plan, body=body)
    joint, facing = _joint(plan, facet=facet, body=body)
    base = (body.half_canal_mm + 0.6 + radius, body.half_depth_mm + 0.55 * body.canal_mm, v0)
    tip_radius = plan.size * facet.radius_mm
    tip = (*(joint - 0.65 * tip_radius * facing), -0.68 * body.posterior_mm)
    stroke = _stroke("superior articular process", ends=(base, tip), radii=(radius, tip_radius))
    return _faced(stroke, joint=joint, facing=facing, gap_mm=plan.joint_gap_mm, behind=False)


def _inferior_process(plan: PosteriorPlan, *, facet: Facet, body: BehindBody) -> Part:
    """From the pars down to the joint with the vertebra below, behind and medial to the joint."""
    joint, facing = _joint(plan, facet=facet, body=body)
    tip_radius = 0.9 * plan.size * facet.radius_mm
    tip = (*(joint + 0.7 * tip_radius * facing), 0.80 * body.posterior_mm)
    stroke = _stroke("inferior articular process", ends=(_pars_end(body), tip), radii=(_PARS_RADIUS_MM, tip_radius))
    return _faced(stroke, joint=joint, facing=facing, gap_mm=plan.joint_gap_mm, behind=True)


def _joint(plan: PosteriorPlan, *, facet: Facet, body: BehindBody) -> tuple[np.ndarray, np.ndarray]:
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
        return _intersect(part.depth(points), facet, rounding_mm=1.0)

    return replace(part, depth=depth)


def _pars_end(body: BehindBody) -> Triple:
    """Where the pars ends and the inferior articular process begins."""
    return body.half_canal_mm + 1.0, body.half_depth_mm + 0.85 * body.canal_mm, 0.28 * body.posterior_mm


def _pars(plan: PosteriorPlan, *, body: BehindBody) -> Part:
    """The isthmus between the two articular processes."""
    _, v0, radius = _pedicle_middle(plan, body=body)
    base = (body.half_canal_mm + 0.6 + radius, body.half_depth_mm + 0.6 * body.canal_mm, v0)
    return _stroke("pars", ends=(base, _pars_end(body)), radii=(radius, _PARS_RADIUS_MM))


def _transverse_process(plan: PosteriorPlan, *, reach_mm: Triple, body: BehindBody) -> Part:
    """A flat bar from the pillar to lateral and posterior."""
    w0, v0, radius = _pedicle_middle(plan, body=body)
    base = (w0, body.half_depth_mm + 0.5 * body.canal_mm, v0 + 1)
    tip = tuple(x + dx for x, dx in zip(base, (plan.pedicle_mm[0] / 2 + reach_mm[0], *reach_mm[1:]), strict=True))
    return _stroke("transverse process", ends=(base, tip), radii=(min(radius, 4.0), 2.6), flat=0.6)


def _rib(plan: PosteriorPlan, *, head_mm: float, body: BehindBody) -> Iterator[Part]:
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


def _stroke(name: str, *, ends: Sequence[Sequence[float]], radii: Range, flat: float = 1.0) -> Part:
    """A tapering bar, ``1 / flat`` times as high (along v) as it is thick."""
    squeezed = np.array(ends) * (1, 1, flat)
    radius = max(radii) / np.array((1, 1, flat))

    def depth(points: Points) -> np.ndarray:
        w, u, v = points
        return capsule_depth((w, u, v * np.float32(flat)), ends=squeezed, radii=radii)

    return Part(name, _box(np.min(ends, axis=0) - radius, high=np.max(ends, axis=0) + radius), depth)


def _mirrored(part: Part, *, side: int) -> Part:
    """A left part as it is, or its mirror image on the right, under the side's name."""
    sign = np.float32(side)
    return Part(
        f"{'left' if side > 0 else 'right'} {part.name}",
        part.points * (side, 1, 1),
        lambda points: part.depth((points[0] * sign, points[1], points[2])),
        part.blend_mm,
    )


def _box(low: Sequence[float] | np.ndarray, *, high: Sequence[float] | np.ndarray) -> np.ndarray:
    """Corners of an axis-parallel box, shape (8, 3)."""
    return np.array(list(itertools.product(*zip(low, high, strict=True))), dtype=float)
