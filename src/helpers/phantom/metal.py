"""Pedicle screws and rods in a few patients, and the streaks they cast within their axial slices.

Beam hardening and photon starvation darken the lines along which rays meet the most metal, and many fainter bright and
dark lines fan out. Beside a titanium screw the darkest streak lies some 850 HU below its surroundings at 120 kV (Huber
et al. 2021, table 3, doi 10.1186/s12880-021-00554-y), and it fades within a few centimetres. Streaks stay in the slices
that hold the metal: in a sagittal or coronal image they are bands across the patient. They are drawn as an additive
texture that is fixed to the patient, not reconstructed from projections.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.phantom.geometry import Points, Range, Triple, draw, triple

#: HU to paint metal with: titanium lies beyond 12 bits, and blooms as the excess is blurred.
METAL_HU = 6000.0
METAL_RATE = 0.02

ToPatient = Callable[[np.ndarray], np.ndarray]

_SCREW_RADIUS_MM: Range = (2.75, 3.25)
_ROD_RADIUS_MM = 2.75
#: Screw ends in a vertebra's frame (left, posterior, caudal), for the left side.
_SCREW_HEAD_MM = (15.0, 38.0, -7.0)
_SCREW_TIP_MM = (7.0, -5.0, -4.0)
_PLACEMENT_MM = 1.5
_SHAFT_HU: Range = (-500.0, -250.0)
_ACROSS_HU: Range = (-400.0, -180.0)
_ACROSS_WIDTH_MM = 9.0
_FAN_HU: Range = (-250.0, 250.0)
_FAN_LINES = 6
#: How far along the patient streaks are seen beside their source: a screw's radius and a slice's part.
_DARK_REACH_MM, _FAN_REACH_MM = 4.0, 3.5
#: Distance from the metal at which a streak has half its strength.
_FADING_MM = 15.0


@dataclass(frozen=True)
class Rod:
    """A straight metal rod with round ends; patient coordinates (left, posterior, caudal) and lengths in mm."""

    start_mm: Triple
    end_mm: Triple
    radius_mm: float

    def depth(self, points: Points) -> np.ndarray:
        """Signed depth of broadcastable patient coordinates, positive in the metal."""
        start, axis = np.array(self.start_mm), np.subtract(self.end_mm, self.start_mm)
        offsets = [place - np.float32(origin) for place, origin in zip(points, start, strict=True)]
        along = sum(offset * np.float32(part) for offset, part in zip(offsets, axis / (axis @ axis), strict=True))
        along = np.clip(along, 0, 1)
        squared = sum((offset - along * np.float32(part)) ** 2 for offset, part in zip(offsets, axis, strict=True))
        return np.float32(self.radius_mm) - np.sqrt(squared)


@dataclass(frozen=True)
class Streak:
    """A bright or dark line in every axial slice between two points of a metal part.

    Parameters
    ----------
    top_mm, bottom_mm
        Ends of the line of sources, patient coordinates; equal ends make a single source.
    reach_mm
        How far the streak is seen above and below them.
    angle_rad
        Direction in the axial plane: 0 is left, pi / 2 posterior.
    width_mm, strength_hu
        Sigma across the line and HU at the source.
    period_mm
        Length along the patient over which bright and dark alternate; infinite if they do not.
    """

    top_mm: Triple
    bottom_mm: Triple
    reach_mm: float
    angle_rad: float
    width_mm: float
    strength_hu: float
    period_mm: float = np.inf

    def hu(self, points: Points) -> np.ndarray | None:
        """HU to add at broadcastable patient coordinates, or None where the streak is out of reach."""
        x, p, c = points
        beyond = np.maximum(np.float32(self.top_mm[2]) - c, c - np.float32(self.bottom_mm[2]))
        envelope = np.clip(np.float32(self.reach_mm) - beyond, 0, 1)
        if not envelope.any():
            return None
        height = self.bottom_mm[2] - self.top_mm[2]
        part = np.clip((c - np.float32(self.top_mm[2])) / np.float32(max(height, 1e-3)), 0, 1)
        dx, dp = (
            place - (np.float32(top) + part * np.float32(bottom - top))
            for place, top, bottom in zip((x, p), self.top_mm[:2], self.bottom_mm[:2], strict=True)
        )
        across = dp * np.float32(np.cos(self.angle_rad)) - dx * np.float32(np.sin(self.angle_rad))
        fading = 1 / (1 + np.hypot(dx, dp) / np.float32(_FADING_MM))
        swing = np.cos((c - np.float32(self.top_mm[2])) * np.float32(2 * np.pi / self.period_mm))
        profile = np.exp(np.float32(-0.5 / self.width_mm**2) * across**2)
        return np.float32(self.strength_hu) * envelope * swing * fading * profile


@dataclass(frozen=True)
class Metal:
    """All metal of one patient; empty in most."""

    rods: tuple[Rod, ...] = ()
    streaks: tuple[Streak, ...] = ()

    def depth(self, points: Points) -> np.ndarray | None:
        """Signed depth in any rod, to be painted with `METAL_HU`; None without metal."""
        if not self.rods:
            return None
        return np.maximum.reduce([rod.depth(points) for rod in self.rods])

    def streak_hu(self, points: Points) -> np.ndarray | float:
        """HU to add to the finished plane, broadcast over ``points`` (x, p, c); 0 where no streak reaches."""
        parts = (streak.hu(points) for streak in self.streaks)
        return sum((part for part in parts if part is not None), start=0.0)


def sample_metal(rng: np.random.Generator, *, vertebrae: Sequence[ToPatient], rate: float = METAL_RATE) -> Metal:
    """Fix two neighbouring vertebrae of a patient with screws and rods, with probability ``rate``.

    Parameters
    ----------
    vertebrae
        For each vertebra, from cranial to caudal, the map of points in its frame (left, posterior, caudal; origin in
        the middle of the body; shape (n, 3), mm) to patient coordinates of the same shape.

    Raises
    ------
    ValueError
        If ``rate`` is outside 0 to 1 or there are fewer than two vertebrae.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate: {rate} is outside 0 to 1")
    if len(vertebrae) < 2:
        raise ValueError(f"vertebrae: {len(vertebrae)} given, two are joined")
    if rng.random() >= rate:
        return Metal()
    upper = int(rng.integers(len(vertebrae) - 1))
    pairs = [_screw_pair(rng, to_patient=to_patient) for to_patient in vertebrae[upper : upper + 2]]
    joins = [Rod(above.start_mm, below.start_mm, _ROD_RADIUS_MM) for above, below in zip(*pairs, strict=True)]
    streaks = [streak for pair in pairs for streak in _pair_streaks(rng, pair=pair)]
    streaks += [streak for rod in joins for streak in _fan(rng, top_mm=rod.start_mm, bottom_mm=rod.end_mm)]
    return Metal((*pairs[0], *pairs[1], *joins), tuple(streaks))


