"""Scanner families and the fleet of installed scanners, each with habits of its own.

All scanners are invented: manufacturer names begin with SIM. Kernel widths put the 50 % modulation transfer at about
3 (soft) to 8 (sharp) line pairs per cm and the peak of the noise power at about 0.2 to 0.7 cycles/mm. Scanners differ
in calibration by a few HU, and in bone by more than their repeatability (Carpenter et al. 2014,
doi 10.1016/j.medengphy.2014.06.010).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import ndtri

from helpers.phantom.geometry import Range

Option = TypeVar("Option")


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel: PSF sigma (mm), edge enhancement, noise (HU at 1.5 mm, 200 mAs and 120 kV)."""

    name: str
    psf_mm: Range
    enhancement: Range
    noise_hu: Range


@dataclass(frozen=True)
class ScannerFamily:
    """A scanner model: the settings it offers, and what is fixed by its build; lengths in mm.

    ``aperture_mm`` is the sigma of focal spot and detector blur, ``overlap`` the share by which neighbouring slices
    overlap, ``window`` the display window (centre, width) it writes, ``weight`` its share of patients.
    """

    manufacturer: str
    model: str
    kernels: tuple[Kernel, ...]
    kvp: tuple[int, ...]
    slice_mm: tuple[float, ...]
    overlap: float
    reformat_mm: tuple[float, ...]
    pixel_mm: Range
    aperture_mm: float
    window: tuple[int, int]
    weight: float


def _soft(name: str) -> Kernel:
    return Kernel(name, psf_mm=(0.50, 0.70), enhancement=(0.0, 0.1), noise_hu=(3, 11))


def _standard(name: str) -> Kernel:
    return Kernel(name, psf_mm=(0.36, 0.55), enhancement=(0.0, 0.3), noise_hu=(5, 18))


def _sharp(name: str) -> Kernel:
    return Kernel(name, psf_mm=(0.25, 0.38), enhancement=(0.3, 0.9), noise_hu=(12, 32))


FAMILIES = (
    ScannerFamily(
        manufacturer="SIM Aurora",
        model="Meridian 64",
        kernels=(_soft("B31"), _sharp("B60")),
        kvp=(120,),
        slice_mm=(1.0, 1.5, 3.0),
        overlap=0.3,
        reformat_mm=(1.0, 2.0),
        pixel_mm=(0.40, 0.75),
        aperture_mm=0.15,
        window=(400, 1800),
        weight=0.30,
    ),
    ScannerFamily(
        manufacturer="SIM Borealis",
        model="Helix 16",
        kernels=(_standard("STD"), _sharp("BONE")),
        kvp=(120, 140),
        slice_mm=(1.25, 2.5),
        overlap=0.2,
        reformat_mm=(2.0, 3.0),
        pixel_mm=(0.50, 0.85),
        aperture_mm=0.17,
        window=(350, 2000),
        weight=0.25,
    ),
    ScannerFamily(
        manufacturer="SIM Corvus",
        model="Prime 128",
        kernels=(_standard("FC30"), _soft("FC08")),
        kvp=(100, 120),
        slice_mm=(1.0, 2.0),
        overlap=0.2,
        reformat_mm=(1.0, 2.0),
        pixel_mm=(0.35, 0.70),
        aperture_mm=0.15,
        window=(450, 1600),
        weight=0.25,
    ),
    ScannerFamily(
        manufacturer="SIM Delphin",
        model="Spectra 256",
        kernels=(_soft("B"), _standard("C"), _sharp("D")),
        kvp=(100, 120),
        slice_mm=(0.75, 1.0, 2.0),
        overlap=0.5,
        reformat_mm=(1.0, 2.0),
        pixel_mm=(0.35, 0.60),
        aperture_mm=0.13,
        window=(500, 2000),
        weight=0.20,
    ),
)


@dataclass(frozen=True)
class Scanner:
    """One installed scanner: its site's favourite settings, and where in each range the site usually works (0 to 1).

    ``calibration`` is its HU offset in standard deviations between scanners.
    """

    station: str
    family: ScannerFamily
    kernel: Kernel
    kvp: int
    slice_mm: float
    reformat_mm: float
    calibration: float
    pixel_level: float
    sharpness_level: float
    noise_level: float
    dose_level: float
    field_level: float


_HABITS = 10  # fields of a Scanner that a level decides


def sample_fleet(rng: np.random.Generator, *, per_family: int = 2) -> tuple[Scanner, ...]:
    """Install ``per_family`` scanners of every family, families in turn, so that the first four all differ in model.

    Every habit is spread evenly over the fleet (a Latin hypercube), so that a small fleet has no lean of its own.

    Raises
    ------
    ValueError
        If ``per_family`` is below 1.
    """
    if per_family < 1:
        raise ValueError(f"per_family: {per_family} is below 1")
    families = FAMILIES * per_family
    strata = (np.arange(len(families)) + 0.5) / len(families)
    habits = np.stack([rng.permutation(strata) for _ in range(_HABITS)], axis=1).tolist()
    return tuple(
        _install(f"SIMCT{i:02d}", family=family, levels=levels)
        for i, (family, levels) in enumerate(zip(families, habits, strict=True), start=1)
    )


def _install(station: str, *, family: ScannerFamily, levels: Sequence[float]) -> Scanner:
    kernel, kvp, slice_mm, reformat, calibration, pixel, sharpness, noise, dose, field = levels
    return Scanner(
        station,
        family,
        kernel=_pick(family.kernels, level=kernel),
        kvp=_pick(family.kvp, level=kvp),
        slice_mm=_pick(family.slice_mm, level=slice_mm),
        reformat_mm=_pick(family.reformat_mm, level=reformat),
        calibration=float(ndtri(calibration)),
        pixel_level=pixel,
        sharpness_level=sharpness,
        noise_level=noise,
        dose_level=dose,
        field_level=field,
    )


def _pick(options: Sequence[Option], *, level: float) -> Option:
    return options[int(level * len(options))]


#: The eight scanners of the default cohort. Another seed makes the hospitals of an external cohort.
FLEET = sample_fleet(np.random.default_rng(2024))
