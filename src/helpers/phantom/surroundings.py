"""The soft tissue around a patient's spine, as numbers: vessels and plaques, lungs, kidneys, bowel, fat, muscles.

Sizes are modelling choices for plausible adults.
"""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.canvas import Field, random_field
from helpers.phantom.geometry import Range, Triple, draw

#: What a loop of bowel may hold, HU: gas, water, oral contrast medium.
GAS, WATER, _ORAL_CONTRAST = -950.0, 15.0, 220.0


@dataclass(frozen=True)
class BackgroundRanges:
    """Ranges (low, high) of the surroundings; lengths in mm, attenuation in HU."""

    prevertebral_mm: Range = (2.0, 6.0)
    aorta_left_mm: Range = (6.0, 18.0)
    aorta_gap_mm: Range = (0.5, 4.0)
    aorta_mm: Range = (14.0, 24.0)
    cava_mm: Range = (16.0, 26.0)
    plaque_hu: Range = (250.0, 900.0)
    lung_hu: Range = (-880.0, -780.0)
    lung_end_mm: Range = (-35.0, 10.0)
    lung_reach: Range = (-1.7, 1.0)
    subcutaneous_mm: Range = (8.0, 45.0)
    erector_mm: Range = (58.0, 72.0)
    psoas_mm: Range = (13.0, 21.0)
    epidural_fat: Range = (0.4, 1.0)
    bowel_radius_mm: Range = (6.0, 18.0)
    bowel_count: int = 10


BACKGROUND = BackgroundRanges()


@dataclass(frozen=True)
class Bowel:
    """One loop: its place left of the midline, before the spine and along it, radii (x, p, c) in mm, content in HU.

    ``level`` is where gas ends over fluid as a fraction of the radius towards posterior: 1 is all gas, as patients
    lie on their backs.
    """

    left_mm: float
    before_mm: float
    c_mm: float
    radii_mm: Triple
    hu: float
    level: float


@dataclass(frozen=True)
class Plaque:
    """Calcification in the aorta's wall: place along it, direction around it, length."""

    c_mm: float
    angle_rad: float
    length_mm: float


@dataclass(frozen=True)
class Surroundings:
    """One patient's soft tissue, fixed in the patient's space; lengths in mm.

    ``viscera`` shapes organs and makes every border wavy, ``streaks`` is the grain of muscles.
    """

    prevertebral_mm: float
    aorta_left_mm: float
    aorta_gap_mm: float
    aorta_mm: float
    cava_mm: float
    plaques: tuple[Plaque, ...]
    plaque_hu: float
    lung_hu: float
    lung_end_mm: float
    lung_reach: float
    subcutaneous_mm: float
    erector_mm: float
    psoas_mm: float
    kidney_c_mm: tuple[float, float]
    epidural_fat: float
    visceral_fat: float
    muscle_fat: float
    bowel: tuple[Bowel, ...]
    viscera: Field
    streaks: Field


def sample_surroundings(rng: np.random.Generator, *, age: float) -> Surroundings:
    """Draw the soft tissue around one spine; plaques and fatty muscle grow with age (years)."""
    older = float(np.clip((age - 40) / 45, 0, 1))
    ranges = {name: bounds for name, bounds in vars(BACKGROUND).items() if name in Surroundings.__dataclass_fields__}
    return Surroundings(
        **{name: draw(rng, bounds) for name, bounds in ranges.items()},
        plaques=tuple(_sample_plaque(rng) for _ in range(rng.poisson(12 * older))),
        kidney_c_mm=(draw(rng, (-15, 15)), draw(rng, (-30, 5))),
        visceral_fat=draw(rng, (-0.6, 0.9)),
        muscle_fat=draw(rng, (-0.2, 0.5)) + 0.9 * older,
        bowel=tuple(_sample_bowel(rng) for _ in range(rng.integers(BACKGROUND.bowel_count + 1))),
        viscera=random_field(rng, extent_mm=(160, 160, 160), step_mm=(4, 4, 4), length_mm=6.0),
        streaks=random_field(rng, extent_mm=(96, 96, 160), step_mm=(2, 2, 5), length_mm=(2.2, 2.2, 9.0)),
    )


def _sample_plaque(rng: np.random.Generator) -> Plaque:
    return Plaque(draw(rng, (-250, 0)), draw(rng, (0, 2 * np.pi)), draw(rng, (1.5, 9.0)))


def _sample_bowel(rng: np.random.Generator) -> Bowel:
    hu = rng.choice([GAS, WATER, _ORAL_CONTRAST], p=[0.5, 0.38, 0.12])
    rx, rp, rc = (draw(rng, BACKGROUND.bowel_radius_mm) for _ in range(3))
    place = draw(rng, (-60, 60)), draw(rng, (36, 75)), draw(rng, (-40, 170))
    return Bowel(*place, (rx, rp, rc), float(hu), draw(rng, (-0.4, 1.2)))
