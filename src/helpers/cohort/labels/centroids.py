"""Centroid files of VerSe: where the vertebrae of a volume lie, from voxels of some orientation to mm of the patient.

A file is a list: `{"direction": ["P", "I", "R"]}`, then `{"label": 20, "X": 63.2, "Y": 141.9, "Z": 31.8}` and so on.
The direction names where the axes X, Y and Z run, not where they begin; coordinates count voxels from 0, fractions
kept, on those axes. The files of the MICCAI 2020 release, called `..._iso-ctd.json`, count mm instead.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.nifti import RAS_TO_LPS, Grid

LEVELS = (
    {number: f"C{number}" for number in range(1, 8)}
    | {number: f"T{number - 7}" for number in range(8, 20)}
    | {number: f"L{number - 19}" for number in range(20, 26)}
    | {28: "T13"}
)
ISOTROPIC_SUFFIX = "iso-ctd.json"
ISOTROPIC_DIRECTION = ("P", "I", "R")  # "origin at anterior, superior, left" in the words of that release
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "I": "S", "S": "I"}
EDGE = 0.5  # voxel centres have whole coordinates, so that a volume begins at -0.5


@dataclass(frozen=True)
class Centroids:
    """Centres of vertebrae as a file gives them.

    Attributes
    ----------
    direction
        Where X, Y and Z run, as letters L, R, A, P, I, S.
    places
        (X, Y, Z) by level, for example ``L1``.
    in_mm
        Whether coordinates are mm from the first voxel instead of voxels.
    """

    direction: tuple[str, str, str]
    places: Mapping[str, tuple[float, float, float]]
    in_mm: bool = False


def read_centroids(path: Path) -> Centroids:
    """Read a centroid file; vertebrae without a number are left out, as are labels that are no vertebra.

    Raises
    ------
    NotUsable
        If it is no such file, does not say its direction, or gives a vertebra two places.
    """
    in_mm = path.name.lower().endswith(ISOTROPIC_SUFFIX)
    with refusing(Reason.UNREADABLE_CENTROIDS, name=path.name):
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise NotUsable(Reason.UNREADABLE_CENTROIDS, f"{path.name}: not a list of objects")
        said = [entry["direction"] for entry in entries if "direction" in entry]
        direction = _direction(said or ([ISOTROPIC_DIRECTION] if in_mm else []), name=path.name)
        places: dict[str, tuple[float, float, float]] = {}
        for entry in entries:
            _add_place(entry, places, name=path.name)
    return Centroids(direction, places, in_mm=in_mm)


def _direction(said: list, *, name: str) -> tuple[str, str, str]:
    axes = {frozenset((letter, OPPOSITE.get(letter))) for direction in said for letter in direction}
    if len(said) != 1 or len(said[0]) != 3 or len(axes) != 3 or not set(said[0]) <= set(OPPOSITE):
        raise NotUsable(Reason.UNREADABLE_CENTROIDS, f"{name}: direction is {said!r}, not three axes such as P, I, R")
    return tuple(said[0])


def _add_place(entry: Mapping[str, Any], places: dict[str, tuple[float, float, float]], *, name: str) -> None:
    if "direction" in entry:
        return
    level = LEVELS.get(_whole(entry["label"]))
    place = tuple(float(entry[axis]) for axis in "XYZ")
    if level is None or any(math.isnan(value) for value in place):
        return
    if places.setdefault(level, place) != place:
        raise NotUsable(Reason.UNREADABLE_CENTROIDS, f"{name}: {level} lies at two places")


def _whole(label: Any) -> int:
    number = float(label)
    if not number.is_integer():
        raise ValueError(f"label {label!r} is not a whole number")
    return int(number)


def center_mm(centroids: Centroids, level: str, *, grid: Grid) -> tuple[float, float, float]:
    """Where a vertebra lies in the DICOM patient coordinate system.

    Parameters
    ----------
    centroids
        Of this volume.
    level
        For example ``L1``.
    grid
        Of the volume; its axes may run any way.

    Returns
    -------
    (left, posterior, head) in mm.

    Raises
    ------
    NotUsable
        If the file has no such vertebra, or it lies outside the volume.
    """
    place = centroids.places.get(level)
    if place is None:
        raise NotUsable(Reason.NO_CENTROID, f"{level} is not in the centroid file")
    # The volume as it would be stored with axes along X, Y and Z: its affine maps the coordinates to mm.
    turn = ornt_transform(io_orientation(grid.affine), axcodes2ornt(centroids.direction))
    affine = grid.affine @ inv_ornt_aff(turn, grid.shape)
    voxel = np.array(place) / (nib.affines.voxel_sizes(affine) if centroids.in_mm else 1.0)
    shape = np.array(grid.shape)[np.argsort(turn[:, 0])]
    if not ((voxel >= -EDGE) & (voxel <= shape - EDGE)).all():
        words = [", ".join(f"{value:g}" for value in values) for values in (np.round(voxel, 1), shape)]
        raise NotUsable(Reason.CENTER_OUTSIDE_VOLUME, f"{level} at voxel {words[0]} of {words[1]}")
    left, posterior, head = nib.affines.apply_affine(RAS_TO_LPS @ affine, voxel)
    return float(left), float(posterior), float(head)
