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

# Cobb angles of the spine itself reach this; beyond it a plane along the volume's axes shows another view of the body.
MAX_OBLIQUITY_DEG = 20.0


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
    obliquity_deg
        By how much the volume is turned against the axes of the body, as `obliquity_deg` measures it.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, float]
    center_px: Optional[tuple[float, float]]
    orientation: str
    obliquity_deg: float = 0.0


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
        If the volume stands too obliquely for any of its planes to be sagittal, coronal or axial, or the plane, or
        one of its neighbours, lies outside it.
    """
    turned = volume.to_patient_orientation(AXES[params.plane])
    angle_deg = obliquity_deg(turned)
    if angle_deg > MAX_OBLIQUITY_DEG:
        detail = f"the volume is turned by {angle_deg:.0f} degrees against the body"
        raise NotUsable(Reason.OBLIQUE_VOLUME, f"{detail}; up to {MAX_OBLIQUITY_DEG:g} are accepted")
    center = None if view.center is None else _center_index(volume, view, turned=turned)
    plane = _plane_index(turned, view, center=center)
    planes = [plane] if params.n_planes == 1 else _neighbours(turned, plane, distance_mm=params.plane_distance_mm)
    _check_inside(planes, turned, view=view, plane=params.plane)
    pixels = np.ascontiguousarray(turned.array[planes], dtype=np.float32)
    return PlaneImage(
        pixels=pixels[0] if params.n_planes == 1 else pixels,
        spacing_mm=(float(turned.spacing[1]), float(turned.spacing[2])),
        center_px=None if center is None else (float(center[1]), float(center[2])),
        orientation=ORIENTATIONS[params.plane],
        obliquity_deg=angle_deg,
    )


def obliquity_deg(volume: Volume) -> float:
    """Largest angle between an axis of the volume and the axis of the body that is nearest to it.

    Planes are cut along the volume's own axes, without interpolation: the picture is tilted by up to this angle.
    """
    cosines = np.abs(volume.direction).max(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).max())


def _check_inside(planes: list[int], turned: Volume, *, view: View, plane: str) -> None:
    count = turned.spatial_shape[0]
    if all(0 <= index < count for index in planes):
        return
    detail = f"{plane} plane {', '.join(map(str, planes))}, planes are 0 to {count - 1}"
    if view.center is not None and view.slice_index is None:
        raise NotUsable(Reason.CENTER_OUTSIDE_VOLUME, f"centre {view.center} in {view.center_unit}: {detail}")
    raise NotUsable(Reason.PLANE_OUTSIDE_VOLUME, detail)


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
