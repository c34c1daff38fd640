"""What tissues weigh on CT: a patient's palette in HU, and the texture of trabecular bone.

The ranges are modelling ranges: trabecular 20-260 HU falling with age, cortex 280-850 HU and 0.3-1.1 mm
thick, posterior elements 350-1000 HU, disc 55-115 HU, vessels 30-60 HU or 90-280 HU with contrast medium.
"""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.canvas import Field, random_field
from helpers.phantom.geometry import Range, draw


@dataclass(frozen=True)
class TissueRanges:
    """Ranges (low, high) in HU, thicknesses in mm."""

    trabecular: Range = (20.0, 260.0)
    texture: Range = (0.12, 0.40)
    cortex: Range = (280.0, 850.0)
    cortex_mm: Range = (0.3, 1.1)
    posterior_cortex: Range = (350.0, 1000.0)
    posterior_cortex_mm: Range = (1.0, 2.2)
    disc: Range = (55.0, 115.0)
    muscle: Range = (35.0, 65.0)
    fat: Range = (-115.0, -80.0)
    sac: Range = (12.0, 38.0)
    vessel: Range = (30.0, 60.0)
    vessel_enhanced: Range = (90.0, 280.0)
    contrast_rate: float = 0.3


TISSUES = TissueRanges()


@dataclass(frozen=True)
class Tissue:
    """One patient's palette: HU of each tissue, thicknesses in mm, relative texture of the spongiosa."""

    trabecular: float
    texture: float
    texture_grain_mm: float
    cortex: float
    plate_mm: float
    wall_mm: float
    posterior_cortex: float
    posterior_cortex_mm: float
    disc: float
    muscle: float
    fat: float
    sac: float
    vessel: float
    contrast: bool


def sample_tissue(rng: np.random.Generator, *, age: float, sex: str, fragile: bool) -> Tissue:
    """Draw a palette; bone thins out with age, more so in women and in ``fragile`` patients."""
    mean = 245 - 2.2 * (age - 20) - (14 if sex == "F" and age > 52 else 0) - (14 if fragile else 0)
    trabecular = float(np.clip(rng.normal(mean, 32), *TISSUES.trabecular))
    # Dense patients have dense shells: the cortex follows the spongiosa loosely.
    density = np.clip(0.5 * (trabecular - 20) / 240 + 0.5 * rng.random(), 0, 1)
    contrast = bool(rng.random() < TISSUES.contrast_rate)
    return Tissue(
        trabecular=trabecular,
        texture=draw(rng, TISSUES.texture),
        texture_grain_mm=draw(rng, (0.4, 0.9)),
        cortex=TISSUES.cortex[0] + float(density) * (TISSUES.cortex[1] - TISSUES.cortex[0]),
        plate_mm=draw(rng, TISSUES.cortex_mm),
        wall_mm=draw(rng, TISSUES.cortex_mm),
        posterior_cortex=draw(rng, TISSUES.posterior_cortex),
        posterior_cortex_mm=draw(rng, TISSUES.posterior_cortex_mm),
        disc=draw(rng, TISSUES.disc),
        muscle=draw(rng, TISSUES.muscle),
        fat=draw(rng, TISSUES.fat),
        sac=draw(rng, TISSUES.sac),
        vessel=draw(rng, TISSUES.vessel_enhanced if contrast else TISSUES.vessel),
        contrast=contrast,
    )


@dataclass(frozen=True)
class Texture:
    """A patient's bone texture in space, two fields of unit variance: fine trabeculae and patches of density."""

    fine: Field
    patches: Field


def sample_texture(rng: np.random.Generator, *, grain_mm: float) -> Texture:
    """Draw a texture with trabeculae about ``grain_mm`` wide; load-bearing ones run along the body's axis."""
    across, along = 0.8 * grain_mm, 1.5 * grain_mm
    fine = random_field(rng, extent_mm=(24.0, 46.0, 62.0), step_mm=(0.6, 0.5, 0.5), length_mm=(across, across, along))
    patches = random_field(rng, extent_mm=(40.0, 60.0, 90.0), step_mm=(2.0, 2.0, 2.0), length_mm=2.5)
    return Texture(fine, patches)
