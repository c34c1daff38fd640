"""A patient's spine: bodies T8 to S3 stacked along a curve, with discs, canal and signs of wear.

The stack is built once per patient, so that every image of the patient shows the same vertebrae at the same place.
It is stacked in the sagittal plane and then bent to the side a little.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from helpers.phantom.anatomy import (
    ANATOMY,
    LEVEL_NORMS,
    LEVELS,
    BodyPlan,
    is_sacral,
    sample_body_plan,
)
from helpers.phantom.body import BodyShape, SchmorlNode, Spur
from helpers.phantom.fracture import (
    BURST_NARROWING,
    COMPRESSION_MAX_NARROWING,
    FRACTURE_MAX_RATIO,
    FRACTURES,
    NORMAL_MIN_RATIO,
    Fracture,
    fractured_body,
    intact_body,
    retropulsion_mm,
    sample_fracture,
)
from helpers.phantom.geometry import Frame, Range, draw, draw_phase, triple
from helpers.phantom.posterior import ArchBase, PosteriorPlan, sample_posterior

_ATTEMPTS = 200
#: Depth of an average adult's body at mid-lumbar level, mm: what sizes are relative to.
_MEAN_DEPTH_MM = 34.0


@dataclass(frozen=True)
class SpineRanges:
    """Ranges (low, high) of canal, discs and wear; lengths in mm."""

    canal_mm: Range = (13.5, 19.5)
    canal_width_mm: Range = (20.5, 26.5)
    disc_scale: Range = (0.8, 1.2)
    narrowed_disc: Range = (0.25, 0.7)
    lordosis: Range = (0.4, 1.6)
    l2_tilt_deg: Range = (0.0, 14.0)
    spur_mm: Range = (0.8, 5.0)
    side_spur_rate: float = 0.3
    schmorl_depth_mm: Range = (1.5, 5.0)
    schmorl_half_width_mm: Range = (2.0, 5.0)
    schmorl_rate: float = 0.05
    vacuum_rate: float = 0.3
    sclerosis_rate: float = 0.3
    sclerosis_hu: Range = (60.0, 260.0)
    slip_mm: Range = (-3.0, 3.0)
    slip_rate: float = 0.08
    side_bend_mm: Range = (0.0, 6.0)
    side_bend_length_mm: Range = (220.0, 420.0)
    axial_turn_deg: float = 2.5


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
    """One vertebra in place: measured shape, frame in the patient, disc below, canal behind, arch and processes."""

    level: str
    plan: BodyPlan
    shape: BodyShape
    fracture: Fracture | None
    canal_mm: float
    fragment_mm: float
    canal_width_mm: float
    disc: Disc
    posterior: PosteriorPlan
    frame: Frame = field(default_factory=Frame)

    @property
    def arch_base(self) -> ArchBase:
        """What the posterior elements are built on."""
        return ArchBase(
            half_depth_mm=self.shape.half_depth_mm,
            half_width_mm=self.shape.half_width_mm,
            posterior_mm=self.plan.posterior_mm,
            flatness=self.shape.flatness,
            canal_mm=self.canal_mm,
            canal_width_mm=self.canal_width_mm,
            splay_mm=self.fracture.splay_mm if self.fracture else 0.0,
            lamina_cleft=bool(self.fracture and self.fracture.lamina_cleft),
        )

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
        """The vertebra of a level such as ``"L1"``.

        Raises
        ------
        ValueError
            If the spine has no such level.
        """
        if level not in self.vertebrae:
            raise ValueError(f"level: {level!r} is none of {', '.join(self.vertebrae)}")
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
    cavity, canal = draw(rng, ANATOMY.cavity_mm), (draw(rng, SPINE.canal_mm), draw(rng, SPINE.canal_width_mm))
    wear = float(np.clip((age - 30) / 55, 0.05, 1.0)) * rng.uniform(0.5, 1.2)
    scale, lordosis = draw(rng, SPINE.disc_scale), draw(rng, SPINE.lordosis)
    vertebrae = []
    for level in LEVELS:
        disc = _sample_disc(rng, level=level, wear=wear, scale=scale, lordosis=lordosis)
        norm, jitter = LEVEL_NORMS[level], rng.uniform(0.97, 1.03, size=2)
        canal_here = (canal[0] * norm.canal[0] * jitter[0], canal[1] * norm.canal[1] * jitter[1])
        vertebra = _sample_vertebra(
            rng, level=level, size_mm=size, cavity_mm=cavity, kind=fractures.get(level), canal_mm=canal_here, disc=disc
        )
        vertebrae.append(replace(vertebra, shape=_wear_shape(rng, vertebra=vertebra, wear=wear)))
    return Spine(_bend(_stack(vertebrae, tilt_rad=np.deg2rad(draw(rng, SPINE.l2_tilt_deg))), rng=rng))


def _sample_vertebra(
    rng: np.random.Generator,
    *,
    level: str,
    size_mm: tuple[float, float],
    cavity_mm: float,
    kind: str | None,
    canal_mm: tuple[float, float],
    disc: Disc,
) -> Vertebra:
    """Draw bodies until the measured one belongs to the wanted class: labels follow the measurement."""
    for _ in range(_ATTEMPTS):
        plan = sample_body_plan(rng, level=level, size_mm=size_mm, cavity_mm=cavity_mm)
        fracture = sample_fracture(rng, kind=kind) if kind else None
        if fracture:
            shape = fractured_body(plan, fracture, rng=rng, canal_mm=canal_mm[0])
        else:
            slants = (draw(rng, FRACTURES.intact_slant_mm), draw(rng, FRACTURES.intact_slant_mm))
            shape = intact_body(plan, slants_mm=slants)
        vertebra = Vertebra(
            level=level,
            plan=plan,
            shape=shape,
            fracture=fracture,
            canal_mm=canal_mm[0],
            canal_width_mm=canal_mm[1],
            fragment_mm=retropulsion_mm(shape) if fracture else 0.0,
            disc=disc,
            posterior=sample_posterior(rng, level=level, size=plan.depth_mm / _MEAN_DEPTH_MM),
        )
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
    sacral = is_sacral(level)
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
    if is_sacral(vertebra.level):
        return shape
    chronic = vertebra.fracture is not None and not vertebra.fracture.acute
    spurs = []
    for posterior in (False, True):
        rate = (0.25 if posterior else 0.7) * wear + (0.2 if chronic and not posterior else 0.0)
        for lower in (False, True):
            if rng.random() < rate:
                spurs.append(_sample_spur(rng, shape=shape, posterior=posterior, lower=lower))
    pressed = [lower for lower in (False, True) if rng.random() < SPINE.schmorl_rate]
    nodes = [_sample_node(rng, shape=shape, lower=lower) for lower in pressed]
    return replace(shape, spurs=tuple(spurs), nodes=tuple(nodes))


def _sample_spur(rng: np.random.Generator, *, shape: BodyShape, posterior: bool, lower: bool) -> Spur:
    """A ridge along the front or the back rim; those in front may also sit at a side."""
    out, down = (1 if posterior else -1), (1 if lower else -1)
    u, v = shape.corner(posterior=posterior, lower=lower)
    length = draw(rng, SPINE.spur_mm) * (0.5 if posterior else 1.0) * rng.beta(1.5, 1.5)
    rise = down * length * rng.uniform(-0.3, 0.5)
    if not posterior and rng.random() < SPINE.side_spur_rate:
        side = float(rng.choice([-1.0, 1.0]))
        w = side * shape.half_width_mm
        root, tip = (w - 2.0 * side, 0.0, v - down * 2.0), (w + length * side, 0.0, v + rise)
        squeeze = (1.0, 0.25)
    else:
        middle = rng.normal(0, 4.0) * 0.25
        root, tip = (middle, u - out * 2.0, v - down * 2.0), (middle, u + out * length, v + rise)
        squeeze = (0.25, 1.0)
    return Spur((triple(root), triple(tip)), (2.0, 0.6), squeeze)


def _sample_node(rng: np.random.Generator, *, shape: BodyShape, lower: bool) -> SchmorlNode:
    centre = (rng.normal(0, 4.0), draw(rng, (-0.45, 0.5)) * shape.half_depth_mm)
    width = draw(rng, SPINE.schmorl_half_width_mm)
    return SchmorlNode(lower, (float(centre[0]), float(centre[1])), width, draw(rng, SPINE.schmorl_depth_mm))


def _stack(vertebrae: list[Vertebra], *, tilt_rad: float) -> list[Vertebra]:
    """Give every vertebra its frame in the sagittal plane: L2 lies at the origin, the others follow the discs."""
    anchor = LEVELS.index("L2")
    placed = {anchor: replace(vertebrae[anchor], frame=Frame(sagittal_rad=float(tilt_rad)))}
    for i in range(anchor, len(vertebrae) - 1):
        placed[i + 1] = _place(vertebrae[i + 1], beside=placed[i], below=True)
    for i in range(anchor, 0, -1):
        placed[i - 1] = _place(vertebrae[i - 1], beside=placed[i], below=False)
    return [placed[i] for i in range(len(vertebrae))]


def _place(vertebra: Vertebra, *, beside: Vertebra, below: bool) -> Vertebra:
    """Put a vertebra next to a placed one, across the disc between them."""
    disc = beside.disc if below else vertebra.disc
    sign = 1 if below else -1
    slope_here, middle_here = _plate_line(vertebra.shape, lower=not below)
    slope_there, middle_there = _plate_line(beside.shape, lower=below)
    plate = beside.frame.sagittal_rad + slope_there
    angle = plate + sign * disc.angle_rad - slope_here
    across = plate + sign * disc.angle_rad / 2
    step = Frame(sagittal_rad=across).to_patient(np.array([0.0, disc.slip_mm, disc.height_mm]))
    origin = beside.frame.to_patient(middle_there) + sign * step - Frame(sagittal_rad=angle).to_patient(middle_here)
    return replace(vertebra, frame=Frame(triple(origin), sagittal_rad=float(angle)))


def _plate_line(shape: BodyShape, *, lower: bool) -> tuple[float, np.ndarray]:
    """Slope (rad) and middle (w, u, v) of the line through the two midline corners of an end plate."""
    front, back = (shape.corner(posterior=side, lower=lower) for side in (False, True))
    du, dv = back - front
    return float(np.arctan2(dv, du)), np.array([0.0, *((front + back) / 2)])


def _bend(vertebrae: list[Vertebra], *, rng: np.random.Generator) -> dict[str, Vertebra]:
    """Bend the stack to the side along a wave, each vertebra square to it, and turn each a little about its axis."""
    amplitude, length = draw(rng, SPINE.side_bend_mm), draw(rng, SPINE.side_bend_length_mm)
    phase, wave = draw_phase(rng), 2 * np.pi / length
    bent = {}
    for vertebra in vertebrae:
        _, p, c = vertebra.frame.origin_mm
        place = wave * c + phase
        frame = replace(
            vertebra.frame,
            origin_mm=triple((amplitude * np.sin(place), p, c)),
            coronal_rad=float(-np.arctan(amplitude * wave * np.cos(place))),
            axial_rad=float(np.deg2rad(rng.uniform(-1, 1) * SPINE.axial_turn_deg)),
        )
        bent[vertebra.level] = replace(vertebra, frame=frame)
    return bent
