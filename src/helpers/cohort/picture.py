"""What every source yields: one decoded image with its scale, its header and the hash of its pixels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

HU_BITS = 16
GREY_BITS = 8


@dataclass(frozen=True)
class View:
    """Which image of the cohort folder is meant.

    Attributes
    ----------
    source
        File, or folder of one series, relative to the cohort folder (POSIX separators).
    slice_index
        Sagittal plane of a series, counted from 0 at the patient's right; None is the median plane.
    rescale_intercept
        Added to the stored values of a 16-bit image file to give HU; image files cannot carry it themselves.
    """

    source: str
    slice_index: Optional[int] = None
    rescale_intercept: Optional[float] = None


@dataclass(frozen=True)
class Picture:
    """One decoded image.

    Attributes
    ----------
    pixels
        (Rows, Columns); float32 in HU, or uint8 grey values.
    spacing_mm
        Distance of pixel centres in mm as (row, column), the order of DICOM PixelSpacing; None if unknown.
    header
        Acquisition values by DICOM keyword; missing ones are None.
    identifying_attributes
        Names of header attributes that hold direct identifiers; never their values.
    coloured_fraction
        Share of pixels that were not grey in the file: letters and scale bars of a viewer.
    """

    pixels: np.ndarray
    spacing_mm: Optional[tuple[float, float]] = None
    header: Mapping[str, str | float | None] = field(default_factory=dict)
    identifying_attributes: tuple[str, ...] = ()
    coloured_fraction: float = 0.0

    @property
    def bits(self) -> int:
        """16 for HU, 8 for grey values whose unit is unknown."""
        return GREY_BITS if self.pixels.dtype == np.uint8 else HU_BITS

    @property
    def sha256(self) -> str:
        """Hash of the decoded pixels and their shape: equal for equal images, however they were stored."""
        digest = hashlib.sha256(f"{self.pixels.dtype.name} {self.pixels.shape}".encode())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        return digest.hexdigest()
