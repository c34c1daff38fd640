"""A patient's spine: bodies T8 to S3 stacked along a curve, with discs, canal and signs of wear.

The stack is built once per patient, so that every image of the patient shows the same vertebrae at the same place.
Bodies are extruded: within the few millimetres of parasagittal offset used here their outline does not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from helpers.phantom.anatomy import (
    ANATOMY,
    LEVEL_NORMS,
    LEVELS,
    U_GRID_MM,
    BodyPlan,
    BodyShape,
    Spur,
    sample_body_plan,
)
from helpers.phantom.fracture import (
    BURST_NARROWING,
    COMPRESSION_MAX_NARROWING,
    FRACTURE_MAX_RATIO,
    NORMAL_MIN_RATIO,
    Fracture,
    fractured_body,
    intact_body,
    retropulsion_mm,
    sample_fracture,
)
from helpers.phantom.geometry import Frame, Range, draw

_ATTEMPTS = 200


@dataclass(frozen=True)
class SpineRanges:
    """Ranges (low, high) of canal, discs and wear; lengths in mm."""

    canal_mm: Range = (13.5, 19.5)
    disc_scale: Range = (0.8, 1.2)
    narrowed_disc: Range = (0.25, 0.7)
    lordosis: Range = (0.5, 1.25)
    l2_tilt_deg: Range = (0.0, 14.0)
    spur_mm: Range = (0.8, 5.0)
    schmorl_depth_mm: Range = (1.5, 5.0)
    schmorl_half_width_mm: Range = (2.0, 5.0)
    schmorl_rate: float = 0.05
    vacuum_rate: float = 0.3
    sclerosis_rate: float = 0.3
    sclerosis_hu: Range = (60.0, 260.0)
    slip_mm: Range = (-3.0, 3.0)
    slip_rate: float = 0.08


SPINE = SpineRanges()


@dataclass(frozen=True)
class Disc:
    """The disc below a body: height in mm, worn or not, gas cleft, sclerosis (HU) of the plates beside it."""

    height_mm: float
    angle_rad: float
    slip_mm: float
    worn: bool
    vacuum: bool
    sclerosis_hu: float


@dataclass(frozen=True)
class Vertebra:
    """One vertebra in place: measured shape, frame in the patient's plane, disc below, canal behind."""

    level: str
    plan: BodyPlan
    shape: BodyShape
    fracture: Fracture | None
    canal_mm: float
    fragment_mm: float
    disc: Disc
    frame: Frame

    @property
    def label(self) -> str:
        """Class letter by measurement: A compression, B burst, C normal (not the AO letters).

        Raises
        ------
        ValueError
            If the body lies in the band that no class covers.
        """
        ratio, narrowing = self.shape.heights.ratio, self.narrowing
        if ratio >= NORMAL_MIN_RATIO and narrowing <= COMPRESSION_MAX_NARROWING:
            return "C"
        if ratio <= FRACTURE_MAX_RATIO and narrowing <= COMPRESSION_MAX_NARROWING:
            return "A"
        if ratio <= FRACTURE_MAX_RATIO and BURST_NARROWING[0] <= narrowing <= BURST_NARROWING[1]:
            return "B"
        raise ValueError(f"{self.level}: height ratio {ratio:.3f} with canal narrowing {narrowing:.3f} fits no class")

    @property
    def narrowing(self) -> float:
        """Fraction of the canal's depth taken by bone behind the posterior wall line."""
        return self.fragment_mm / self.canal_mm


@dataclass(frozen=True)
class Spine:
    """Vertebrae by level, cranial first."""

    vertebrae: Mapping[str, Vertebra]

    def at(self, level: str) -> Vertebra:
        """The vertebra of a level such as ``"L1"``."""
        return self.vertebrae[level]

    def neighbours_fractured(self, level: str) -> int:
        """How many of the two adjacent vertebrae are fractured (0, 1 or 2)."""
        index = LEVELS.index(level)
        beside = [LEVELS[i] for i in (index - 1, index + 1) if 0 <= i < len(LEVELS)]
        return sum(self.vertebrae[name].fracture is not None for name in beside)


