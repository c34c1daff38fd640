"""A folder with one CT series, or a multi-frame file, becomes a volume in HU of which planes are cut.

Which slices belong together is decided by their headers (`stack`), then each is decoded once. highdicom holds the
volume: it is kept by the same community as pydicom, takes DICOM and NIfTI volumes alike with their affine, and
reorders them to anatomical directions without interpolation. nibabel would need another tool to read the slices;
SimpleITK sorts series, but accepts gaps with only a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Optional

import numpy as np
from highdicom import Volume
from scipy import ndimage

from helpers.cohort.deidentification import held_attributes
from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.dicom import header, open_ct
from helpers.cohort.files.headers import SliceHeader, normal, scan_headers
from helpers.cohort.files.hounsfield import AIR_HU, hounsfield
from helpers.cohort.files.multiframe import frame_headers, frame_pixels, promote
from helpers.cohort.files.stack import Stack, arrange, one_series
from helpers.cohort.files.storage import Storage
from helpers.cohort.files.volumes import cut_plane
from helpers.cohort.picture import Picture, View
from helpers.study import CohortParams

Stamp = tuple[str, int, int]


@dataclass(frozen=True)
class LoadedSeries:
    """A decoded volume with what its files say.

    Attributes
    ----------
    volume
        In HU, int16 where that holds them exactly, else float32; axes (slices, rows, columns).
    affine
        From voxel indices (slice, row, column) of the slices as stored to mm in the patient; differs from that of
        `volume` where a tilted gantry was corrected.
    header, identifying_attributes
        As `Picture` has them; identifiers of all slices together.
    """

    volume: Volume
    affine: np.ndarray
    header: Mapping[str, str | float | None]
    identifying_attributes: tuple[str, ...]


def read_series(storage: Storage, view: View, *, params: CohortParams) -> Picture:
    """Cut a plane from the series of a folder.

    The last volume is kept, so that several vertebrae of one series cost one decoding.

    Parameters
    ----------
    storage
        Where the folder lies.
    view
        Its `source` holds the files of the series, at any depth; other files in it are left aside. `series` says which
        one where there are several.
    params
        Which plane, as `cut_plane` takes them.

    Returns
    -------
    Picture in HU; its spacing is (row, column) of that plane.

    Raises
    ------
    NotUsable
        If a slice is unusable, the slices are not one evenly spaced stack, or the plane lies outside it.
    """
    stamps = _stamps(storage, view.source)
    return _cut(_load_series(storage, view.source, view.series, stamps), view, params=params)


def read_frames(storage: Storage, view: View, *, params: CohortParams) -> Picture:
    """Cut a plane from a multi-frame file; all else as in `read_series`."""
    with refusing(Reason.UNREADABLE_DICOM, name=view.source):
        stamp = storage.stamp(view.source)
    return _cut(_load_frames(storage, view.source, stamp), view, params=params)


def _cut(loaded: LoadedSeries | NotUsable, view: View, *, params: CohortParams) -> Picture:
    if isinstance(loaded, NotUsable):
        raise loaded
    if view.center_unit == "voxel":
        position = loaded.affine @ (*view.center[::-1], 1.0)
        view = replace(view, center=tuple(map(float, position[:3])), center_unit="mm")
    image = cut_plane(loaded.volume, view, params=params)
    found = {"PatientOrientation": image.orientation, "obliquity_deg": image.obliquity_deg}
    return Picture(
        pixels=image.pixels,
        spacing_mm=image.spacing_mm,
        header={**loaded.header, **found},
        identifying_attributes=loaded.identifying_attributes,
        center_px=image.center_px,
    )


def folder_headers(storage: Storage, folder: str) -> tuple[SliceHeader | NotUsable, ...]:
    """Headers of all files of a folder; those of the last folder are kept."""
    return _headers(storage, _stamps(storage, folder))


def _stamps(storage: Storage, folder: str) -> tuple[Stamp, ...]:
    with refusing(Reason.UNREADABLE_DICOM, name=folder):
        return tuple(storage.stamp(file) for file in storage.below(folder))


@lru_cache(maxsize=1)
def _headers(storage: Storage, stamps: tuple[Stamp, ...]) -> tuple[SliceHeader | NotUsable, ...]:
    return tuple(scan_headers(storage, [file for file, *_ in stamps]))


@lru_cache(maxsize=1)
def _load_series(
    storage: Storage, folder: str, series: Optional[str], stamps: tuple[Stamp, ...]
) -> LoadedSeries | NotUsable:
    """Decode a series; a finding is returned, not raised, so that it is kept like a volume."""
    try:
        return _decoded_series(storage, folder, series=series, found=_headers(storage, stamps))
    except NotUsable as finding:
        return finding


def _decoded_series(
    storage: Storage, folder: str, *, series: Optional[str], found: tuple[SliceHeader | NotUsable, ...]
) -> LoadedSeries:
    for item in found:
        if isinstance(item, NotUsable) and item.reason not in (Reason.NOT_DICOM, Reason.INDEX_FILE):
            raise item
    headers = [item for item in found if isinstance(item, SliceHeader)]
    frames = lone_multi_frame(headers, series=series, name=folder)
    if frames is not None:
        return _decoded_frames(storage, frames)
    stack = arrange(headers, name=folder, series=series)
    twins: dict[str, list[str]] = {}
    for kept, other in stack.twins:
        twins.setdefault(kept.file, []).append(other.file)
    planes, held = [], set()
    described: Mapping[str, str | float | None] = {}
    for item in stack.slices:
        dataset = open_ct(storage.read(item.file), name=item.file)
        planes.append(compact(hounsfield(dataset, name=item.file)))
        held.update(held_attributes(dataset))
        described = described or header(dataset)
        for other in twins.get(item.file, ()):
            twin = hounsfield(open_ct(storage.read(other), name=other), name=other)
            _check_twin(planes[-1], twin, names=(item.file, other))
    return LoadedSeries(_volume(planes, stack), stack.affine(), described, tuple(sorted(held)))


def lone_multi_frame(headers: list[SliceHeader], *, series: Optional[str], name: str) -> Optional[str]:
    """The file that is the whole series by itself, if it is one of several frames."""
    images = [item for item in headers if item.is_ct and not item.is_localizer]
    if not any(item.n_frames > 1 for item in images):
        return None
    images = one_series(images, series=series, name=name)
    if len(images) > 1 and any(item.n_frames > 1 for item in images):
        raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {len(images)} files, some of several frames, in one series")
    return images[0].file if images[0].n_frames > 1 else None


@lru_cache(maxsize=1)
def _load_frames(storage: Storage, file: str, stamp: Stamp) -> LoadedSeries | NotUsable:
    try:
        return _decoded_frames(storage, file)
    except NotUsable as finding:
        return finding


def _decoded_frames(storage: Storage, file: str) -> LoadedSeries:
    with refusing(Reason.UNREADABLE_DICOM, name=file):
        dataset = promote(open_ct(storage.read(file), name=file))
        stack = arrange(frame_headers(dataset, name=file), name=file)
        order = [item.frame for item in stack.slices]
        pixels = dict(zip(order, frame_pixels(dataset, order, name=file), strict=True))
        for kept, other in stack.twins:
            twin = frame_pixels(dataset, [other.frame], name=file)[0]
            _check_twin(pixels[kept.frame], twin, names=(kept.file, other.file))
        planes = [compact(pixels[frame]) for frame in order]
        return LoadedSeries(_volume(planes, stack), stack.affine(), header(dataset), held_attributes(dataset))


def _check_twin(plane: np.ndarray, other: np.ndarray, *, names: tuple[str, str]) -> None:
    if not np.array_equal(plane, other):
        raise NotUsable(Reason.DUPLICATE_SLICE, f"{names[0]} and {names[1]} lie at one place and differ")


def compact(hu: np.ndarray) -> np.ndarray:
    """The same values as int16 where that loses nothing: half the memory of a volume."""
    small = hu.astype(np.int16) if np.abs(hu).max() < np.iinfo(np.int16).max else None
    return small if small is not None and np.array_equal(small, hu) else hu


def _volume(planes: list[np.ndarray], stack: Stack) -> Volume:
    """Stack the slices; those of a tilted gantry are shifted against each other until they stand above each other."""
    array, first = np.stack(planes), stack.slices[0]
    origin = np.array(first.position)
    if any(stack.slide_px):
        array, start_px = straightened(array, slide_px=stack.slide_px)
        along_row, along_column = np.array(first.orientation).reshape(2, 3)
        origin = (
            origin + along_column * start_px[0] * first.spacing_mm[0] + along_row * start_px[1] * first.spacing_mm[1]
        )
    affine = stack.affine()
    affine[:3, 0] = normal(first.orientation) * stack.step_mm
    affine[:3, 3] = origin
    return Volume(array, affine, coordinate_system="PATIENT")


def straightened(array: np.ndarray, *, slide_px: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Shift slices sideways by linear interpolation, on a matrix wide enough that nothing is cut off.

    Parameters
    ----------
    array
        (slices, rows, columns) in HU.
    slide_px
        As `Stack` has it.

    Returns
    -------
    The slices with air where there was nothing, float32, and the (row, column) of the old first pixel's place at which
    the new matrix begins.
    """
    offsets = np.arange(len(array))[:, None] * np.array(slide_px)
    start = np.floor(offsets.min(axis=0))
    wider = np.ceil(offsets.max(axis=0) - start).astype(int)
    canvas = np.full((len(array), *(np.array(array.shape[1:]) + wider)), AIR_HU, dtype=np.float32)
    for plane, source, offset in zip(canvas, array, offsets - start, strict=True):
        plane[: source.shape[0], : source.shape[1]] = source
        plane[:] = ndimage.shift(plane, offset, order=1, cval=AIR_HU)
    return canvas, start
