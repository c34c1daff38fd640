"""Vertebral bodies: what is normal at each level, and the outline of one body in its own frame.

Ranges are modelling choices for plausible adults (the table of issue 4: bodies 29-39 mm deep and 23-31 mm high,
2 % higher per level, end plates 0-3 mm hollow, wedging within 6 % of the level's mean, wall waist 0.5-3 mm). They are
not a normative data base.
"""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.geometry import Range, capsule_depth, draw

GRID_STEP_MM = 0.05
U_GRID_MM = np.arange(-32.0, 32.0, GRID_STEP_MM, dtype=np.float32)
V_GRID_MM = np.arange(-26.0, 26.0, GRID_STEP_MM, dtype=np.float32)
#: Where heights are read, as a fraction of half the body's depth: near the anterior rim, the middle, the posterior rim.
HEIGHT_SITES = np.array([-0.9, 0.0, 0.9])


@dataclass(frozen=True)
class LevelNorm:
    """What is typical of one level: shape of the body, the disc below it, and its spinous process.

    ``anterior_ratio`` is anterior over posterior height; ``disc_angle_deg`` is the turn across the disc below
    (negative is lordotic); ``weight`` is how often the level is imaged.
    """

    anterior_ratio: float
    disc_mm: float
    disc_angle_deg: float
    process_mm: tuple[float, float]
    process_slope_deg: float
    weight: float = 0.0


LEVEL_NORMS: dict[str, LevelNorm] = {
    "T8": LevelNorm(0.95, 5.0, 1.5, (26, 9), 50),
    "T9": LevelNorm(0.95, 5.0, 1.5, (26, 9), 48),
    "T10": LevelNorm(0.95, 5.5, 1.5, (26, 10), 42),
    "T11": LevelNorm(0.94, 6.0, 1.0, (24, 11), 32, 0.11),
    "T12": LevelNorm(0.94, 7.0, -1.0, (24, 14), 22, 0.21),
    "L1": LevelNorm(0.95, 8.5, -4.0, (27, 17), 14, 0.28),
    "L2": LevelNorm(0.98, 9.5, -5.0, (29, 19), 10, 0.16),
    "L3": LevelNorm(1.00, 10.5, -7.0, (30, 20), 8, 0.11),
    "L4": LevelNorm(1.03, 11.5, -9.0, (28, 18), 8, 0.08),
    "L5": LevelNorm(1.10, 10.0, -12.0, (21, 13), 12, 0.05),
    "S1": LevelNorm(1.18, 2.0, 3.0, (13, 11), 25),
    "S2": LevelNorm(1.12, 1.5, 9.0, (9, 9), 25),
    "S3": LevelNorm(1.05, 1.0, 12.0, (8, 8), 25),
}
LEVELS = tuple(LEVEL_NORMS)
TARGET_LEVELS = tuple(level for level, norm in LEVEL_NORMS.items() if norm.weight > 0)


@dataclass(frozen=True)
class AnatomyRanges:
    """Ranges (low, high) from which a patient's bodies are drawn; lengths in mm."""

    depth_mm: Range = (30.5, 37.0)
    height_mm: Range = (25.0, 29.5)
    depth_growth: float = 0.015
    height_growth: float = 0.02
    wedging: Range = (-0.06, 0.06)
    cavity_mm: Range = (0.0, 3.0)
    waist_mm: Range = (0.5, 3.0)
    corner_mm: Range = (0.8, 2.2)
    ripple_mm: Range = (0.03, 0.12)


ANATOMY = AnatomyRanges()


