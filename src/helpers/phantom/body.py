"""One vertebral body in space: its sides, the pieces it may be broken into, osteophytes and Schmorl nodes.

The outline is tabulated in the midline and carried sideways: an axial section is an ellipse with a flattened back, end
plates are hollow towards the centre only. Everything is evaluated point by point, so any plane may cut it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from helpers.phantom.anatomy import GRID_STEP_MM, U_GRID_MM, V_GRID_MM, Endplate
from helpers.phantom.geometry import Points, Triple, box_corners, capsule_depth, intersect_depths

#: The back is flattened within 0.6 of half the width; this is the square of that share.
FLAT_BACK = 0.36


@dataclass(frozen=True)
class Cut:
    """A slightly wavy fracture plane: the side where ``depth`` is positive belongs to a piece."""

    normal: Triple
    offset_mm: float
    wave_mm: float = 0.0
    phase: float = 0.0

    def depth(self, points: Points) -> np.ndarray:
        """Signed distance from the plane at local points (w, u, v), mm."""
        (w, u, v), (nw, nu, nv) = points, (np.float32(n) for n in self.normal)
        depth = w * nw + u * nu + v * nv - np.float32(self.offset_mm)
        if not self.wave_mm:
            return depth
        along = u * (nv - np.float32(0.6) * nw) + v * (np.float32(0.4) * nw - nu) + w * np.float32(0.6 * nu - 0.4 * nv)
        return depth + np.float32(self.wave_mm) * np.sin(np.float32(0.9) * along + np.float32(self.phase))

    def flipped(self) -> "Cut":
        """The same plane seen from the other side."""
        w, u, v = self.normal
        return Cut((-w, -u, -v), -self.offset_mm, self.wave_mm, -self.phase)


@dataclass(frozen=True)
class Piece:
    """A part of a body, moved as a rigid whole; without `within` and `without` it is the whole body.

    Parameters
    ----------
    within
        Cuts on whose positive side the piece lies.
    without
        A region (cuts on whose positive sides it lies) that is taken out of the piece.
    shift_mm
        Displacement (w, u, v).
    turn_rad, pivot_mm
        Turn in the sagittal plane about the point (u, v).
    gap_mm
        Width of the lucent line along the cuts.
    """

    within: tuple[Cut, ...] = ()
    without: tuple[Cut, ...] = ()
    shift_mm: Triple = (0.0, 0.0, 0.0)
    turn_rad: float = 0.0
    pivot_mm: tuple[float, float] = (0.0, 0.0)
    gap_mm: float = 0.0

    def material(self, points: Points) -> Points:
        """Where the material now at local points was before the piece moved."""
        if not (any(self.shift_mm) or self.turn_rad):
            return points
        (w, u, v), (sw, su, sv), (pu, pv) = points, self.shift_mm, self.pivot_mm
        cos, sin = np.float32(np.cos(self.turn_rad)), np.float32(np.sin(self.turn_rad))
        du, dv = u - np.float32(pu + su), v - np.float32(pv + sv)
        return w - np.float32(sw), du * cos + dv * sin + np.float32(pu), dv * cos - du * sin + np.float32(pv)

    def trim(self, depth: np.ndarray, *, points: Points) -> np.ndarray:
        """Depth within this piece, given the body's ``depth`` at the same material points."""
        inset = np.float32(self.gap_mm / 2)
        for cut in self.within:
            depth = np.minimum(depth, cut.depth(points) - inset)
        if self.without:
            depth = np.minimum(depth, -region_depth(self.without, points=points) - inset)
        return depth


def region_depth(cuts: Sequence[Cut], *, points: Points) -> np.ndarray:
    """Depth in the region that lies on the positive side of every cut, mm."""
    depths = [cut.depth(points) for cut in cuts]
    return np.minimum.reduce(np.broadcast_arrays(*depths))