def _screw_pair(rng: np.random.Generator, *, to_patient: ToPatient) -> tuple[Rod, Rod]:
    """The left and the right screw of a vertebra, head first."""
    radius = draw(rng, _SCREW_RADIUS_MM)
    ends = np.array([_SCREW_HEAD_MM, _SCREW_TIP_MM])
    screws = []
    for side in (1, -1):
        placed = ends * (side, 1, 1) + rng.normal(0, _PLACEMENT_MM, size=3)
        head, tip = (triple(point) for point in to_patient(placed))
        screws.append(Rod(head, tip, radius))
    return screws[0], screws[1]


def _pair_streaks(rng: np.random.Generator, *, pair: tuple[Rod, Rod]) -> list[Streak]:
    """Dark along each shaft and between the pair, where rays meet the most metal, and a fan around each tip."""
    streaks = []
    for screw in pair:
        width = 1.2 * screw.radius_mm
        streaks.append(_dark(rng, along=(screw.start_mm, screw.end_mm), width_mm=width, bounds=_SHAFT_HU))
        streaks += _fan(rng, top_mm=screw.end_mm, bottom_mm=screw.end_mm)
    left, right = (_middle(screw.start_mm, screw.end_mm) for screw in pair)
    return [*streaks, _dark(rng, along=(left, right), width_mm=_ACROSS_WIDTH_MM, bounds=_ACROSS_HU)]


def _dark(rng: np.random.Generator, *, along: tuple[Triple, Triple], width_mm: float, bounds: Range) -> Streak:
    """A dark streak through two points, seen a screw's height above and below their middle."""
    source = _middle(*along)
    x, p, _ = np.subtract(along[1], along[0])
    return Streak(source, source, _DARK_REACH_MM, float(np.arctan2(p, x)), width_mm, draw(rng, bounds))


def _fan(rng: np.random.Generator, *, top_mm: Triple, bottom_mm: Triple) -> list[Streak]:
    if top_mm[2] > bottom_mm[2]:
        top_mm, bottom_mm = bottom_mm, top_mm
    return [
        Streak(
            top_mm,
            bottom_mm,
            reach_mm=_FAN_REACH_MM,
            angle_rad=draw(rng, (0, np.pi)),
            width_mm=draw(rng, (0.6, 1.8)),
            strength_hu=draw(rng, _FAN_HU),
            period_mm=draw(rng, (2.5, 8)),
        )
        for _ in range(_FAN_LINES)
    ]


def _middle(start_mm: Triple, end_mm: Triple) -> Triple:
    return triple(np.add(start_mm, end_mm) / 2)
