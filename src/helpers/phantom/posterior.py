"""What a vertebra has behind its body: sizes of pedicles, laminae, facets and processes, and where ribs touch.

Lengths are in mm. The solids that are made of a plan are those of `helpers.phantom.arch`.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from helpers.phantom.anatomy import is_sacral
from helpers.phantom.geometry import Range, Triple, draw

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

    pedicle_mm: tuple[float, float]
    lamina: tuple[float, float]
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

    size: float
    pedicle_mm: tuple[float, float]
    lamina: tuple[float, float]
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
    lean = draw(rng, ranges.lamina_lean_deg) * (_SACRAL_LEAN if is_sacral(level) else 1.0)
    return PosteriorPlan(
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


def _sample_pedicle(rng: np.random.Generator, *, norm: PosteriorNorm, size: float) -> tuple[float, float]:
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
class ArchBase:
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
    flatness: float
    splay_mm: float = 0.0
    lamina_cleft: bool = False

    @property
    def half_canal_mm(self) -> float:
        """Where the pedicles' medial walls stand."""
        return (self.canal_width_mm + self.splay_mm) / 2

    @property
    def roof_mm(self) -> float:
        """Where the canal ends posteriorly."""
        return self.half_depth_mm + self.canal_mm
