"""Fractures: what compression and burst do to a body, and how the result is measured.

Definitions. Compression is failure of the anterior column under an intact posterior wall; burst is failure of anterior
and middle column with a broken posterior wall and bone pushed into the canal (Denis, Spine 1983;8:817-831). In the AO
Spine scheme (Vaccaro et al., Spine 2013;38:2028-2037) both are type A: A1 wedge or impaction of one end plate, A2
split or pincer through both end plates with the wall intact, A3 incomplete burst (one end plate), A4 complete burst
(both). A1 stands here for any compression without a split: AO does not place biconcave and crush. This study's letters
A, B and C are *not* the AO letters. Wedge, biconcave and crush follow Genant et al., J Bone Miner Res 1993;8:1137-1148.

A class is never asserted but measured: smallest height ratio <= .80 for a fracture, >= .84 for a normal body; canal
narrowing >= .10 for a burst, <= .08 for a compression. The ranges below are modelling ranges.
"""

from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.anatomy import (
    GRID_STEP_MM,
    HEIGHT_SITES,
    U_GRID_MM,
    V_GRID_MM,
    BodyPlan,
    Endplate,
    bowl,
    endplates,
)
from helpers.phantom.body import BodyShape, Cut, Heights, Piece
from helpers.phantom.geometry import Range, Triple, draw, draw_phase

NORMAL_MIN_RATIO = 0.84
FRACTURE_MAX_RATIO = 0.80
COMPRESSION_MAX_NARROWING = 0.08
BURST_NARROWING: Range = (0.10, 0.60)


@dataclass(frozen=True)
class FractureRanges:
    """Ranges and frequencies from which fractures are drawn; lengths in mm, attenuation in HU."""

    compression_ratio: Range = (0.42, 0.79)
    acute_compression_ratio: Range = (0.58, 0.79)
    burst_ratio: Range = (0.45, 0.785)
    narrowing: Range = (0.11, 0.55)
    subtype_odds: tuple[float, float, float, float] = (0.48, 0.25, 0.18, 0.09)
    chronic_compression: float = 0.60
    chronic_burst: float = 0.12
    complete_burst: float = 0.4
    comminuted: float = 0.6
    buckle_mm: Range = (0.6, 2.4)
    bulge_mm: Range = (0.0, 1.2)
    gap_mm: Range = (0.3, 1.1)
    band_hu: Range = (90.0, 380.0)
    band_depth_mm: Range = (1.5, 5.5)
    band_width_mm: Range = (0.9, 2.4)
    slant_mm: Range = (-2.5, 2.5)
    intact_slant_mm: Range = (-0.8, 0.8)
    fragment_half_width_mm: Range = (5.5, 10.5)
    splay_mm: Range = (0.5, 5.0)
    side_split: float = 0.4
    lamina_cleft: float = 0.4


FRACTURES = FractureRanges()
#: Where bone behind the posterior wall is looked for: how far back, how high and how finely, mm.
_CANAL_REACH_MM = 16.0
_PROBE_HEIGHT_MM = (-20.0, 20.0)
_PROBE_STEP_MM = 0.2
COMPRESSION_SUBTYPES = ("wedge", "biconcave", "crush", "split")


@dataclass(frozen=True)
class Loss:
    """Relative height loss along the body: parts shared by the whole body, its anterior part and its middle.

    ``posterior`` is the share lost everywhere, posterior wall included; of the rest, ``central`` is hollow and the
    remainder an anterior wedge with its ``hinge`` at that relative position; ``lower`` is the inferior plate's part.
    """

    posterior: float
    central: float
    hinge: float
    lower: float

    def rim(self, s: np.ndarray) -> np.ndarray:
        """Loss of the whole width at relative positions ``s``, in units of the solved amplitude."""
        wedge = np.clip((self.hinge - s) / (self.hinge + 0.9), 0, 1.08)
        # Smoothstep rounds the hinge: a depressed plate bends, it does not fold.
        wedge = 0.5 * wedge + 0.5 * wedge**2 * (3 - 2 * np.minimum(wedge, 1))
        return self.posterior + (1 - self.posterior) * (1 - self.central) * wedge

    def hollow(self, s: np.ndarray) -> np.ndarray:
        """Loss of the centre over the rim at relative positions ``s``, in the same units."""
        return (1 - self.posterior) * self.central * bowl(s)

    def profile(self, s: np.ndarray) -> np.ndarray:
        """Loss in the midline at relative positions ``s``."""
        return self.rim(s) + self.hollow(s)