@dataclass(frozen=True)
class BodyPlan:
    """Parameters of one intact body; heights and lengths in mm.

    ``ripple`` holds three (amplitude, waves, phase) triples of small end-plate unevenness.
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

    @property
    def half_depth_mm(self) -> float:
        """Half the antero-posterior depth."""
        return self.depth_mm / 2

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


def endplates(plan: BodyPlan, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height ``v`` (mm) of the intact upper and lower end plate at relative positions ``s``."""
    half = plan.posterior_mm * _taper(s, ratio=plan.anterior_ratio) / 2
    uneven = [sum(a * np.sin(sign * k * s + f) for a, k, f in plan.ripple) for sign in (1, -1)]
    top = -half + plan.cavities_mm[0] * bowl(s, centre=plan.cavity_centre) + uneven[0]
    bottom = half - plan.cavities_mm[1] * bowl(s, centre=plan.cavity_centre + 0.12) + uneven[1]
    return top, bottom


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
    steps = LEVELS.index(level) - LEVELS.index("L3")
    steps = steps if steps <= 2 else 4 - 3 * (steps - 2)  # sacral segments shrink again below S1
    hollow = np.clip(cavity_mm * rng.uniform(0.35, 1.1, size=2), *ANATOMY.cavity_mm)
    return BodyPlan(
        level=level,
        depth_mm=size_mm[0] * (1 + ANATOMY.depth_growth) ** steps * rng.uniform(0.98, 1.02),
        posterior_mm=size_mm[1] * (1 + ANATOMY.height_growth) ** steps * rng.uniform(0.98, 1.02),
        anterior_ratio=LEVEL_NORMS[level].anterior_ratio * (1 + draw(rng, ANATOMY.wedging)),
        cavities_mm=(float(hollow[0]), float(hollow[1])),
        cavity_centre=draw(rng, (-0.05, 0.2)),
        waists_mm=(draw(rng, ANATOMY.waist_mm), 0.6 * draw(rng, ANATOMY.waist_mm)),
        corner_mm=draw(rng, ANATOMY.corner_mm),
        ripple=tuple((draw(rng, ANATOMY.ripple_mm), k, draw(rng, (0, 6.28))) for k in (5.0, 9.0, 14.0)),
    )


