"""Plane geometry the phantom is drawn with: rigid frames, signed depths and antialiased coverage.

Every plane here is sagittal and measured in mm: ``p`` grows towards posterior (image columns), ``c`` towards caudal
(image rows). A vertebra has its own frame with ``u`` (posterior) and ``v`` (caudal). A *depth* is a signed distance
that is positive inside a shape, so that ``min`` intersects and ``max`` unites shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Range = tuple[float, float]


def draw(rng: np.random.Generator, bounds: Range) -> float:
    """Draw one number uniformly from ``bounds`` (low, high)."""
    return float(rng.uniform(*bounds))


@dataclass(frozen=True)
class Frame:
    """Rigid placement of a local frame in the sagittal plane.

    Parameters
    ----------
    p_mm, c_mm
        Plane position of the local origin.
    angle_rad
        Turn of the local axes; positive lowers the posterior end of ``u``.
    """

    p_mm: float
    c_mm: float
    angle_rad: float

    def to_plane(self, points: np.ndarray) -> np.ndarray:
        """Map local points, shape (..., 2) as (u, v) in mm, to plane points (p, c) of the same shape."""
        points = np.asarray(points, dtype=float)
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        u, v = points[..., 0], points[..., 1]
        return np.stack([self.p_mm + u * cos - v * sin, self.c_mm + u * sin + v * cos], axis=-1)

    def to_local(self, p: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map plane coordinates (broadcastable arrays, mm) to local ``(u, v)``."""
        cos, sin = np.float32(np.cos(self.angle_rad)), np.float32(np.sin(self.angle_rad))
        dp, dc = p - np.float32(self.p_mm), c - np.float32(self.c_mm)
        return dp * cos + dc * sin, dc * cos - dp * sin


def coverage(depth_mm: np.ndarray, *, edge_mm: float) -> np.ndarray:
    """Fraction of a sample that a shape covers: a linear ramp ``edge_mm`` wide around depth 0, in [0, 1]."""
    return np.clip(depth_mm * np.float32(1.0 / edge_mm) + np.float32(0.5), 0.0, 1.0)


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


def capsule_depth(u: np.ndarray, v: np.ndarray, *, ends: Sequence[Sequence[float]], radii: Range) -> np.ndarray:
    """Depth in a stroke from ``ends[0]`` to ``ends[1]`` whose radius changes linearly from ``radii[0]`` to ``[1]``."""
    (u0, v0), (u1, v1) = np.asarray(ends, dtype=np.float32)
    eu, ev = u1 - u0, v1 - v0
    along = np.clip(((u - u0) * eu + (v - v0) * ev) / max(eu * eu + ev * ev, np.float32(1e-12)), 0.0, 1.0)
    radius = np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])
    return radius - np.hypot(u - u0 - along * eu, v - v0 - along * ev)


def ellipse_depth(u: np.ndarray, v: np.ndarray, *, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Approximate depth in an axis-parallel ellipse (exact at its centre and to first order at its rim)."""
    along_u = (u - np.float32(centre[0])) / np.float32(radii[0])
    scaled = np.hypot(along_u, (v - np.float32(centre[1])) / np.float32(radii[1]))
    return (1.0 - scaled) * np.float32(min(radii))