@dataclass(frozen=True)
class Fracture:
    """One fracture as requested; its measured counterpart is in the body's heights and `retropulsion_mm`."""

    kind: str
    subtype: str
    ao_type: str
    acute: bool
    height_ratio: float
    narrowing: float
    loss: Loss
    buckle_mm: float
    bulge_mm: float
    band_hu: float
    band_depth_mm: float
    band_width_mm: float
    splay_mm: float
    lamina_cleft: bool


def sample_fracture(rng: np.random.Generator, *, kind: str) -> Fracture:
    """Draw a fracture of kind ``"A"`` (compression) or ``"B"`` (burst).

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in ("A", "B"):
        raise ValueError(f"kind: {kind!r} is not a fracture; use 'A' (compression) or 'B' (burst)")
    burst = kind == "B"
    acute = rng.random() >= (FRACTURES.chronic_burst if burst else FRACTURES.chronic_compression)
    subtype, ao_type, loss = _sample_burst_loss(rng) if burst else _sample_compression_loss(rng, acute=acute)
    return Fracture(
        kind=kind,
        subtype=subtype,
        ao_type=ao_type,
        acute=acute,
        height_ratio=_sample_ratio(rng, burst=burst, acute=acute),
        narrowing=FRACTURES.narrowing[0] + np.ptp(FRACTURES.narrowing) * rng.beta(1.1, 1.7) if burst else 0.0,
        loss=loss,
        buckle_mm=draw(rng, FRACTURES.buckle_mm) * (1.0 if acute else 0.25),
        bulge_mm=draw(rng, FRACTURES.bulge_mm),
        band_hu=draw(rng, FRACTURES.band_hu) * (1.0 if acute else rng.choice([0.0, 0.35])),
        band_depth_mm=draw(rng, FRACTURES.band_depth_mm),
        band_width_mm=draw(rng, FRACTURES.band_width_mm),
        splay_mm=draw(rng, FRACTURES.splay_mm) if burst else 0.0,
        lamina_cleft=burst and bool(rng.random() < FRACTURES.lamina_cleft),
    )


def _sample_ratio(rng: np.random.Generator, *, burst: bool, acute: bool) -> float:
    """Height ratios lean to the mild end, where readers disagree too; compressions sink further as they age."""
    compression = FRACTURES.acute_compression_ratio if acute else FRACTURES.compression_ratio
    bounds = FRACTURES.burst_ratio if burst else compression
    return bounds[0] + (bounds[1] - bounds[0]) * float(rng.beta(2.2, 1.2))


def _sample_compression_loss(rng: np.random.Generator, *, acute: bool) -> tuple[str, str, Loss]:
    subtype = str(rng.choice(COMPRESSION_SUBTYPES, p=FRACTURES.subtype_odds))
    if subtype == "split" and not acute:
        subtype = "wedge"
    if subtype == "wedge":
        return subtype, "A1", Loss(0.0, draw(rng, (0, 0.4)), draw(rng, (0.2, 0.88)), draw(rng, (0, 0.25)))
    if subtype == "biconcave":
        return subtype, "A1", Loss(draw(rng, (0, 0.08)), draw(rng, (0.85, 1)), 0.6, draw(rng, (0.25, 0.6)))
    if subtype == "crush":
        return subtype, "A1", Loss(draw(rng, (0.6, 0.92)), draw(rng, (0.2, 0.8)), 0.7, draw(rng, (0.1, 0.5)))
    return subtype, "A2", Loss(draw(rng, (0, 0.2)), draw(rng, (0.6, 0.9)), 0.6, draw(rng, (0.35, 0.6)))


def _sample_burst_loss(rng: np.random.Generator) -> tuple[str, str, Loss]:
    posterior, central = draw(rng, (0.2, 0.65)), draw(rng, (0.1, 0.7))
    if rng.random() < FRACTURES.complete_burst:
        return "complete burst", "A4", Loss(posterior, central, draw(rng, (0.5, 0.9)), draw(rng, (0.25, 0.5)))
    return "incomplete burst", "A3", Loss(posterior, central, draw(rng, (0.5, 0.9)), draw(rng, (0.0, 0.1)))


def intact_body(plan: BodyPlan, *, slants_mm: tuple[float, float] = (0.0, 0.0)) -> BodyShape:
    """Outline of the body that ``plan`` describes; its plates stand ``slants_mm`` lower at the left rim."""
    return _enclose(plan, plates=endplates(plan, U_GRID_MM / plan.half_depth_mm), slants_mm=slants_mm)


def fractured_body(plan: BodyPlan, fracture: Fracture, *, rng: np.random.Generator, canal_mm: float) -> BodyShape:
    """Break ``plan``'s body so that its measured height ratio and canal narrowing are the requested ones.

    Parameters
    ----------
    rng
        Drives what the request leaves open: lines, fragments, buckling, which side is lower.
    canal_mm
        Antero-posterior depth of the canal behind the body.
    """
    s = U_GRID_MM / plan.half_depth_mm
    amplitude, lower = solve_amplitude_mm(plan, fracture), fracture.loss.lower
    plates = tuple(
        Endplate(plate.rim + share * fracture.loss.rim(s), plate.hollow + share * fracture.loss.hollow(s))
        for plate, share in zip(endplates(plan, s), ((1 - lower) * amplitude, -lower * amplitude), strict=True)
    )
    slants = (draw(rng, FRACTURES.slant_mm), draw(rng, FRACTURES.intact_slant_mm))
    shape = _enclose(plan, plates=plates, slants_mm=slants, fracture=fracture)
    if fracture.kind == "B":
        return _retropulse(shape, fracture=fracture, rng=rng, canal_mm=canal_mm)
    if fracture.subtype == "split":
        return replace(shape, pieces=_split(shape, rng=rng, behind=(0.1, 0.4)))
    return shape


def solve_amplitude_mm(plan: BodyPlan, fracture: Fracture) -> float:
    """Height loss in mm at which the smallest of the three height ratios reaches the requested one.

    The loss is linear in its amplitude, so that each site has its own solution and the smallest decides.
    """
    top, bottom = endplates(plan, HEIGHT_SITES)
    excess = bottom.midline - top.midline - fracture.height_ratio * plan.reference_heights_mm
    return float(np.min(excess / np.maximum(fracture.loss.profile(HEIGHT_SITES), 1e-6)))


def measure_heights(plan: BodyPlan, *, plates: tuple[Endplate, Endplate]) -> Heights:
    """Read the three heights from end plates over `U_GRID_MM`, as callipers would at `HEIGHT_SITES`."""
    index = np.rint((HEIGHT_SITES * plan.half_depth_mm - U_GRID_MM[0]) / GRID_STEP_MM).astype(int)
    top, bottom = plates
    heights = (bottom.midline - top.midline)[index]
    anterior, middle, posterior = (float(ratio) for ratio in heights / plan.reference_heights_mm)
    return Heights(*(float(h) for h in heights), ratios=(anterior, middle, posterior))


def retropulsion_mm(shape: BodyShape) -> float:
    """How far bone stands behind the line of the posterior wall in the midline, mm; 0 when it does not."""
    behind = np.arange(0.0, _CANAL_REACH_MM, _PROBE_STEP_MM, dtype=np.float32)
    v, u = np.meshgrid(np.arange(*_PROBE_HEIGHT_MM, _PROBE_STEP_MM, dtype=np.float32), behind + shape.half_depth_mm)
    reached = (shape.broken_depth((np.zeros_like(u), u.astype(np.float32), v)) > 0).any(axis=1)
    return float(behind[reached].max(initial=0.0))


def _enclose(
    plan: BodyPlan,
    *,
    plates: tuple[Endplate, Endplate],
    slants_mm: tuple[float, float],
    fracture: Fracture | None = None,
) -> BodyShape:
    """Close a pair of end plates with waisted walls; a fracture buckles the front and may bulge the back."""
    top, bottom = plates
    half = plan.half_depth_mm
    ends = np.rint((np.array([-half, half]) - U_GRID_MM[0]) / GRID_STEP_MM).astype(int)
    upper, lower = top.midline[ends], bottom.midline[ends]
    front, back = ((V_GRID_MM - a) / max(b - a, 1.0) for a, b in zip(upper, lower, strict=True))  # 0 top, 1 bottom
    front_inset = plan.waists_mm[0] * np.clip(4 * front * (1 - front), 0, None)
    back_inset = plan.waists_mm[1] * np.clip(4 * back * (1 - back), 0, None)
    if fracture is not None:
        # The cortex gives way a third below the plate: a step outwards, sharp above and flat below.
        step = np.where(front < 0.28, front > 0.05, np.exp(-(front - 0.28) / 0.12))
        front_inset = front_inset - fracture.buckle_mm * step
        back_inset = back_inset - fracture.bulge_mm * np.exp(-(((back - 0.25) / 0.2) ** 2))
    return BodyShape(
        half_depth_mm=half,
        half_width_mm=plan.half_width_mm,
        flatness=plan.flatness,
        top=top,
        bottom=bottom,
        front_inset=front_inset,
        back_inset=back_inset,
        corner_mm=plan.corner_mm,
        heights=measure_heights(plan, plates=plates),
        slants_mm=slants_mm,
    )


def _split(shape: BodyShape, *, rng: np.random.Generator, behind: Range) -> tuple[Piece, Piece]:
    """A steep coronal line through both plates, ``behind`` (share of half depth) off the middle; the front slides."""
    u0 = shape.half_depth_mm * draw(rng, behind) * rng.choice([-1, 1])
    tilt = draw(rng, (-0.35, 0.35))
    normal = (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    cut = _wavy(normal, offset_mm=u0 * np.cos(tilt), rng=rng, wave_mm=(0.2, 0.6))
    gap = draw(rng, FRACTURES.gap_mm)
    slide = (0.0, -draw(rng, (0.2, 1.6)), draw(rng, (-0.2, 0.8)))
    forward = Piece((cut.flipped(),), shift_mm=slide, turn_rad=draw(rng, (-0.05, 0.02)), gap_mm=gap)
    return forward, Piece((cut,), gap_mm=gap)


def _wavy(normal: Triple, *, offset_mm: float, rng: np.random.Generator, wave_mm: Range) -> Cut:
    return Cut(normal, float(offset_mm), draw(rng, wave_mm), draw_phase(rng))


def _retropulse(shape: BodyShape, *, fracture: Fracture, rng: np.random.Generator, canal_mm: float) -> BodyShape:
    """Break off the posterosuperior part and push it into the canal until the measured narrowing is the requested."""
    region = _fragment_region(shape, rng=rng)
    corner_u, corner_v = shape.corner(posterior=True, lower=False)
    target = fracture.narrowing * canal_mm
    gap = draw(rng, FRACTURES.gap_mm) * (1.0 if fracture.acute else 0.3)
    rest = tuple(replace(part, without=region) for part in _comminute(shape, fracture=fracture, rng=rng, gap_mm=gap))
    drop, turn = draw(rng, (-0.5, 2.0)), draw(rng, (-0.12, 0.3))
    push = target
    pivot = (float(corner_u) - 4.0, float(corner_v) + 4.0)
    for _ in range(4):
        fragment = Piece(region, shift_mm=(0.0, float(push), drop), turn_rad=turn, pivot_mm=pivot, gap_mm=gap)
        broken = replace(shape, pieces=(*rest, fragment))
        push += target - retropulsion_mm(replace(shape, pieces=(fragment,)))
    return broken


def _comminute(shape: BodyShape, *, fracture: Fracture, rng: np.random.Generator, gap_mm: float) -> tuple[Piece, ...]:
    """Parts of the body beside the fragment: split in front and behind, or left and right, or whole."""
    if rng.random() < FRACTURES.side_split:
        beside = draw(rng, (3.0, 9.0)) * rng.choice([-1.0, 1.0])
        cut = _wavy((1.0, draw(rng, (-0.2, 0.2)), 0.0), offset_mm=beside, rng=rng, wave_mm=(0.2, 0.7))
        apart = fracture.splay_mm / 2
        return (
            Piece((cut.flipped(),), shift_mm=(-apart / 2, 0.0, 0.0), gap_mm=gap_mm),
            Piece((cut,), shift_mm=(apart / 2, 0.0, 0.0), gap_mm=gap_mm),
        )
    if rng.random() < FRACTURES.comminuted:
        front, back = _split(shape, rng=rng, behind=(0.0, 0.5))
        return replace(front, gap_mm=gap_mm), replace(back, gap_mm=gap_mm)
    return (Piece(gap_mm=gap_mm),)


def _fragment_region(shape: BodyShape, *, rng: np.random.Generator) -> tuple[Cut, ...]:
    """An oblique plane from the upper plate to the posterior wall, and two sides: the posterosuperior corner."""
    corner = shape.corner(posterior=True, lower=False)
    height = shape.corner(posterior=True, lower=True)[1] - corner[1]
    start = corner - (draw(rng, (0.25, 0.62)) * 2 * shape.half_depth_mm, 0)
    end = corner + (0, draw(rng, (0.4, 1.1)) * height)
    along = end - start
    normal = np.array([along[1], -along[0]]) / np.hypot(*along)
    slope = _wavy((0.0, float(normal[0]), float(normal[1])), offset_mm=normal @ start, rng=rng, wave_mm=(0.2, 0.7))
    half_depth = shape.half_depth_mm
    half_width, middle = draw(rng, FRACTURES.fragment_half_width_mm), draw(rng, (-2.0, 2.0))
    # The fragment narrows towards the front, as a wedge between the pedicles.
    sides = (
        _wavy((side, 0.15, 0.0), offset_mm=side * middle + 0.15 * half_depth - half_width, rng=rng, wave_mm=(0.2, 0.7))
        for side in (-1.0, 1.0)
    )
    return slope, *sides