def sample_spine(rng: np.random.Generator, *, age: float, sex: str, fractures: Mapping[str, str]) -> Spine:
    """Draw a spine in which exactly the levels of ``fractures`` (level -> "A" or "B") are broken.

    Parameters
    ----------
    age
        Years; wear grows with it.
    sex
        ``"F"`` or ``"M"``; men's bodies are larger.
    """
    larger = 0.9 if sex == "M" else -0.9
    size = (draw(rng, ANATOMY.depth_mm) + larger, draw(rng, ANATOMY.height_mm) + 0.6 * larger)
    cavity, canal = draw(rng, ANATOMY.cavity_mm), draw(rng, SPINE.canal_mm)
    wear = float(np.clip((age - 30) / 55, 0.05, 1.0)) * rng.uniform(0.5, 1.2)
    scale, lordosis = draw(rng, SPINE.disc_scale), draw(rng, SPINE.lordosis)
    vertebrae = []
    for level in LEVELS:
        disc = _sample_disc(rng, level=level, wear=wear, scale=scale, lordosis=lordosis)
        canal_here = canal * rng.uniform(0.97, 1.03)
        vertebra = _sample_vertebra(
            rng, level=level, size_mm=size, cavity_mm=cavity, kind=fractures.get(level), canal_mm=canal_here, disc=disc
        )
        vertebrae.append(replace(vertebra, shape=_wear_shape(rng, vertebra=vertebra, wear=wear)))
    return Spine(_stack(vertebrae, tilt_rad=np.deg2rad(draw(rng, SPINE.l2_tilt_deg))))


def _sample_vertebra(
    rng: np.random.Generator,
    *,
    level: str,
    size_mm: tuple[float, float],
    cavity_mm: float,
    kind: str | None,
    canal_mm: float,
    disc: Disc,
) -> Vertebra:
    """Draw bodies until the measured one belongs to the wanted class: labels follow the measurement."""
    for _ in range(_ATTEMPTS):
        plan = sample_body_plan(rng, level=level, size_mm=size_mm, cavity_mm=cavity_mm)
        fracture = sample_fracture(rng, kind=kind) if kind else None
        shape = fractured_body(plan, fracture, rng=rng, canal_mm=canal_mm) if fracture else intact_body(plan)
        fragment = retropulsion_mm(shape) if fracture else 0.0
        vertebra = Vertebra(level, plan, shape, fracture, canal_mm, fragment, disc, Frame(0, 0, 0))
        if _has_label(vertebra, label=kind or "C"):
            return vertebra
    raise RuntimeError(f"{level}: no body of class {kind or 'C'} in {_ATTEMPTS} draws; widen the modelling ranges")


def _has_label(vertebra: Vertebra, *, label: str) -> bool:
    try:
        return vertebra.label == label
    except ValueError:
        return False


def _sample_disc(rng: np.random.Generator, *, level: str, wear: float, scale: float, lordosis: float) -> Disc:
    norm = LEVEL_NORMS[level]
    sacral = level.startswith("S")
    worn = not sacral and rng.random() < 0.1 + 0.5 * wear
    height = norm.disc_mm * (scale if not sacral else 1) * (draw(rng, SPINE.narrowed_disc) if worn else 1.0)
    return Disc(
        height_mm=max(height, 1.0 if sacral else 1.8),
        angle_rad=float(np.deg2rad(norm.disc_angle_deg * lordosis * (0.5 if worn else 1.0))),
        slip_mm=draw(rng, SPINE.slip_mm) if worn and rng.random() < SPINE.slip_rate else 0.0,
        worn=bool(worn),
        vacuum=bool(worn and rng.random() < SPINE.vacuum_rate),
        sclerosis_hu=draw(rng, SPINE.sclerosis_hu) if worn and rng.random() < SPINE.sclerosis_rate else 0.0,
    )


