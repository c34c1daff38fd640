"""The fine grid an image is drawn on: painting by coverage, and smooth random fields fixed to the patient."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from helpers.phantom.geometry import coverage

#: Extent (cranio-caudal, antero-posterior) and spacing of a patient-wide random field, mm.
FIELD_HALF_MM = (340.0, 150.0)
FIELD_STEP_MM = 4.0


@dataclass(frozen=True)
class Window:
    """A part of a canvas: its index slices and its plane coordinates ``p`` (1, w) and ``c`` (h, 1) in mm."""

    rows: slice
    columns: slice
    p: np.ndarray
    c: np.ndarray


@dataclass
class Canvas:
    """HU being drawn, shape (h, w), over plane coordinates ``p`` (w,) and ``c`` (h,) in mm."""

    hu: np.ndarray
    p: np.ndarray
    c: np.ndarray

    @property
    def step_mm(self) -> float:
        """Spacing of the fine grid."""
        return float(self.p[1] - self.p[0])

    @property
    def everywhere(self) -> Window:
        """The window that is the whole canvas."""
        return Window(slice(None), slice(None), self.p[None, :], self.c[:, None])

    def around(self, points: np.ndarray, *, margin_mm: float) -> Window | None:
        """The part within ``margin_mm`` of the bounding box of plane points (n, 2), or None if it is off the canvas."""
        low, high = np.min(points, axis=0) - margin_mm, np.max(points, axis=0) + margin_mm
        columns = slice(*np.searchsorted(self.p, (low[0], high[0])))
        rows = slice(*np.searchsorted(self.c, (low[1], high[1])))
        if columns.start == columns.stop or rows.start == rows.stop:
            return None
        return Window(rows, columns, self.p[None, columns], self.c[rows, None])

    def paint(self, window: Window, *, depth_mm: np.ndarray, hu: np.ndarray | float, opacity: float = 1.0) -> None:
        """Mix ``hu`` in where ``depth_mm`` is positive, antialiased at the rim."""
        share = coverage(depth_mm, edge_mm=self.step_mm) * np.float32(opacity)
        part = self.hu[window.rows, window.columns]
        part += share * (hu - part)


def random_field(rng: np.random.Generator, *, length_mm: float) -> np.ndarray:
    """A smooth field of unit variance over the patient's plane with features about ``length_mm`` wide."""
    shape = [int(2 * half / FIELD_STEP_MM) for half in FIELD_HALF_MM]
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), length_mm / FIELD_STEP_MM)
    return field / field.std()


def sample_field(field: np.ndarray, *, p: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Values of a `random_field` at the grid of ``c`` (h,) by ``p`` (w,), bilinear, shape (h, w)."""
    for axis, (x, half) in enumerate(zip((c, p), FIELD_HALF_MM, strict=True)):
        place = np.clip((np.ravel(x) + half) / FIELD_STEP_MM, 0, field.shape[axis] - 1.001)
        low = place.astype(np.intp)
        weight = np.expand_dims((place - low).astype(np.float32), 1 - axis)
        field = np.take(field, low, axis=axis) * (1 - weight) + np.take(field, low + 1, axis=axis) * weight
    return field
