"""The scanner's part: a patient's settings, and the way from a finely drawn plane to stored pixels.

Ranges are modelling ranges: slice 0.75-3 mm, PSF sigma 0.25-0.7 mm, pixel 0.35-0.85 mm, noise 2-40 HU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from helpers.phantom.canvas import Orientation, require_orientation
from helpers.phantom.geometry import Range
from helpers.phantom.noise import correlated_noise
from helpers.phantom.response import Response, plane_transfer
from helpers.phantom.scanners import FLEET, Option, Scanner

#: The range of 12 stored bits whose lowest value stands for air and for what was not scanned.
AIR_HU = -1024
MAX_HU = 3071

NOISE_HU: Range = (2.0, 40.0)
EXPOSURE_MAS: Range = (80.0, 320.0)
HEIGHT_MM: Range = (118.0, 134.0)
WIDTH_MM: Range = (114.0, 130.0)

#: The drawing grid is as fine as the pixels up to this step, and twice as fine beyond.
_COARSEST_STEP_MM = 0.45
#: Reach of the widest point spread here: thick slices with interpolation.
_MARGIN_MM = 4.5
#: HU above which tissue is taken to owe its contrast to calcium or iodine.
_MINERAL_HU = 60.0


@dataclass(frozen=True)
class Correlation:
    """How much images of one scanner, and of one patient, look alike, and whether the scanner tells the class.

    Parameters
    ----------
    scanner_share
        How closely a scanner keeps to its habits, 0 to 1: the share of patients with its favourite kernel, voltage
        and slice, and the weight of its usual pixel, field, sharpness, dose and noise. At 0 only its family matters.
    scanner_offset_hu
        Standard deviation between scanners of a fixed HU offset (calibration).
    patient_offset_hu
        Standard deviation between patients of an HU offset that all their images share (size, table height).
    patient_noise
        Standard deviation between patients of the logarithm of noise (body size).
    scanner_by_class
        Probability, 0 to 1, that a patient lies on the scanner of their class. At 0 the scanner does not depend on
        the class, at 1 each class has its own scanner and the acquisition alone tells the label.

    Raises
    ------
    ValueError
        If a share is outside [0, 1] or a standard deviation is negative; the message names the field.
    """

    scanner_share: float = 0.4
    scanner_offset_hu: float = 3.0
    patient_offset_hu: float = 3.0
    patient_noise: float = 0.15
    scanner_by_class: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scanner_share", "scanner_by_class"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is outside 0 to 1")
        for name in ("scanner_offset_hu", "patient_offset_hu", "patient_noise"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name}: {getattr(self, name)} is not a standard deviation")


CORRELATION = Correlation()


@dataclass(frozen=True)
class Acquisition:
    """Settings of one patient's series; lengths in mm, noise and offset in HU.

    `rows` and `columns` are the matrix of an image; `psf_mm` is the sigma within an axial slice, of which
    `aperture_mm` is the part of focal spot and detector; `noise_hu` is the standard deviation in an image of any
    orientation; `reformat_mm` is the thickness of sagittal and coronal images.
    """

    manufacturer: str
    model: str
    station: str
    kernel: str
    kvp: int
    exposure_mas: int
    slice_mm: float
    increment_mm: float
    reformat_mm: float
    pixel_mm: float
    psf_mm: float
    aperture_mm: float
    enhancement: float
    noise_hu: float
    offset_hu: float
    window: tuple[int, int]
    rows: int
    columns: int

    @property
    def oversampling(self) -> int:
        """Fine samples per pixel along each axis: the drawing grid is never coarser than 0.45 mm."""
        return 1 if self.pixel_mm <= _COARSEST_STEP_MM else 2

    @property
    def response(self) -> Response:
        """How the series renders detail and noise, by frequency."""
        return Response(
            apodisation_mm=float(np.sqrt(max(self.psf_mm**2 - self.aperture_mm**2, 0.0))),
            aperture_mm=min(self.aperture_mm, self.psf_mm),
            enhancement=self.enhancement,
            slice_mm=self.slice_mm,
            increment_mm=self.increment_mm,
            reformat_mm=self.reformat_mm,
        )

    def thickness_mm(self, orientation: Orientation) -> float:
        """Thickness of an image, to be averaged over when it is drawn."""
        return self.slice_mm if orientation == "axial" else self.reformat_mm


def sample_acquisition(
    rng: np.random.Generator,
    *,
    class_index: int | None = None,
    fleet: Sequence[Scanner] = FLEET,
    correlation: Correlation = CORRELATION,
) -> Acquisition:
    """Put one patient on a scanner and draw the settings of their series.

    Parameters
    ----------
    class_index
        Place of the patient's class among the study's classes. It matters only with ``scanner_by_class``, where
        class ``i`` belongs on ``fleet[i]``; None leaves the patient out of it.

    Raises
    ------
    ValueError
        If the fleet has no scanner for the class.
    """
    scanner = _choose_scanner(rng, class_index=class_index, fleet=fleet, by_class=correlation.scanner_by_class)
    return _sample_settings(rng, scanner=scanner, correlation=correlation)


def _sample_settings(rng: np.random.Generator, *, scanner: Scanner, correlation: Correlation) -> Acquisition:
    family, share = scanner.family, correlation.scanner_share
    kernel = _prefer(rng, scanner.kernel, others=family.kernels, share=share)
    kvp = _prefer(rng, scanner.kvp, others=family.kvp, share=share)
    slice_mm = _prefer(rng, scanner.slice_mm, others=family.slice_mm, share=share)
    exposure = _near(rng, scanner.dose_level, bounds=EXPOSURE_MAS, share=share)
    pixel_mm = round(_near(rng, scanner.pixel_level, bounds=family.pixel_mm, share=share), 3)
    height, width = (_near(rng, scanner.field_level, bounds=bounds, share=share) for bounds in (HEIGHT_MM, WIDTH_MM))
    noise = _near(rng, scanner.noise_level, bounds=kernel.noise_hu, share=share)
    noise *= _noise_factor(slice_mm, exposure_mas=exposure, kvp=kvp) * rng.lognormal(0, correlation.patient_noise)
    offset = correlation.scanner_offset_hu * scanner.calibration + rng.normal(0, correlation.patient_offset_hu)
    return Acquisition(
        manufacturer=family.manufacturer,
        model=family.model,
        station=scanner.station,
        kernel=kernel.name,
        kvp=kvp,
        exposure_mas=round(exposure),
        slice_mm=slice_mm,
        increment_mm=round(slice_mm * (1 - family.overlap), 3),
        reformat_mm=_prefer(rng, scanner.reformat_mm, others=family.reformat_mm, share=share),
        pixel_mm=pixel_mm,
        aperture_mm=family.aperture_mm,
        psf_mm=_near(rng, scanner.sharpness_level, bounds=kernel.psf_mm[::-1], share=share),
        enhancement=_near(rng, scanner.sharpness_level, bounds=kernel.enhancement, share=share),
        noise_hu=float(np.clip(noise, *NOISE_HU)),
        offset_hu=float(offset),
        window=family.window,
        rows=round(height / pixel_mm),
        columns=round(width / pixel_mm),
    )


def _choose_scanner(
    rng: np.random.Generator, *, class_index: int | None, fleet: Sequence[Scanner], by_class: float
) -> Scanner:
    # Both are drawn always, so that a seed gives the same patients whatever the association.
    weights = np.array([scanner.family.weight for scanner in fleet])
    anyones = fleet[rng.choice(len(fleet), p=weights / weights.sum())]
    bound = rng.random() < by_class
    if class_index is None or not bound:
        return anyones
    if not 0 <= class_index < len(fleet):
        raise ValueError(f"class_index: {class_index} has no scanner in a fleet of {len(fleet)}")
    return fleet[class_index]


def _prefer(rng: np.random.Generator, favourite: Option, *, others: Sequence[Option], share: float) -> Option:
    """The favourite with probability ``share``, else any option."""
    other = others[int(len(others) * rng.random())]
    return favourite if rng.random() < share else other


def _near(rng: np.random.Generator, level: float, *, bounds: Range, share: float) -> float:
    """A number within ``bounds`` that leans towards ``level`` (0 is the first bound, 1 the second)."""
    first, last = bounds
    return float(first + (last - first) * (share * level + (1 - share) * rng.random()))


def _noise_factor(slice_mm: float, *, exposure_mas: float, kvp: int) -> float:
    """Noise beside 1.5 mm, 200 mAs and 120 kV: the root of detected photons, whose number grows as kV^2.5."""
    return float(np.sqrt(1.5 / slice_mm * 200 / exposure_mas * (120 / kvp) ** 2.5))


def acquire(
    fine_hu: np.ndarray, *, settings: Acquisition, rng: np.random.Generator, orientation: Orientation = "sagittal"
) -> np.ndarray:
    """Turn a finely drawn plane into a CT image.

    Parameters
    ----------
    fine_hu
        HU at 120 kV on a grid of ``pixel_mm / oversampling``, shape (rows * oversampling, columns * oversampling),
        already averaged through the image's thickness.
    orientation
        Which axes lie in the axial plane: both of an axial image, the columns of a sagittal or coronal one, whose
        rows run along the patient.

    Returns
    -------
    int16 HU of shape (rows, columns), within the 12-bit range of the stored values.

    Raises
    ------
    ValueError
        If the orientation is unknown or the grid holds no whole number of pixels.
    """
    require_orientation(orientation)
    k = settings.oversampling
    if fine_hu.shape[0] % k or fine_hu.shape[1] % k:
        raise ValueError(f"fine_hu: shape {fine_hu.shape} is no multiple of {k}")
    shape = (fine_hu.shape[0] // k, fine_hu.shape[1] // k)
    fine_hu = np.asarray(fine_hu, dtype=np.float32)
    mineral = np.float32(mineral_contrast(settings.kvp) - 1) * np.maximum(fine_hu - np.float32(_MINERAL_HU), 0)
    image = _blur(fine_hu + mineral, settings=settings, orientation=orientation)
    image = image.reshape(shape[0], k, shape[1], k).mean(axis=(1, 3)) + np.float32(settings.offset_hu)
    image += np.float32(settings.noise_hu) * correlated_noise(
        shape, pixel_mm=settings.pixel_mm, response=settings.response, orientation=orientation, rng=rng
    )
    return np.clip(np.rint(image), AIR_HU, MAX_HU).astype(np.int16)


def mineral_contrast(kvp: float) -> float:
    """Contrast of bone and contrast medium beside 120 kV.

    The power law meets the bone of 872 HU at 80 kV and 670 HU at 120 kV of Huber et al. 2021, table 3
    (doi 10.1186/s12880-021-00554-y).
    """
    return (kvp / 120) ** -0.65


def _blur(fine_hu: np.ndarray, *, settings: Acquisition, orientation: Orientation) -> np.ndarray:
    """Apply the modulation transfer of the series; the margin keeps opposite edges from meeting."""
    step = settings.pixel_mm / settings.oversampling
    margin = int(np.ceil(_MARGIN_MM / step))
    rows, columns = fine_hu.shape
    period = (next_fast_len(rows + 2 * margin, real=True), next_fast_len(columns + 2 * margin, real=True))
    widths = [(margin, period[0] - rows - margin), (margin, period[1] - columns - margin)]
    spectrum = rfft2(np.pad(fine_hu, widths, mode="edge"))
    spectrum *= plane_transfer(period, step_mm=step, response=settings.response, orientation=orientation)
    return irfft2(spectrum, s=period)[margin : margin + rows, margin : margin + columns]