@dataclass(frozen=True)
class Spur:
    """An osteophyte: a ridge along the rim, as a tapering stroke in coordinates squeezed along the rim.

    `squeeze` holds factors for (w, u); `ends` are (w, u, v) in squeezed coordinates, mm.
    """

    ends: tuple[Triple, Triple]
    radii_mm: tuple[float, float]
    squeeze: tuple[float, float]

    def depth(self, points: Points) -> np.ndarray:
        """Signed depth at local points, mm (across the ridge)."""
        w, u, v = points
        squeezed = (w * np.float32(self.squeeze[0]), u * np.float32(self.squeeze[1]), v)
        return capsule_depth(squeezed, ends=self.ends, radii=self.radii_mm)


@dataclass(frozen=True)
class SchmorlNode:
    """Disc pressed into an end plate: its place (w, u) and half width in mm, its depth in mm, which plate."""

    lower: bool
    centre_mm: tuple[float, float]
    half_width_mm: float
    depth_mm: float

    def dent(self, w: np.ndarray, u: np.ndarray) -> np.ndarray:
        """How far the plate is pressed in, mm, towards the middle of the body."""
        squared = ((w - np.float32(self.centre_mm[0])) ** 2 + (u - np.float32(self.centre_mm[1])) ** 2) / np.float32(
            self.half_width_mm**2
        )
        return np.float32(self.depth_mm) * np.exp(-(squared**1.3))


@dataclass(frozen=True)
class Heights:
    """Anterior, middle and posterior height of a body in the midline, mm; `ratio` is the smallest over its normal.

    `ratios` are all three over the level's mean shape at the body's size.
    """

    anterior_mm: float
    middle_mm: float
    posterior_mm: float
    ratios: Triple

    @property
    def ratio(self) -> float:
        """The smallest of the three ratios."""
        return min(self.ratios)