@dataclass(frozen=True)
class Cut:
    """A slightly wavy fracture line: the side where ``depth`` is positive belongs to a piece."""

    normal: tuple[float, float]
    offset_mm: float
    wave_mm: float = 0.0
    phase: float = 0.0

    def depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Signed distance from the line, mm."""
        nu, nv = np.float32(self.normal[0]), np.float32(self.normal[1])
        wave = self.wave_mm * np.sin(np.float32(0.9) * (u * nv - v * nu) + np.float32(self.phase))
        return u * nu + v * nv - np.float32(self.offset_mm) + wave.astype(np.float32)

    def flipped(self) -> "Cut":
        """The same line seen from the other side."""
        return Cut((-self.normal[0], -self.normal[1]), -self.offset_mm, self.wave_mm, -self.phase)


@dataclass(frozen=True)
class Piece:
    """A part of a body, bounded by cuts and moved as a rigid whole; without cuts it is the whole body."""

    cuts: tuple[Cut, ...] = ()
    shift_mm: tuple[float, float] = (0.0, 0.0)
    turn_rad: float = 0.0
    pivot_mm: tuple[float, float] = (0.0, 0.0)
    gap_mm: float = 0.0

    def material(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the material now at (u, v) was before the piece moved."""
        if not self.cuts:
            return u, v
        cos, sin = np.float32(np.cos(self.turn_rad)), np.float32(np.sin(self.turn_rad))
        (pu, pv), (su, sv) = self.pivot_mm, self.shift_mm
        du, dv = u - np.float32(pu + su), v - np.float32(pv + sv)
        return du * cos + dv * sin + np.float32(pu), dv * cos - du * sin + np.float32(pv)

    def trim(self, depth: np.ndarray, *, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Depth within this piece, given the body's ``depth`` at material coordinates (u, v)."""
        for cut in self.cuts:
            depth = np.minimum(depth, cut.depth(u, v) - np.float32(self.gap_mm / 2))
        return depth


@dataclass(frozen=True)
class Spur:
    """An osteophyte: a tapering stroke from inside a corner to its tip, (u, v) in mm."""

    ends: tuple[tuple[float, float], tuple[float, float]]
    radii_mm: Range


@dataclass(frozen=True)
class Heights:
    """Anterior, middle and posterior height of a body in mm, and the smallest relative to the level's normal."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    ratio: float


@dataclass(frozen=True)
class BodyShape:
    """Outline of one body as tables of its four sides, plus pieces and osteophytes.

    ``top`` and ``bottom`` give ``v`` over `U_GRID_MM`, ``anterior`` and ``posterior`` give ``u`` over `V_GRID_MM`.
    `heights` are read before Schmorl nodes are pressed in, because a reader disregards those.
    """

    half_depth_mm: float
    top: np.ndarray
    bottom: np.ndarray
    anterior: np.ndarray
    posterior: np.ndarray
    corner_mm: float
    heights: Heights
    pieces: tuple[Piece, ...] = (Piece(),)
    spurs: tuple[Spur, ...] = ()

    def endplate_depths(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Depth below the upper and above the lower end plate, mm, positive inside."""
        index = _grid_index(u, grid=U_GRID_MM)
        return (v - self.top[index]) * _cosine(self.top)[index], (self.bottom[index] - v) * _cosine(self.bottom)[index]

    def wall_depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Depth behind the nearer of anterior and posterior wall, mm, positive inside."""
        index = _grid_index(v, grid=V_GRID_MM)
        front = (u - self.anterior[index]) * _cosine(self.anterior)[index]
        back = (self.posterior[index] - u) * _cosine(self.posterior)[index]
        return np.minimum(front, back)

    def depth(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Signed depth in the unbroken body without osteophytes, with rounded corners, mm."""
        return self.join(np.minimum(*self.endplate_depths(u, v)), wall=self.wall_depth(u, v))

    def join(self, plate: np.ndarray, *, wall: np.ndarray) -> np.ndarray:
        """Combine end-plate and wall depth into the body's depth, rounding the corners."""
        r = np.float32(self.corner_mm)
        rounded = r - np.hypot(np.maximum(r - plate, 0), np.maximum(r - wall, 0))
        return rounded + np.maximum(np.minimum(plate, wall) - r, 0)

    def with_spurs(self, depth: np.ndarray, *, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Unite a body depth with the osteophytes."""
        for spur in self.spurs:
            depth = np.maximum(depth, capsule_depth(u, v, ends=spur.ends, radii=spur.radii_mm))
        return depth

    def corner(self, *, posterior: bool, lower: bool) -> np.ndarray:
        """Corner (u, v) of the outline, shape (2,)."""
        u = self.half_depth_mm if posterior else -self.half_depth_mm
        return np.array([u, (self.bottom if lower else self.top)[_grid_index(np.array(u), grid=U_GRID_MM)]])

    def bone_points(self, *, step_mm: float = 0.2) -> np.ndarray:
        """Local points (n, 2) on a grid that lie in bone of the body proper, pieces where they now are."""
        axis_u = np.arange(-30, 30, step_mm, dtype=np.float32)
        u, v = np.meshgrid(axis_u, np.arange(-24, 24, step_mm, dtype=np.float32))
        inside = np.zeros(u.shape, dtype=bool)
        for piece in self.pieces:
            mu, mv = piece.material(u, v)
            inside |= piece.trim(self.depth(mu, mv), u=mu, v=mv) > 0
        return np.stack([u[inside], v[inside]], axis=-1)


def _grid_index(x: np.ndarray, *, grid: np.ndarray) -> np.ndarray:
    return np.clip((x - grid[0]) * np.float32(1 / GRID_STEP_MM) + np.float32(0.5), 0, len(grid) - 1).astype(np.intp)


def _cosine(table: np.ndarray) -> np.ndarray:
    """Cosine of the slope of a side: turns a distance along an axis into a distance from the side."""
    return (1 / np.sqrt(1 + np.gradient(table, GRID_STEP_MM) ** 2)).astype(np.float32)
