"""What a reconstruction does to signal and noise, by spatial frequency: kernel, aperture, slice profile and reformat.

A CT image is close to a linear system. Filtered back-projection multiplies each projection by a ramp times the
kernel's apodisation; the ramp is undone by back-projection, the apodisation stays in the image, and the noise keeps
one factor of the ramp (Riederer, Pelc and Chesler 1978, Phys Med Biol 23:446). Focal spot and detector blur the
signal but hardly the quantum noise, so that noise is finer than the sharpest detail (the two parts of the transfer are
told apart in Phys Med Biol 1984, 29:1343, doi 10.1088/0031-9155/29/11/003).
"""

from dataclasses import dataclass

import numpy as np

from helpers.phantom.canvas import Orientation

#: Sharp kernels lift what a Gaussian of this sigma (mm) would remove.
_ENHANCED_BELOW_MM = 0.7
#: Midpoints (cycles/mm) at which spectra are integrated; the sharpest kernel here has no power beyond.
_STEP = 0.04
_FREQUENCIES = (np.arange(100, dtype=np.float32) + np.float32(0.5)) * np.float32(_STEP)


@dataclass(frozen=True)
class Response:
    """How one series renders detail and noise; lengths in mm, frequencies in cycles/mm.

    Parameters
    ----------
    apodisation_mm
        Sigma of the kernel's Gaussian apodisation.
    aperture_mm
        Sigma of the blur of focal spot and detector, which the noise does not see.
    enhancement
        Edge enhancement of the kernel: 0 is none, 1 doubles the highest frequencies.
    slice_mm, increment_mm
        Thickness and spacing of the axial slices. A reformat interpolates linearly between slices.
    reformat_mm
        Thickness of a sagittal or coronal reformat.
    """

    apodisation_mm: float
    aperture_mm: float
    enhancement: float
    slice_mm: float
    increment_mm: float
    reformat_mm: float

    def apodisation(self, frequency: np.ndarray) -> np.ndarray:
        """The kernel's weight on the ramp filter: 1 at frequency 0."""
        lift = 1 - _gaussian(frequency, sigma_mm=_ENHANCED_BELOW_MM)
        return _gaussian(frequency, sigma_mm=self.apodisation_mm) * (1 + np.float32(self.enhancement) * lift)

    def transfer(self, frequency: np.ndarray) -> np.ndarray:
        """Modulation transfer within an axial slice, at radial frequencies."""
        return self.apodisation(frequency) * _gaussian(frequency, sigma_mm=self.aperture_mm)

    def longitudinal_transfer(self, frequency: np.ndarray) -> np.ndarray:
        """Modulation transfer along the patient in a reformat: a box of slice thickness, then interpolation."""
        return np.sinc(frequency * self.slice_mm) * np.sinc(frequency * self.increment_mm) ** 2

    def noise_power(self, frequency: np.ndarray) -> np.ndarray:
        """Noise power spectrum within an axial slice for a variance of 1 HU^2, at radial frequencies, HU^2 mm^2.

        The ramp times the squared apodisation. Its integral over the plane of frequencies is 1.
        """
        return frequency * self.apodisation(frequency) ** 2 / np.float32(self._noise_integral)

    def reformat_noise_power(self, frequency: np.ndarray) -> np.ndarray:
        """Noise power in a reformat across the patient (along p or x) for a variance of 1 HU^2, HU^2 mm.

        A plane cut out of a volume shows the volume's spectrum projected along its normal (central slice theorem;
        for CT noise see Narita et al. 2022, Nihon Hoshasen Gijutsu Gakkai Zasshi 78:342), so that the dip at low
        frequencies all but fills up.
        """
        area = 2 * self._through_reformat(_FREQUENCIES).sum() * _STEP
        return self._through_reformat(frequency) / np.float32(area)

    def longitudinal_noise_power(self, frequency: np.ndarray) -> np.ndarray:
        """Noise power along the patient in a reformat for a variance of 1 HU^2, HU^2 mm."""
        area = 2 * (self.longitudinal_transfer(_FREQUENCIES) ** 2).sum() * _STEP
        return self.longitudinal_transfer(frequency) ** 2 / np.float32(area)

    def _through_reformat(self, frequency: np.ndarray) -> np.ndarray:
        """Axial noise power averaged through the reformat's thickness, up to a factor."""
        power = self.noise_power(np.hypot(frequency[..., None], _FREQUENCIES))
        return (power * np.sinc(_FREQUENCIES * self.reformat_mm).astype(np.float32) ** 2).sum(axis=-1)

    @property
    def _noise_integral(self) -> float:
        ring = 2 * np.pi * _FREQUENCIES
        return float((ring * _FREQUENCIES * self.apodisation(_FREQUENCIES) ** 2).sum() * _STEP)


def _gaussian(frequency: np.ndarray, *, sigma_mm: float) -> np.ndarray:
    """Fourier transform of a normalised Gaussian."""
    return np.exp(np.float32(-2 * np.pi**2 * sigma_mm**2) * frequency**2)


def plane_transfer(
    shape: tuple[int, int], *, step_mm: float, response: Response, orientation: Orientation
) -> np.ndarray:
    """Modulation transfer of an image for `scipy.fft.rfft2`.

    Parameters
    ----------
    shape
        Rows and columns of the image, ``step_mm`` apart.

    Returns
    -------
    float32 array of shape (rows, columns // 2 + 1).
    """
    rows, columns = frequency_axes(shape, step_mm=step_mm)
    if orientation == "axial":
        return response.transfer(np.hypot(rows, columns))
    return (response.longitudinal_transfer(rows) * response.transfer(columns)).astype(np.float32)


def frequency_axes(shape: tuple[int, int], *, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of `scipy.fft.rfft2` in cycles/mm: float32 arrays (rows, 1) and (1, columns // 2 + 1)."""
    rows, columns = np.fft.fftfreq(shape[0], step_mm), np.fft.rfftfreq(shape[1], step_mm)
    return rows[:, None].astype(np.float32), columns[None, :].astype(np.float32)
