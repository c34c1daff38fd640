"""Geometry the phantom is described with: rigid frames in space, signed depths and antialiased coverage.

A patient is measured in mm along ``x`` (to their left), ``p`` (posterior) and ``c`` (caudal); DICOM's patient
coordinates are (x, p, -c). A vertebra has a frame of its own with ``w`` (left), ``u`` (posterior) and ``v`` (caudal).
A *depth* is a signed distance that is positive inside a shape, so that ``min`` intersects and ``max`` unites shapes.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Range = tuple[float, float]
Triple = tuple[float, float, float]
#: Three arrays that broadcast against each other: coordinates along the three axes of a frame, in mm.
Points = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(rng: np.random.Generator, bounds: Range) -> float:
    """Draw one number uniformly from ``bounds`` (low, high)."""
    return float(rng.uniform(*bounds))


def draw_phase(rng: np.random.Generator) -> float:
    """Draw where in its period a wave begins, rad."""
    return draw(rng, (0.0, 6.28))


def triple(values: Iterable[float]) -> Triple:
    """Three plain floats from anything that holds three numbers."""
    first, second, third = (float(value) for value in values)
    return first, second, third


def box_corners(low: Sequence[float] | np.ndarray, *, high: Sequence[float] | np.ndarray) -> np.ndarray:
    """Corners of the axis-parallel box between two points, shape (8, 3)."""
    return np.array(list(itertools.product(*zip(low, high, strict=True))), dtype=float)


@dataclass(frozen=True)
class Frame:
    """Rigid placement of a vertebra in the patient.

    Parameters
    ----------
    origin_mm
        Patient coordinates (x, p, c) of the local origin.
    sagittal_rad
        Turn in the sagittal plane; positive lowers the posterior end of ``u``.
    coronal_rad
        Side bend: positive lowers the left end of ``w``.
    axial_rad
        Turn about the long axis: positive moves the left end of ``w`` to posterior.
    """

    origin_mm: Triple = (0.0, 0.0, 0.0)
    sagittal_rad: float = 0.0
    coronal_rad: float = 0.0
    axial_rad: float = 0.0

    @cached_property
    def axes(self) -> np.ndarray:
        """Rotation (3, 3): its columns are the local axes w, u, v in patient coordinates."""
        cs, ss = np.cos(self.sagittal_rad), np.sin(self.sagittal_rad)
        cc, sc = np.cos(self.coronal_rad), np.sin(self.coronal_rad)
        ca, sa = np.cos(self.axial_rad), np.sin(self.axial_rad)
        sagittal = np.array([[1, 0, 0], [0, cs, -ss], [0, ss, cs]])
        coronal = np.array([[cc, 0, -sc], [0, 1, 0], [sc, 0, cc]])
        axial = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
        return coronal @ sagittal @ axial

    def to_patient(self, points: np.ndarray) -> np.ndarray:
        """Map local points, shape (..., 3) as (w, u, v) in mm, to patient points (x, p, c) of the same shape."""
        return np.asarray(points, dtype=float) @ self.axes.T + np.asarray(self.origin_mm)

    def to_local(self, points: Points) -> Points:
        """Map patient coordinates to local ``(w, u, v)`` of the broadcast shape, float32."""
        away = [x - np.float32(x0) for x, x0 in zip(points, self.origin_mm, strict=True)]
        w, u, v = (sum(a * np.float32(r) for a, r in zip(away, axis, strict=True)) for axis in self.axes.T)
        return w, u, v


def coverage(depth_mm: np.ndarray, *, edge_mm: float) -> np.ndarray:
    """Fraction of a sample that a shape covers: a linear ramp ``edge_mm`` wide around depth 0, in [0, 1]."""
    return np.clip(depth_mm * np.float32(1.0 / edge_mm) + np.float32(0.5), 0.0, 1.0)


def intersect_depths(depth: np.ndarray, other: np.ndarray, *, rounding_mm: float) -> np.ndarray:
    """Intersection of two depths whose outer edge is rounded with the radius ``rounding_mm``."""
    r = np.float32(rounding_mm)
    inner = np.maximum(np.minimum(depth, other) - r, 0)
    return r + inner - np.hypot(np.maximum(r - depth, 0), np.maximum(r - other, 0))


def unite_depths(depth: np.ndarray, other: np.ndarray, *, blend_mm: float) -> np.ndarray:
    """Union of two depths with a fillet, no deeper than a quarter of ``blend_mm`` (quadratic smooth maximum)."""
    blend = np.float32(blend_mm)
    near = np.maximum(blend - np.abs(depth - other), 0)
    return np.maximum(depth, other) + near * near * np.float32(0.25 / blend_mm)


def polygon_depth(u: np.ndarray, v: np.ndarray, *, vertices: np.ndarray) -> np.ndarray:
    """Signed depth of points in a simple polygon of any winding.

    Parameters
    ----------
    u, v
        Broadcastable coordinates in mm.
    vertices
        Polygon corners, shape (n, 2), n >= 3.
    """
    vertices = np.asarray(vertices, dtype=np.float32)
    shape = np.broadcast(u, v).shape
    squared, inside = np.full(shape, np.inf, dtype=np.float32), np.zeros(shape, dtype=bool)
    for (u0, v0), (u1, v1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        eu, ev, du, dv = u1 - u0, v1 - v0, u - u0, v - v0
        inverse = 1 / max(eu * eu + ev * ev, np.float32(1e-12))
        along = np.clip(du * (eu * inverse) + dv * (ev * inverse), 0.0, 1.0)
        du_near, dv_near = du - along * eu, dv - along * ev
        squared = np.minimum(squared, du_near * du_near + dv_near * dv_near)
        if ev:
            # Even-odd rule: flip where a ray along -u crosses this edge.
            inside ^= ((v0 > v) != (v1 > v)) & (du > dv * (eu / ev))
    distance = np.sqrt(squared)
    return np.where(inside, distance, -distance)


def capsule_depth(points: Points, *, ends: Sequence[Sequence[float]], radii: tuple[float, float]) -> np.ndarray:
    """Depth in a stroke from ``ends[0]`` to ``ends[1]`` whose radius changes linearly from ``radii[0]`` to ``[1]``."""
    start, end = np.asarray(ends, dtype=np.float32)
    way = end - start
    away = [x - x0 for x, x0 in zip(points, start, strict=True)]
    along = sum(a * e for a, e in zip(away, way, strict=True)) / max(float(way @ way), 1e-12)
    along = np.clip(along, 0.0, 1.0).astype(np.float32)
    squared = sum((a - along * e) ** 2 for a, e in zip(away, way, strict=True))
    return np.float32(radii[0]) + along * np.float32(radii[1] - radii[0]) - np.sqrt(squared)


def ellipsoid_depth(points: Points, *, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Approximate depth in an axis-parallel ellipsoid (exact at its centre and to first order at its rim)."""
    scaled = sum(
        ((x - np.float32(x0)) * np.float32(1 / r)) ** 2 for x, x0, r in zip(points, centre, radii, strict=True)
    )
    return (1.0 - np.sqrt(scaled)) * np.float32(min(radii))
