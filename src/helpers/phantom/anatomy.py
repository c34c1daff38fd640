"""Vertebral bodies before anything happens to them: what is normal at each level, and how one body is drawn.

Ranges are modelling choices for plausible adults, not a normative data base: bodies have the proportions of their
level and are wedged within 8 % of its mean, end plates 0-3 mm hollow, walls waisted by 0.5-3 mm.
"""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.geometry import Range, draw, draw_phase

GRID_STEP_MM = 0.05
#: Where a body's outline is tabulated: antero-posterior and cranio-caudal positions in its frame.
U_GRID_MM = np.arange(-32.0, 32.0, GRID_STEP_MM, dtype=np.float32)
V_GRID_MM = np.arange(-26.0, 26.0, GRID_STEP_MM, dtype=np.float32)
#: Where heights are read, as a fraction of half the body's depth: near the anterior rim, the middle, the posterior rim.
HEIGHT_SITES = np.array([-0.9, 0.0, 0.9])


@dataclass(frozen=True)
class LevelNorm:
    """What is typical of one level: shape of the body, the disc below it and the canal behind it.

    ``size`` is depth and posterior height relative to L3; ``anterior_ratio`` is anterior over posterior height;
    ``disc_angle_deg`` is the turn across the disc below (negative is lordotic); ``canal`` is its depth and width
    relative to the patient's own measures; ``weight`` is how often the level is imaged.
    """

    size: tuple[float, float]
    anterior_ratio: float
    disc_mm: float
    disc_angle_deg: float
    canal: tuple[float, float]
    weight: float = 0.0


LEVEL_NORMS: dict[str, LevelNorm] = {
    "T8": LevelNorm((0.80, 0.79), 0.95, 5.0, 1.5, (0.95, 0.80)),
    "T9": LevelNorm((0.82, 0.81), 0.95, 5.0, 1.5, (0.95, 0.80)),
    "T10": LevelNorm((0.85, 0.85), 0.95, 5.5, 1.5, (0.95, 0.82)),
    "T11": LevelNorm((0.88, 0.90), 0.92, 6.0, 1.0, (0.97, 0.86), 0.11),
    "T12": LevelNorm((0.92, 0.95), 0.91, 7.0, -1.0, (1.00, 0.95), 0.21),
    "L1": LevelNorm((0.97, 1.00), 0.91, 8.5, -4.0, (1.00, 0.97), 0.28),
    "L2": LevelNorm((0.98, 1.02), 0.94, 9.5, -5.0, (0.96, 0.98), 0.16),
    "L3": LevelNorm((1.00, 1.00), 0.98, 10.5, -7.0, (0.93, 1.00), 0.11),
    "L4": LevelNorm((1.01, 1.01), 1.03, 11.5, -9.0, (0.97, 1.04), 0.08),
    "L5": LevelNorm((0.99, 0.96), 1.14, 10.0, -12.0, (1.03, 1.15), 0.05),
    "S1": LevelNorm((0.95, 0.97), 1.18, 2.0, 3.0, (1.00, 1.20)),
    "S2": LevelNorm((0.85, 0.90), 1.12, 1.5, 9.0, (0.80, 1.10)),
    "S3": LevelNorm((0.75, 0.85), 1.05, 1.0, 12.0, (0.70, 1.00)),
}
LEVELS = tuple(LEVEL_NORMS)


def is_sacral(level: str) -> bool:
    """Whether a level is a segment of the sacrum: fused, and never a target."""
    return level.startswith("S")


#: Vertebrae above the sacrum, cranial first.
MOBILE_LEVELS = tuple(level for level in LEVELS if not is_sacral(level))


#: How often each level is imaged: fractures gather about the thoracolumbar junction.
LEVEL_WEIGHTS = {level: norm.weight for level, norm in LEVEL_NORMS.items() if norm.weight > 0}
TARGET_LEVELS = tuple(LEVEL_WEIGHTS)


@dataclass(frozen=True)
class AnatomyRanges:
    """Ranges (low, high) from which a patient's bodies are drawn; lengths in mm."""

    depth_mm: Range = (30.5, 37.0)
    height_mm: Range = (25.0, 29.5)
    wedging: Range = (-0.08, 0.08)
    cavity_mm: Range = (0.0, 3.0)
    waist_mm: Range = (0.5, 3.0)
    corner_mm: Range = (0.8, 2.2)
    width_ratio: Range = (1.2, 1.42)
    flatness: Range = (0.06, 0.20)
    ripple_mm: Range = (0.03, 0.12)


ANATOMY = AnatomyRanges()


