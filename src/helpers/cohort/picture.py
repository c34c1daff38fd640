"""What every source yields: one decoded image with its scale, its header and the hash of its pixels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Optional

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
        Plane of a volume, counted from 0 at the patient's right (sagittal), front (coronal) or feet (axial); None
        takes the plane through `center`, or the middle one.
    rescale_intercept
        Added to the stored values of a 16-bit image file to give HU; image files cannot carry it themselves.
    center
        Centre of the vertebra in a volume, three coordinates in `center_unit`.
    center_unit
        `mm` in the DICOM patient coordinate system (left, posterior, head), or `voxel`: column, row and slice from 0,
        slices in the order of their position along the normal of the image plane; for NIfTI the array's own indices.
    series
        Which series of a folder with several, as `series_key` of its SeriesInstanceUID; None where there is one.
    """

    source: str
    slice_index: Optional[int] = None
    rescale_intercept: Optional[float] = None
    center: Optional[tuple[float, float, float]] = None
    center_unit: Optional[Literal["mm", "voxel"]] = None
    series: Optional[str] = None


def middle_plane(pixels: np.ndarray) -> np.ndarray:
    """The image itself, or of three neighbouring planes the middle one, to look at."""
    return pixels if pixels.ndim == 2 else pixels[1]


def series_key(uid: str) -> str:
    """Short name of a series that does not reveal its UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Picture:
    """One decoded image.

    Attributes
    ----------
    pixels
        (Rows, Columns), or (3, Rows, Columns) for neighbouring planes; float32 in HU, or uint8 grey values.
    spacing_mm
        Distance of pixel centres in mm as (row, column), the order of DICOM PixelSpacing; None if unknown.
    header
        Acquisition values by DICOM keyword; missing ones are None.
    identifying_attributes
        Names of header attributes that hold direct identifiers; never their values.
    coloured_fraction
        Share of pixels that were not grey in the file: letters and scale bars of a viewer.
    center_px
        (row, column) of the vertebra's centre on this plane, where the view gave one in space.
    """

    pixels: np.ndarray
    spacing_mm: Optional[tuple[float, float]] = None
    header: Mapping[str, str | float | None] = field(default_factory=dict)
    identifying_attributes: tuple[str, ...] = ()
    coloured_fraction: float = 0.0
    center_px: Optional[tuple[float, float]] = None

    @property
    def bits(self) -> int:
        """16 for HU, 8 for grey values whose unit is unknown."""
        return GREY_BITS if self.pixels.dtype == np.uint8 else HU_BITS

    @cached_property
    def compact(self) -> np.ndarray:
        """The pixels in the smallest type that holds them exactly: int16 where all are whole HU, as in most CT."""
        if self.bits == GREY_BITS:
            return self.pixels
        with np.errstate(invalid="ignore"):  # what does not fit comes back as another value
            whole = self.pixels.astype(np.int16)
        return whole if (whole == self.pixels).all() else self.pixels

    @cached_property
    def sha256(self) -> str:
        """Hash of type, shape and bytes of the compact pixels: equal for equal images, however they were stored."""
        digest = hashlib.sha256(f"{self.compact.dtype.name} {self.compact.shape}".encode())
        digest.update(np.ascontiguousarray(self.compact))
        return digest.hexdigest()
