"""What tissues weigh on CT: a patient's palette in HU, and the texture of trabecular bone.

The ranges are modelling ranges (issue 4): trabecular 20-260 HU falling with age, cortex 280-850 HU and 0.3-1.1 mm
thick, posterior elements 350-1000 HU, disc 55-115 HU, vessels 30-60 HU or 90-280 HU with contrast medium.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from helpers.phantom.anatomy import GRID_STEP_MM, U_GRID_MM, V_GRID_MM
from helpers.phantom.geometry import Range, draw

TEXTURE_STEP_MM = 0.35


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
    """Two unit-variance fields over a body's local plane: fine trabeculae and patches of density.

    Arrays are indexed (v, u) at `TEXTURE_STEP_MM` over the extent of the body grids.
    """

    fine: np.ndarray
    patches: np.ndarray

    def at(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of both fields nearest to local coordinates in mm."""
        inverse = np.float32(1 / TEXTURE_STEP_MM)
        column = np.clip((u - U_GRID_MM[0]) * inverse, 0, self.fine.shape[1] - 1).astype(np.intp)
        row = np.clip((v - V_GRID_MM[0]) * inverse, 0, self.fine.shape[0] - 1).astype(np.intp)
        return self.fine[row, column], self.patches[row, column]


def bone_texture(*, seed: tuple[int, ...], grain_mm: float, offset_mm: float) -> Texture:
    """Texture of one body at a parasagittal offset.

    Planes of the same body share a mid-plane field whose weight falls off within about 3 mm, so that two images of
    one patient look alike without being copies.

    Parameters
    ----------
    seed
        Integers that name the body (patient entropy, level index).
    """
    shape = tuple(int(len(grid) * GRID_STEP_MM / TEXTURE_STEP_MM) for grid in (V_GRID_MM, U_GRID_MM))
    middle = _fields(np.random.default_rng(seed), shape=shape, grain_mm=grain_mm)
    if offset_mm == 0:
        return Texture(*middle)
    shared = np.float32(np.exp(-abs(offset_mm) / 3.0))
    plane = _fields(np.random.default_rng((*seed, round(1000 * (offset_mm + 50)))), shape=shape, grain_mm=grain_mm)
    return Texture(*(shared * m + np.sqrt(1 - shared**2) * p for m, p in zip(middle, plane, strict=True)))


def _fields(rng: np.random.Generator, *, shape: tuple[int, ...], grain_mm: float) -> tuple[np.ndarray, np.ndarray]:
    grain = grain_mm / TEXTURE_STEP_MM
    white = rng.standard_normal(shape, dtype=np.float32)
    # Load-bearing trabeculae run vertically.
    vertical = gaussian_filter(white, (1.5 * grain, 0.8 * grain), truncate=3.0)
    coarse = rng.standard_normal((shape[0] // 6 + 2, shape[1] // 6 + 2), dtype=np.float32)
    patches = stretch(gaussian_filter(coarse, 1.2), shape=shape)
    return vertical / vertical.std(), patches / patches.std()


def stretch(field: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    """Resample a coarse 2-D field bilinearly to ``shape``, corner to corner."""
    for axis, size in enumerate(shape):
        place = np.linspace(0, field.shape[axis] - 1, size)
        low = np.minimum(place.astype(np.intp), field.shape[axis] - 2)
        weight = np.expand_dims((place - low).astype(np.float32), 1 - axis)
        field = np.take(field, low, axis=axis) * (1 - weight) + np.take(field, low + 1, axis=axis) * weight
    return field