@dataclass(frozen=True)
class BodyPlan:
    """Parameters of one intact body; heights and lengths in mm.

    ``ripple`` holds three (amplitude, waves, phase) triples of small end-plate unevenness. ``flatness`` is how far,
    in half depths, the posterior wall stands out beside the midline over an ellipse: 0.13 makes it about flat.
    """

    level: str
    depth_mm: float
    posterior_mm: float
    anterior_ratio: float
    cavities_mm: tuple[float, float]
    cavity_centre: float
    waists_mm: tuple[float, float]
    corner_mm: float
    ripple: tuple[tuple[float, float, float], ...]
    width_mm: float
    flatness: float

    @property
    def half_depth_mm(self) -> float:
        """Half the antero-posterior depth."""
        return self.depth_mm / 2

    @property
    def half_width_mm(self) -> float:
        """Half the width."""
        return self.width_mm / 2

    @property
    def reference_heights_mm(self) -> np.ndarray:
        """Anterior, middle and posterior height of the level's mean shape at this body's size, shape (3,)."""
        return self.posterior_mm * _taper(HEIGHT_SITES, ratio=LEVEL_NORMS[self.level].anterior_ratio)


def _taper(s: np.ndarray, *, ratio: float) -> np.ndarray:
    """Relative height along the body: ``ratio`` at the anterior rim (s = -1), 1 at the posterior (s = 1)."""
    return 1 + (ratio - 1) * (1 - s) / 2


def bowl(s: np.ndarray, *, centre: float = 0.0) -> np.ndarray:
    """Smooth hollow: 1 at ``centre``, 0 at the rims |s| >= 0.94 (s is -1 anterior, 1 posterior)."""
    reach = np.where(s < centre, centre + 0.94, 0.94 - centre)
    return np.clip(1 - ((s - centre) / reach) ** 2, 0, None) ** 1.15


@dataclass(frozen=True)
class Endplate:
    """An end plate in the midline: ``v`` (mm) of its rim line and what it is hollowed out by, over one set of places.

    `hollow` is signed like ``v``: positive lowers an upper plate, negative raises a lower one.
    """

    rim: np.ndarray
    hollow: np.ndarray

    @property
    def midline(self) -> np.ndarray:
        """``v`` of the plate in the midline, mm."""
        return self.rim + self.hollow


def endplates(plan: BodyPlan, s: np.ndarray) -> tuple[Endplate, Endplate]:
    """The intact upper and lower end plate at relative positions ``s`` (-1 anterior, 1 posterior)."""
    half = plan.posterior_mm * _taper(s, ratio=plan.anterior_ratio) / 2
    uneven = [sum(a * np.sin(sign * k * s + f) for a, k, f in plan.ripple) for sign in (1, -1)]
    upper = Endplate(-half + uneven[0], plan.cavities_mm[0] * bowl(s, centre=plan.cavity_centre))
    lower = Endplate(half + uneven[1], -plan.cavities_mm[1] * bowl(s, centre=plan.cavity_centre + 0.12))
    return upper, lower


def sample_body_plan(
    rng: np.random.Generator, *, level: str, size_mm: tuple[float, float], cavity_mm: float
) -> BodyPlan:
    """Draw one intact body.

    Parameters
    ----------
    level
        A key of `LEVEL_NORMS`.
    size_mm
        The patient's (depth, height) at L3.
    cavity_mm
        The patient's typical end-plate hollow.
    """
    norm = LEVEL_NORMS[level]
    # Lower plates are about twice as hollow as upper ones.
    hollow = np.clip(cavity_mm * rng.uniform((0.15, 0.5), (0.65, 1.1)), *ANATOMY.cavity_mm)
    depth, height = np.array(size_mm) * norm.size * rng.uniform(0.98, 1.02, size=2)
    return BodyPlan(
        level=level,
        depth_mm=float(depth),
        posterior_mm=float(height),
        anterior_ratio=norm.anterior_ratio * (1 + draw(rng, ANATOMY.wedging)),
        cavities_mm=(float(hollow[0]), float(hollow[1])),
        cavity_centre=draw(rng, (-0.05, 0.2)),
        waists_mm=(draw(rng, ANATOMY.waist_mm), 0.6 * draw(rng, ANATOMY.waist_mm)),
        corner_mm=draw(rng, ANATOMY.corner_mm),
        ripple=tuple((draw(rng, ANATOMY.ripple_mm), k, draw_phase(rng)) for k in (5.0, 9.0, 14.0)),
        width_mm=float(depth) * draw(rng, ANATOMY.width_ratio),
        flatness=draw(rng, ANATOMY.flatness),
    )
