"""The finely sampled slab an image is drawn on: planes through a patient, painting by coverage, random fields."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from helpers.phantom.geometry import Points, Triple, coverage

Orientation = Literal["sagittal", "coronal", "axial"]
ORIENTATIONS: tuple[Orientation, ...] = get_args(Orientation)
#: Which patient axis (0 x, 1 p, 2 c) runs across the slices, down the rows and along the columns of an image.
_AXES: dict[Orientation, tuple[int, int, int]] = {"sagittal": (0, 2, 1), "coronal": (1, 2, 0), "axial": (2, 1, 0)}


def require_orientation(orientation: str) -> None:
    """Raise ValueError unless ``orientation`` is one of `ORIENTATIONS`."""
    if orientation not in ORIENTATIONS:
        raise ValueError(f"orientation: {orientation!r} is none of {', '.join(ORIENTATIONS)}")


@dataclass(frozen=True)
class Plane:
    """An image plane, seen as radiologists see it: posterior to the right (sagittal), the patient's left to the right.

    Parameters
    ----------
    orientation
        ``sagittal``, ``coronal`` or ``axial``.
    centre_mm
        Patient coordinates (x, p, c) of the middle of the image.
    rows, columns
        Size of the image in pixels.
    pixel_mm, thickness_mm
        Side of a square pixel; thickness of the slab it averages.

    Raises
    ------
    ValueError
        If the orientation is unknown.
    """

    orientation: Orientation
    centre_mm: Triple
    rows: int
    columns: int
    pixel_mm: float
    thickness_mm: float

    def __post_init__(self) -> None:
        require_orientation(self.orientation)

    @property
    def axes(self) -> tuple[int, int, int]:
        """Patient axis (0 x, 1 p, 2 c) across the slices, down the rows and along the columns."""
        return _AXES[self.orientation]

    @property
    def row_direction(self) -> Triple:
        """Unit vector (x, p, c) from one column to the next."""
        return tuple(float(axis == self.axes[2]) for axis in range(3))

    @property
    def column_direction(self) -> Triple:
        """Unit vector (x, p, c) from one row to the next."""
        return tuple(float(axis == self.axes[1]) for axis in range(3))

    @property
    def corner_mm(self) -> Triple:
        """Patient coordinates (x, p, c) of the centre of pixel [0, 0]."""
        corner = list(self.centre_mm)
        for axis, count in zip(self.axes[1:], (self.rows, self.columns), strict=True):
            corner[axis] -= self.pixel_mm * (count - 1) / 2
        return tuple(corner)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Map patient points (..., 3) to pixel coordinates (..., 2) as (column, row), whole at pixel centres."""
        places = (np.asarray(points) - self.corner_mm) / self.pixel_mm
        return places[..., [self.axes[2], self.axes[1]]]

    def coordinates(self, *, oversampling: int = 1, slices: int = 1) -> Points:
        """Patient coordinates of fine samples, arrays that broadcast to (slices, rows, columns) times oversampling."""
        counts = (slices, self.rows * oversampling, self.columns * oversampling)
        steps = (self.thickness_mm / slices, self.pixel_mm / oversampling, self.pixel_mm / oversampling)
        placed: list[np.ndarray] = [np.empty(0)] * 3
        for place, (axis, count, step) in enumerate(zip(self.axes, counts, steps, strict=True)):
            line = self.centre_mm[axis] + step * (np.arange(count) - (count - 1) / 2)
            placed[axis] = np.expand_dims(line.astype(np.float32), [i for i in range(3) if i != place])
        return placed[0], placed[1], placed[2]


@dataclass(frozen=True)
class Window:
    """A part of a canvas: its index and its patient coordinates, broadcastable, in mm."""

    part: tuple[slice, slice, slice]
    points: Points


