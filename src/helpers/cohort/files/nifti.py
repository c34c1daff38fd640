"""A NIfTI file becomes a CT volume in HU, after its header has been checked for what would spoil an image silently.

nibabel knows the format: header, affine, data types. It also repairs in silence what makes a CT wrong (a spacing of 0
becomes 1 mm, a file without orientation gets one) and stops reading before the checksum of a compressed file. So the
header is read unrepaired here, and the file to its end. Geometry goes on in highdicom, as for DICOM series.
"""

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from highdicom import Volume

from helpers.cohort.exclusions import NotUsable, Reason, refusing

NIFTI_SUFFIXES = (".nii", ".nii.gz")
SINGLE_FILE_MAGIC = (nib.Nifti1Header.single_magic, nib.Nifti2Header.single_magic)
HEADERS = {nib.Nifti1Header.sizeof_hdr: nib.Nifti1Header, nib.Nifti2Header.sizeof_hdr: nib.Nifti2Header}
MIN_PLANES = 3
# A whole body at 0.5 mm has about 10^9 voxels; a header that says more is damaged, or a trap for the memory.
MAX_VOXELS = 2**30
CHUNK_BYTES = 2**24
FORM_CODES = {0, 1, 2, 3, 4, 5}  # unknown, scanner, aligned, Talairach, MNI, another template
# Everything from an ear bone to a localizer; outside, the unit is not mm.
SPACING_LIMITS_MM = (0.05, 20.0)
# The spacing is written twice, and the affine up to twice, as float32 numbers of different rounding.
SPACING_TOLERANCE = 0.01
MAX_SHEAR_DEG = 0.5
# Fat lies near -100 HU and bone above 150: a CT of a body holds both, even one whose surroundings were blanked with 0.
# Masks, images of 0 to 255 or scaled to 1, and stored values whose offset of -1024 was lost do not.
HIGHEST_MINIMUM_HU, LOWEST_MAXIMUM_HU = -50, 150
LARGEST_HU = 2**16
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie.

    Attributes
    ----------
    shape
        Number of voxels along the file's own axes i, j, k.
    affine
        (4, 4) float64, from indices (i, j, k) to mm in the system of NIfTI: right, anterior, superior.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray


def is_nifti(name: str) -> bool:
    """Whether a file is called like a NIfTI volume."""
    return name.lower().endswith(NIFTI_SUFFIXES)


def read_grid(path: Path) -> Grid:
    """Read and check the header only.

    Raises
    ------
    NotUsable
        If the file is no readable NIfTI, no volume of single numbers, absurdly large, or its geometry is missing,
        contradicts itself, is sheared or not in mm.
    """
    return _grid(_header(path), name=path.name)