@dataclass(frozen=True)
class BodyShape:
    """Outline of one body, plus pieces, osteophytes and nodes.

    ``top`` and ``bottom`` hold ``v`` over `U_GRID_MM`; ``front_inset`` and ``back_inset`` hold over `V_GRID_MM` how
    far the walls stand in (negative: out) from half the depth. `slants_mm` is how much lower each plate stands at the
    left rim than in the midline. `heights` are read before nodes are pressed in, because a reader disregards those.
    """

    half_depth_mm: float
    half_width_mm: float
    flatness: float
    top: Endplate
    bottom: Endplate
    front_inset: np.ndarray
    back_inset: np.ndarray
    corner_mm: float
    heights: Heights
    slants_mm: tuple[float, float] = (0.0, 0.0)
    pieces: tuple[Piece, ...] = (Piece(),)
    spurs: tuple[Spur, ...] = ()
    nodes: tuple[SchmorlNode, ...] = ()

    @cached_property
    def _tables(self) -> tuple[np.ndarray, ...]:
        plates = (self.top, self.bottom)
        steepness = (1 / np.sqrt(1 + np.gradient(plate.midline, GRID_STEP_MM) ** 2) for plate in plates)
        tables = (self.top.rim, self.top.hollow, self.bottom.rim, self.bottom.hollow, *steepness)
        return tuple(np.asarray(table, dtype=np.float32) for table in (*tables, self.front_inset, self.back_inset))

    def endplate_depths(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Depth below the upper and above the lower end plate at local points (w, u, v), mm, positive inside."""
        w, u, v = points
        top_rim, top_hollow, bottom_rim, bottom_hollow, top_cosine, bottom_cosine, *_ = self._tables
        index = _grid_index(u, grid=U_GRID_MM)
        t = w * np.float32(1 / self.half_width_mm)
        centrality = np.clip(1 - np.float32(1.15) * t * t, 0, 1)
        top = top_rim[index] + top_hollow[index] * centrality + np.float32(self.slants_mm[0]) * t
        bottom = bottom_rim[index] + bottom_hollow[index] * centrality + np.float32(self.slants_mm[1]) * t
        for node in self.nodes:
            if node.lower:
                bottom -= node.dent(w, u)
            else:
                top += node.dent(w, u)
        return (v - top) * top_cosine[index], (bottom - v) * bottom_cosine[index]

    def wall_depth(self, points: Points) -> np.ndarray:
        """Depth behind the wall around the body at local points, mm, positive inside."""
        w, u, v = points
        *_, front_inset, back_inset = self._tables
        t = w * np.float32(1 / self.half_width_mm)
        s = u * np.float32(1 / self.half_depth_mm)
        beside = np.minimum(t * t * np.float32(1 / FLAT_BACK), 1)
        s = s - np.float32(self.flatness) * beside * np.clip(2 * s, 0, 1)
        s2, t2 = s * s, t * t
        s2 += np.float32(1e-6)  # the middle itself has no direction; let it look to the front and back
        squared = s2 + t2
        radius = np.sqrt(squared)
        reach = (s2 * np.float32(self.half_depth_mm) + t2 * np.float32(self.half_width_mm)) / squared
        behind = np.float32(0.5) + np.float32(0.5) * s / radius
        index = _grid_index(v, grid=V_GRID_MM)
        front = front_inset[index]
        return (1 - radius) * reach - front - (back_inset[index] - front) * behind

    def depth(self, points: Points) -> np.ndarray:
        """Signed depth in the unbroken body without osteophytes, with rounded corners, mm."""
        return self.join(np.minimum(*self.endplate_depths(points)), wall=self.wall_depth(points))

    def join(self, plate: np.ndarray, *, wall: np.ndarray) -> np.ndarray:
        """Combine end-plate and wall depth into the body's depth, rounding the corners."""
        return intersect_depths(plate, wall, rounding_mm=self.corner_mm)

    def with_spurs(self, depth: np.ndarray, *, points: Points) -> np.ndarray:
        """Unite a body depth with the osteophytes."""
        for spur in self.spurs:
            depth = np.maximum(depth, spur.depth(points))
        return depth

    def broken_depth(self, points: Points) -> np.ndarray:
        """Signed depth in the bone of all pieces where they now are, without osteophytes, mm."""
        depths = []
        for piece in self.pieces:
            material = piece.material(points)
            depths.append(piece.trim(self.depth(material), points=material))
        return np.maximum.reduce(depths)

    def corner(self, *, posterior: bool, lower: bool) -> np.ndarray:
        """Corner (u, v) of the outline in the midline, shape (2,)."""
        u = self.half_depth_mm if posterior else -self.half_depth_mm
        plate = self.bottom if lower else self.top
        return np.array([u, plate.midline[_grid_index(np.array(u), grid=U_GRID_MM)]])

    def corners(self) -> np.ndarray:
        """Local points (8, 3) whose bounding box holds the unbroken body."""
        return self._box(self.top.rim, self.bottom.rim)

    def plate_corners(self, *, lower: bool) -> np.ndarray:
        """Local points (8, 3) whose bounding box holds one end plate, from its rim to its deepest hollow."""
        plate = self.bottom if lower else self.top
        return self._box(plate.rim, plate.midline)

    def _box(self, *lines: np.ndarray) -> np.ndarray:
        """Corners (8, 3) of the box over the body's width and depth that holds lines of ``v`` over `U_GRID_MM`."""
        v = np.stack(lines)[:, np.abs(U_GRID_MM) <= self.half_depth_mm]
        w, u = self.half_width_mm, self.half_depth_mm
        return box_corners((-w, -u, v.min()), high=(w, u, v.max()))

    def outline(self) -> np.ndarray:
        """Points (n, 2) as (u, v) around the unbroken body in the midline, without osteophytes."""
        across = np.abs(U_GRID_MM) <= self.half_depth_mm
        plates = [np.stack([U_GRID_MM, plate.midline], axis=-1)[across] for plate in (self.top, self.bottom)]
        walls = []
        for posterior, inset in ((False, self.front_inset), (True, self.back_inset)):
            upper, lower = (self.corner(posterior=posterior, lower=side)[1] for side in (False, True))
            between = (upper <= V_GRID_MM) & (lower >= V_GRID_MM)
            u = self.half_depth_mm - inset if posterior else inset - self.half_depth_mm
            walls.append(np.stack([u, V_GRID_MM], axis=-1)[between])
        return np.concatenate([*plates, *walls])


def _grid_index(x: np.ndarray, *, grid: np.ndarray) -> np.ndarray:
    return np.clip((x - grid[0]) * np.float32(1 / GRID_STEP_MM) + np.float32(0.5), 0, len(grid) - 1).astype(np.intp)
