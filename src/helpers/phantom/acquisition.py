"""The scanner's part: families with kernels and dose, blur, correlated noise, and the stored pixel grid.

All scanners are invented (manufacturer names begin with SIM) and are drawn independently of class, so that no
acquisition attribute reveals a label. Ranges are modelling ranges (issue 4): slice 0.75-3 mm, PSF sigma 0.25-0.7 mm,
pixel 0.35-0.85 mm, noise 2-40 HU.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from helpers.phantom.geometry import Range, draw

AIR_HU = -1024
MAX_HU = 3071  # 12 bits with an intercept of -1024


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel: blur (sigma, mm), edge enhancement, noise (HU at 1.5 mm slices) and its grain (mm)."""

    name: str
    psf_mm: Range
    enhancement: Range
    noise_hu: Range
    grain_mm: Range


@dataclass(frozen=True)
class ScannerFamily:
    """A scanner model with the kernels, tube voltages, slices and pixels its sites use."""

    manufacturer: str
    model: str
    kernels: tuple[Kernel, ...]
    kvp: tuple[int, ...]
    slice_mm: tuple[float, ...]
    pixel_mm: Range
    window: tuple[int, int]
    weight: float


def _soft(name: str) -> Kernel:
    return Kernel(name, (0.50, 0.70), (0.0, 0.1), (3, 12), (0.55, 0.9))


def _standard(name: str) -> Kernel:
    return Kernel(name, (0.36, 0.55), (0.0, 0.3), (5, 20), (0.4, 0.65))


def _sharp(name: str) -> Kernel:
    return Kernel(name, (0.25, 0.38), (0.3, 0.9), (12, 34), (0.28, 0.42))


SCANNERS = (
    # fmt: off
    ScannerFamily(
        "SIM Aurora",
        "Meridian 64",
        (_soft("B31"), _sharp("B60")),
        (120,),
        (1.0, 1.5, 3.0),
        (0.40, 0.75),
        (400, 1800),
        0.30,
    ),
    ScannerFamily(
        "SIM Borealis",
        "Helix 16",
        (_standard("STD"), _sharp("BONE")),
        (120, 140),
        (1.25, 2.5),
        (0.50, 0.85),
        (350, 2000),
        0.25,
    ),
    ScannerFamily(
        "SIM Corvus",
        "Prime 128",
        (_standard("FC30"), _soft("FC08")),
        (100, 120),
        (1.0, 2.0),
        (0.35, 0.70),
        (450, 1600),
        0.25,
    ),
    ScannerFamily(
        "SIM Delphin",
        "Spectra 256",
        (_soft("B"), _standard("C"), _sharp("D")),
        (100, 120),
        (0.75, 1.0, 2.0),
        (0.35, 0.60),
        (500, 2000),
        0.20,
    ),
    # fmt: on
)


@dataclass(frozen=True)
class Acquisition:
    """Settings of one series; `rows` and `columns` are its matrix, lengths in mm, noise in HU."""

    manufacturer: str
    model: str
    kernel: str
    kvp: int
    slice_mm: float
    pixel_mm: float
    psf_mm: float
    enhancement: float
    noise_hu: float
    grain_mm: float
    window: tuple[int, int]
    rows: int
    columns: int
    exposure_mas: int

    @property
    def oversampling(self) -> int:
        """Fine samples per pixel along each axis: the drawing grid is never coarser than 0.3 mm."""
        return int(np.ceil(self.pixel_mm / 0.3))

    @property
    def blur_mm(self) -> tuple[float, float]:
        """PSF sigma cranio-caudally and antero-posteriorly: thick slices soften a sagittal reformat lengthwise."""
        return float(np.hypot(self.psf_mm, 0.25 * self.slice_mm)), self.psf_mm


def sample_acquisition(rng: np.random.Generator) -> Acquisition:
    """Draw the settings of one patient's series."""
    family = SCANNERS[rng.choice(len(SCANNERS), p=[s.weight for s in SCANNERS])]
    kernel = family.kernels[rng.integers(len(family.kernels))]
    slice_mm = float(rng.choice(family.slice_mm))
    pixel_mm = round(draw(rng, family.pixel_mm), 3)
    return Acquisition(
        manufacturer=family.manufacturer,
        model=family.model,
        kernel=kernel.name,
        kvp=int(rng.choice(family.kvp)),
        slice_mm=slice_mm,
        pixel_mm=pixel_mm,
        psf_mm=draw(rng, kernel.psf_mm),
        enhancement=draw(rng, kernel.enhancement),
        noise_hu=float(np.clip(draw(rng, kernel.noise_hu) * np.sqrt(1.5 / slice_mm), 2, 40)),
        grain_mm=draw(rng, kernel.grain_mm),
        window=family.window,
        rows=round(draw(rng, (150, 168)) / pixel_mm),
        columns=round(draw(rng, (130, 148)) / pixel_mm),
        exposure_mas=int(rng.integers(80, 320)),
    )


def acquire(fine_hu: np.ndarray, *, settings: Acquisition, rng: np.random.Generator) -> np.ndarray:
    """Turn a finely drawn plane into a CT image.

    Parameters
    ----------
    fine_hu
        HU on the fine grid, shape (rows * oversampling, columns * oversampling).

    Returns
    -------
    int16 HU of shape (rows, columns), within the 12-bit range of the stored values.
    """
    k = settings.oversampling
    step = settings.pixel_mm / k
    blurred = gaussian_filter(fine_hu, [sigma / step for sigma in settings.blur_mm], truncate=3.0)
    image = blurred.reshape(settings.rows, k, settings.columns, k).mean(axis=(1, 3))
    # A sharp kernel overshoots at edges: add back what a wider blur would take away.
    image += settings.enhancement * (image - gaussian_filter(image, 0.7 / settings.pixel_mm, truncate=3.0))
    image += settings.noise_hu * correlated_noise(image.shape, settings=settings, rng=rng)
    return np.clip(np.rint(image), AIR_HU, MAX_HU).astype(np.int16)


def correlated_noise(shape: tuple[int, int], *, settings: Acquisition, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance with the kernel's grain; thick slices make it grainier lengthwise, shape ``shape``."""
    lengthwise = np.hypot(settings.grain_mm, 0.2 * settings.slice_mm)
    grain = [lengthwise / settings.pixel_mm / 1.5, settings.grain_mm / settings.pixel_mm / 1.5]
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = gaussian_filter(white, grain, truncate=3.0)
    # Filtered back-projection passes little noise at low frequencies.
    noise -= 0.7 * gaussian_filter(noise, [3 * g for g in grain], truncate=3.0)
    return noise / noise.std()