@dataclass(frozen=True)
class Canvas:
    """HU being drawn, float32 of shape (slices, rows, columns), over broadcastable patient coordinates."""

    hu: np.ndarray
    points: Points
    axes: tuple[int, int, int]
    step_mm: float

    @classmethod
    def of(cls, plane: Plane, *, oversampling: int = 1, slices: int = 1) -> "Canvas":
        """An empty canvas over a plane."""
        points = plane.coordinates(oversampling=oversampling, slices=slices)
        hu = np.zeros(np.broadcast_shapes(*(x.shape for x in points)), dtype=np.float32)
        return cls(hu, points, plane.axes, plane.pixel_mm / oversampling)

    @cached_property
    def everywhere(self) -> Window:
        """The window that is the whole canvas."""
        return Window((slice(None),) * 3, self.points)

    def around(self, points: np.ndarray, *, margin_mm: float) -> Window | None:
        """The part within ``margin_mm`` of the bounding box of patient points (n, 3), or None if it is off."""
        low, high = np.min(points, axis=0) - margin_mm, np.max(points, axis=0) + margin_mm
        part: list[slice] = []
        for axis in self.axes:
            line = self.points[axis].ravel()
            part.append(slice(*np.searchsorted(line, (low[axis], high[axis]))))
            if part[-1].start == part[-1].stop:
                return None
        cut = (tuple(s if n > 1 else slice(None) for s, n in zip(part, x.shape, strict=True)) for x in self.points)
        x, p, c = (x[index] for x, index in zip(self.points, cut, strict=True))
        return Window((part[0], part[1], part[2]), (x, p, c))

    def paint(self, window: Window, *, depth_mm: np.ndarray, hu: np.ndarray | float, opacity: float = 1.0) -> None:
        """Mix ``hu`` in where ``depth_mm`` is positive, antialiased at the rim."""
        share = coverage(depth_mm, edge_mm=self.step_mm) * np.float32(opacity)
        part = self.hu[window.part]
        part += share * (hu - part)


@dataclass(frozen=True)
class Field:
    """A random field of unit variance in the patient's space, repeated beyond its extent.

    `values` has shape (nx, np, nc), `step_mm` is its spacing along each axis.
    """

    values: np.ndarray
    step_mm: Triple

    def at(self, points: Points) -> np.ndarray:
        """Values, trilinear, at the grid of three coordinate lines such as a canvas has; the canvas' shape."""
        field = self.values
        # The shortest line first: it makes the field small before the long ones make it large.
        for axis in sorted(range(3), key=lambda axis: points[axis].size):
            place = np.ravel(points[axis]) / self.step_mm[axis]
            below = np.floor(place)
            low = below.astype(np.intp) % field.shape[axis]
            weight = np.expand_dims((place - below).astype(np.float32), [i for i in range(3) if i != axis])
            after = np.take(field, (low + 1) % field.shape[axis], axis=axis)
            field = np.take(field, low, axis=axis) * (1 - weight) + after * weight
        order = [int(np.argmax(x.shape)) for x in points]
        return np.ascontiguousarray(np.moveaxis(field, range(3), _distinct(order, points=points)))


def _distinct(order: list[int], *, points: Points) -> list[int]:
    """Which canvas axis each coordinate line runs along; lines of one sample take the axes that are left."""
    long = {place for place, x in zip(order, points, strict=True) if x.size > 1}
    free = iter(sorted(set(range(3)) - long))
    return [place if x.size > 1 else next(free) for place, x in zip(order, points, strict=True)]


def random_field(rng: np.random.Generator, *, extent_mm: Triple, step_mm: Triple, length_mm: Triple | float) -> Field:
    """A smooth periodic field with features about ``length_mm`` wide (sigma of the smoothing, along each axis)."""
    shape = [max(2, round(extent / step)) for extent, step in zip(extent_mm, step_mm, strict=True)]
    lengths = length_mm if isinstance(length_mm, tuple) else (length_mm,) * 3
    sigma = [length / step for length, step in zip(lengths, step_mm, strict=True)]
    values = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap", truncate=3.0)
    return Field(values / values.std(), step_mm)
