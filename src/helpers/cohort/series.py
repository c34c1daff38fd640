"""A folder with one CT series becomes one sagittal image in HU.

The geometry is left to highdicom: it is kept by the same community as pydicom, reads the position and orientation of
slices from the header alone (never from file names or InstanceNumber), refuses uneven spacing and tilted stacks, and
reorders a volume to anatomical directions without interpolation. nibabel would need another tool to read the
slices, SimpleITK sorts series but accepts gaps with only a warning.
"""

from pathlib import Path

import numpy as np
from highdicom import Volume
from highdicom.spatial import get_volume_positions
from pydicom.dataset import FileDataset

from helpers.cohort.dicom import (
    has_dicom_preamble,
    header,
    hounsfield,
    identifying_attributes,
    open_ct,
    pixel_spacing,
)
from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.picture import Picture, View
from helpers.cohort.volumes import cut_plane
from helpers.study import CohortParams

# Scanners round positions to a tenth of a millimetre or worse; a missing slice changes the distance by 100 %.
SPACING_TOLERANCE = 0.05
MIN_SLICES = 3


def read_series(folder: Path, *, view: View, params: CohortParams) -> Picture:
    """Read a series, sort it by position and cut a plane.

    Parameters
    ----------
    folder
        Holds the files of one series, at any depth; files that are not DICOM are left aside here and reported by
        the listing of the cohort folder.
    view, params
        Which plane, as `cut_plane` takes them.

    Returns
    -------
    Picture in HU; its spacing is (row, column) of that plane.

    Raises
    ------
    NotUsable
        If a slice is unusable, or the slices are not one evenly spaced stack.
    """
    with refusing(Reason.UNREADABLE_DICOM, name=folder.name):
        datasets = [open_ct(path) for path in series_files(folder)]
        if len(datasets) < MIN_SLICES:
            raise NotUsable(Reason.IRREGULAR_SERIES, f"{folder.name}: {len(datasets)} slices are not a volume")
        image = cut_plane(_volume(datasets, name=folder.name), view, params=params)
        names = sorted({name for dataset in datasets for name in identifying_attributes(dataset)})
        return Picture(
            pixels=image.pixels,
            spacing_mm=image.spacing_mm,
            header=header(datasets[0]) | {"PatientOrientation": image.orientation},
            identifying_attributes=tuple(names),
            center_px=image.center_px,
        )


def series_files(folder: Path) -> list[Path]:
    """The DICOM files of a folder, at any depth, sorted by name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if path.name != "DICOMDIR" and has_dicom_preamble(path)]


def _volume(datasets: list[FileDataset], *, name: str) -> Volume:
    _check_one_series(datasets, name)
    with refusing(Reason.IRREGULAR_SERIES, name=name):
        positions = [dataset.ImagePositionPatient for dataset in datasets]
        orientation = datasets[0].ImageOrientationPatient
        step_mm, order = get_volume_positions(positions, orientation, rtol=SPACING_TOLERANCE)
        if step_mm is None:
            raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {_spacing_words(positions)}")
        stack = [datasets[index] for index in np.argsort(order)]
        return Volume.from_attributes(
            array=np.stack([hounsfield(dataset, name=Path(dataset.filename).name) for dataset in stack]),
            image_position=stack[0].ImagePositionPatient,
            image_orientation=orientation,
            pixel_spacing=pixel_spacing(stack[0]),
            spacing_between_slices=step_mm,
            coordinate_system="PATIENT",
        )


def _check_one_series(datasets: list[FileDataset], name: str) -> None:
    series = {dataset.get("SeriesInstanceUID") for dataset in datasets}
    if len(series) > 1:
        raise NotUsable(Reason.SEVERAL_SERIES, f"{name}: {len(series)} values of SeriesInstanceUID")
    if any(pixel_spacing(dataset) is None for dataset in datasets):
        raise NotUsable(Reason.MISSING_PIXEL_SPACING, f"{name}: a slice has no PixelSpacing")
    for keyword in ("ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"):
        values = {str(dataset.get(keyword)) for dataset in datasets}
        if len(values) > 1 or values == {"None"}:
            raise NotUsable(Reason.IRREGULAR_SERIES, f"{name}: {keyword} is missing or differs between slices")


def _spacing_words(positions: list) -> str:
    points = np.asarray(positions, dtype=float)
    along = points[:, np.argmax(np.ptp(points, axis=0))]
    steps = np.diff(np.sort(along))
    return f"distances between slices run from {steps.min():.2f} to {steps.max():.2f} mm, or the stack is tilted"