def _wear_shape(rng: np.random.Generator, *, vertebra: Vertebra, wear: float) -> BodyShape:
    """Add osteophytes and Schmorl nodes: mimics that leave the measured heights alone."""
    shape = vertebra.shape
    if vertebra.level.startswith("S"):
        return shape
    chronic = vertebra.fracture is not None and not vertebra.fracture.acute
    spurs = []
    for posterior in (False, True):
        rate = (0.25 if posterior else 0.7) * wear + (0.2 if chronic and not posterior else 0.0)
        for lower in (False, True):
            if rng.random() < rate:
                spurs.append(_sample_spur(rng, shape=shape, posterior=posterior, lower=lower))
    top = shape.top + _schmorl(rng, half_depth_mm=shape.half_depth_mm)
    bottom = shape.bottom - _schmorl(rng, half_depth_mm=shape.half_depth_mm)
    return replace(shape, spurs=tuple(spurs), top=top.astype(np.float32), bottom=bottom.astype(np.float32))


def _sample_spur(rng: np.random.Generator, *, shape: BodyShape, posterior: bool, lower: bool) -> Spur:
    out, down = (1 if posterior else -1), (1 if lower else -1)
    corner = shape.corner(posterior=posterior, lower=lower)
    length = draw(rng, SPINE.spur_mm) * (0.5 if posterior else 1.0) * rng.beta(1.5, 1.5)
    root = corner + (-out * 2.0, -down * 2.0)
    tip = corner + (out * length, down * length * rng.uniform(-0.3, 0.5))
    return Spur(((float(root[0]), float(root[1])), (float(tip[0]), float(tip[1]))), (2.0, 0.6))


def _schmorl(rng: np.random.Generator, *, half_depth_mm: float) -> np.ndarray:
    """Depth in mm over `U_GRID_MM` of a node pressed into an end plate; all zero for most plates."""
    present, depth = rng.random() < SPINE.schmorl_rate, draw(rng, SPINE.schmorl_depth_mm)
    centre, width = draw(rng, (-0.45, 0.5)) * half_depth_mm, draw(rng, SPINE.schmorl_half_width_mm)
    away = U_GRID_MM - centre
    away = np.abs(away) / (width * np.where(away > 0, rng.uniform(0.6, 1.4), 1.0))
    return present * depth * np.exp(-(away ** rng.uniform(1.8, 3.5)))


def _stack(vertebrae: list[Vertebra], *, tilt_rad: float) -> dict[str, Vertebra]:
    """Give every vertebra its frame: L2 lies at the origin, the others follow along the discs."""
    anchor = LEVELS.index("L2")
    placed = {anchor: replace(vertebrae[anchor], frame=Frame(0.0, 0.0, float(tilt_rad)))}
    for i in range(anchor, len(vertebrae) - 1):
        placed[i + 1] = _place(vertebrae[i + 1], beside=placed[i], below=True)
    for i in range(anchor, 0, -1):
        placed[i - 1] = _place(vertebrae[i - 1], beside=placed[i], below=False)
    return {LEVELS[i]: placed[i] for i in range(len(vertebrae))}


def _place(vertebra: Vertebra, *, beside: Vertebra, below: bool) -> Vertebra:
    """Put a vertebra next to a placed one, across the disc between them."""
    disc = beside.disc if below else vertebra.disc
    sign = 1 if below else -1
    slope_here, middle_here = _plate_line(vertebra.shape, lower=not below)
    slope_there, middle_there = _plate_line(beside.shape, lower=below)
    plate = beside.frame.angle_rad + slope_there
    angle = plate + sign * disc.angle_rad - slope_here
    across = plate + sign * disc.angle_rad / 2
    step = Frame(0.0, 0.0, across).to_plane(np.array([disc.slip_mm, disc.height_mm]))
    origin = beside.frame.to_plane(middle_there) + sign * step - Frame(0.0, 0.0, angle).to_plane(middle_here)
    return replace(vertebra, frame=Frame(float(origin[0]), float(origin[1]), float(angle)))


def _plate_line(shape: BodyShape, *, lower: bool) -> tuple[float, np.ndarray]:
    """Slope (rad) and middle (u, v) of the line through the two corners of an end plate."""
    front, back = (shape.corner(posterior=side, lower=lower) for side in (False, True))
    du, dv = back - front
    return float(np.arctan2(dv, du)), (front + back) / 2
