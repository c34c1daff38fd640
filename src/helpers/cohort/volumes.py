"""A CT volume becomes a sagittal, coronal or axial image: one plane, or three neighbouring planes as channels.

The geometry is left to highdicom: it is kept by the same community as pydicom, holds DICOM and NIfTI volumes alike with
their affine, and reorders them to anatomical directions without interpolation.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np
from highdicom import Volume

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.picture import View
from helpers.study import CohortParams

# Axes of the reordered volume: planes, then rows, then columns. L, P, F, H: towards left, back, feet, head.
AXES = {"sagittal": "LFP", "coronal": "PFL", "axial": "HPL"}
# DICOM PatientOrientation of such a plane: where its rows run, then where its columns run.
ORIENTATIONS = {name: f"{axes[2]}\\{axes[1]}" for name, axes in AXES.items()}


@dataclass(frozen=True)
class PlaneImage:
    r"""What was cut.

    Attributes
    ----------
    pixels
        (Rows, Columns), or (3, Rows, Columns) for neighbouring planes, float32.
    spacing_mm
        (row, column).
    center_px
        (row, column) of the view's centre, if it has one.
    orientation
        As DICOM PatientOrientation says it, for example `P\\F`.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, float]
    center_px: Optional[tuple[float, float]]
    orientation: str


def cut_plane(volume: Volume, view: View, *, params: CohortParams) -> PlaneImage:
    """Cut the plane that a view asks for: `slice_index`, else through `center`, else the middle.

    Parameters
    ----------
    volume
        In HU, affine in the DICOM patient coordinate system, axes in any order.
    view
        Plane or centre; voxel coordinates are indices (column, row, slice) of `volume` as given, axes reversed.
    params
        `plane`, `n_planes` and `plane_distance_mm` of the cohort.

    Raises
    ------
    NotUsable
        If the plane, or one of its neighbours, lies outside the volume.
    """
    turned = volume.to_patient_orientation(AXES[params.plane])
    center = None if view.center is None else _center_index(volume, view, turned=turned)
    plane = _plane_index(turned, view, center=center)
    planes = [plane] if params.n_planes == 1 else _neighbours(turned, plane, distance_mm=params.plane_distance_mm)
    for index in planes:
        if not 0 <= index < turned.spatial_shape[0]:
            detail = f"{params.plane} plane {index}, planes are 0 to {turned.spatial_shape[0] - 1}"
            raise NotUsable(Reason.PLANE_OUTSIDE_VOLUME, detail)
    pixels = np.ascontiguousarray(turned.array[planes], dtype=np.float32)
    return PlaneImage(
        pixels=pixels[0] if params.n_planes == 1 else pixels,
        spacing_mm=(float(turned.spacing[1]), float(turned.spacing[2])),
        center_px=None if center is None else (float(center[1]), float(center[2])),
        orientation=ORIENTATIONS[params.plane],
    )


def _center_index(volume: Volume, view: View, *, turned: Volume) -> np.ndarray:
    """Indices of the centre in the turned volume, fractions kept."""
    position = np.array([view.center], dtype=float)
    if view.center_unit == "voxel":
        position = volume.map_indices_to_reference(position[:, ::-1])
    return turned.map_reference_to_indices(position)[0]


def _plane_index(turned: Volume, view: View, *, center: Optional[np.ndarray]) -> int:
    if view.slice_index is not None:
        return view.slice_index
    return turned.spatial_shape[0] // 2 if center is None else int(np.rint(center[0]))


def _neighbours(turned: Volume, plane: int, *, distance_mm: float) -> list[int]:
    step = max(1, round(distance_mm / turned.spacing[0]))
    return [plane - step, plane, plane + step]