def read_nifti(path: Path) -> Volume:
    """Read a volume in HU; the last one is kept, since several vertebrae lie in one file.

    Returns
    -------
    Volume with a read-only array of shape (k, j, i), the file's own axes reversed, so that voxel coordinates of a
    view are the file's own indices. int16 where the file holds HU as such, else float32. Its affine is in the DICOM
    patient coordinate system.

    Raises
    ------
    NotUsable
        As `read_grid`, or if the data are damaged or cut short, or cannot be HU.
    """
    with refusing(Reason.UNREADABLE_NIFTI, name=path.name):
        stat = path.stat()
    return _read(path, stamp=(stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=1)
def _read(path: Path, *, stamp: tuple[int, int]) -> Volume:
    header = _header(path)
    grid = _grid(header, name=path.name)
    with refusing(Reason.UNREADABLE_NIFTI, name=path.name):
        stored = _stored(path, header=header, shape=grid.shape)
        slope, intercept = header.get_slope_inter()
    hu = _scaled(stored, slope=slope, intercept=intercept)
    _check_hu(hu, name=path.name)
    hu.flags.writeable = False
    return Volume(hu.T, _lps_reversed(grid.affine), coordinate_system="PATIENT")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        yield stream


def _header(path: Path) -> nib.Nifti1Header:
    """The header as written: nibabel's repairs would hide what is wrong with it."""
    name = path.name
    with refusing(Reason.UNREADABLE_NIFTI, name=name):
        with _opened(path) as stream:
            block = stream.read(max(HEADERS))
        if len(block) < min(HEADERS):
            raise NotUsable(Reason.UNREADABLE_NIFTI, f"{name}: {len(block)} bytes, less than a NIfTI header")
        sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")} & set(HEADERS)
        if not sizes:
            raise NotUsable(Reason.UNREADABLE_NIFTI, f"{name}: no NIfTI header")
        size = sizes.pop()
        header = HEADERS[size](block[:size], check=False)
        if header["magic"] not in SINGLE_FILE_MAGIC:
            raise NotUsable(Reason.UNREADABLE_NIFTI, f"{name}: no NIfTI of a single file (magic {header['magic']!r})")
    return header


def _grid(header: nib.Nifti1Header, *, name: str) -> Grid:
    with refusing(Reason.UNREADABLE_NIFTI, name=name):
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
    # A fourth axis of length 1 is a habit of some converters.
    if shape[3:] and max(shape[3:]) == 1:
        shape = shape[:3]
    if len(shape) != 3 or min(shape) < MIN_PLANES:
        raise NotUsable(Reason.NO_SCALAR_VOLUME, f"{name}: {' x '.join(map(str, shape))} voxels")
    if dtype.kind not in "iuf":
        raise NotUsable(Reason.NO_SCALAR_VOLUME, f"{name}: each voxel is {dtype}, not one number")
    if math.prod(shape) > MAX_VOXELS:
        raise NotUsable(Reason.VOLUME_TOO_LARGE, f"{name}: {' x '.join(map(str, shape))} voxels")
    with refusing(Reason.BAD_GEOMETRY, name=name):
        return Grid(tuple(int(n) for n in shape), _affine(header, shape=shape, name=name))


def _affine(header: nib.Nifti1Header, *, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Where the voxels lie, sform before qform as the standard has it; raises `NotUsable` if that is doubtful."""
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: lengths are in {unit}, not mm")
    spacing = np.asarray(header["pixdim"][1:4], dtype=float)
    low, high = SPACING_LIMITS_MM
    if not (np.isfinite(spacing).all() and (spacing >= low).all() and (spacing <= high).all()):
        words = " x ".join(f"{value:g}" for value in spacing)
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: voxels of {words} mm")
    codes = [int(header["sform_code"]), int(header["qform_code"])]
    if not set(codes) <= FORM_CODES:
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: sform_code {codes[0]}, qform_code {codes[1]}")
    known = [
        affine for affine in (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]) if affine is not None
    ]
    if not known:
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: neither sform nor qform says which way the axes run")
    _check_agreement(known, shape=shape, tolerance_mm=float(spacing.max()), name=name)
    _check_axes(known[0], spacing=spacing, name=name)
    return known[0]


def _check_agreement(affines: list[np.ndarray], *, shape: tuple[int, ...], tolerance_mm: float, name: str) -> None:
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij"), axis=-1).reshape(-1, 3)
    places = [nib.affines.apply_affine(affine, corners) for affine in affines]
    apart_mm = float(np.linalg.norm(places[0] - places[-1], axis=1).max())
    if not apart_mm <= tolerance_mm:
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: sform and qform lie up to {apart_mm:.1f} mm apart")


def _check_axes(affine: np.ndarray, *, spacing: np.ndarray, name: str) -> None:
    lengths = nib.affines.voxel_sizes(affine)
    if not np.allclose(lengths, spacing, rtol=SPACING_TOLERANCE):
        words = [" x ".join(f"{value:.3g}" for value in values) for values in (lengths, spacing)]
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: voxels of {words[0]} mm by the affine, {words[1]} by pixdim")
    axes = affine[:3, :3] / lengths
    shear_deg = np.degrees(np.arcsin(np.clip(np.abs(axes.T @ axes - np.eye(3)).max(), 0, 1)))
    if shear_deg > MAX_SHEAR_DEG:
        raise NotUsable(Reason.BAD_GEOMETRY, f"{name}: axes are {shear_deg:.1f} degrees from square, as by gantry tilt")


def _lps_reversed(affine: np.ndarray) -> np.ndarray:
    """From (k, j, i) to the DICOM system; axes made exactly square, which float32 headers are not."""
    lengths = nib.affines.voxel_sizes(affine)
    left, _, right = np.linalg.svd(affine[:3, :3] / lengths)
    square = affine.astype(float).copy()
    square[:3, :3] = (left @ right) * lengths
    return (RAS_TO_LPS @ square)[:, [2, 1, 0, 3]]


def _stored(path: Path, *, header: nib.Nifti1Header, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the file, (i, j, k) in column order; the file must end where they end."""
    dtype = header.get_data_dtype()
    data = np.empty(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    with _opened(path) as stream:
        stream.seek(header.get_data_offset())
        done = _fill(memoryview(data), stream=stream)
        if done < len(data):
            raise NotUsable(Reason.UNREADABLE_NIFTI, f"{path.name}: cut short, {done} of {len(data)} bytes of voxels")
        # Reading on also makes gzip compare the checksum, which lies behind the last byte.
        if stream.read(1):
            raise NotUsable(Reason.UNREADABLE_NIFTI, f"{path.name}: longer than its header says")
    return data.view(dtype).reshape(shape, order="F")


def _fill(data: memoryview, *, stream: BinaryIO) -> int:
    """Read piece by piece, so that a short file takes no more memory than it has bytes."""
    done = 0
    while done < len(data):
        count = stream.readinto(data[done : done + CHUNK_BYTES])
        if not count:
            break
        done += count
    return done


def _scaled(stored: np.ndarray, *, slope: float | None, intercept: float | None) -> np.ndarray:
    """HU of the same shape: int16 as stored, or float32; a slope of 0 or none means no scaling (NIfTI-1)."""
    unscaled = slope is None or (slope, intercept) == (1, 0)
    if unscaled and stored.dtype.kind == "i" and stored.dtype.itemsize <= 2:
        return stored.astype(np.int16, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused, with its own words
        hu = stored.astype(np.float32)
        if not unscaled:
            hu *= np.float32(slope)
            hu += np.float32(intercept)
    return hu


def _check_hu(hu: np.ndarray, *, name: str) -> None:
    lowest, highest = float(hu.min()), float(hu.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        share = 1 - np.isfinite(hu).mean()
        raise NotUsable(Reason.NOT_HU, f"{name}: {share:.1%} of the voxels are not finite")
    if lowest > HIGHEST_MINIMUM_HU or highest < LOWEST_MAXIMUM_HU or max(-lowest, highest) > LARGEST_HU:
        raise NotUsable(Reason.NOT_HU, f"{name}: values run from {lowest:g} to {highest:g}")
