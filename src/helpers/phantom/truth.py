"""What is true of an image: which pixels show which structure of the target, and whether its posterior wall holds."""

import numpy as np

from helpers.phantom.body import BodyShape
from helpers.phantom.canvas import Canvas, Plane
from helpers.phantom.geometry import Points, ellipsoid_depth
from helpers.phantom.spine import Vertebra

#: How thick end plates and posterior wall are in the masks: the shell and the bone just beneath it, mm.
SHELL_MM = 1.5
#: The wall counts as posterior behind this share of half the body's depth.
_WALL_BEGINS = 0.6
#: Smallest step in the posterior wall that counts as a break, mm.
WALL_STEP_MM = 0.5
#: Where the wall is probed for breaks: beside the midline, and clear of the plates.
_PROBE_HALF_WIDTH_MM, _PROBE_INSET_MM = 13.0, 2.0
#: What a mask may show; the order numbers the bits of `helpers.phantom.segmentation.write_masks_png`.
STRUCTURES = ("body", "endplates", "posterior_wall", "fragment", "canal")


def truth_masks(vertebra: Vertebra, *, plane: Plane) -> dict[str, np.ndarray]:
    """Masks of a vertebra's structures in the middle of a slab, bool of shape (rows, columns) by `STRUCTURES`.

    ``body`` is all bone of the body with its fragments; ``endplates`` and ``posterior_wall`` lie within it and move
    with its pieces; ``fragment`` is the piece that a burst drives backwards; ``canal`` is what bone leaves of it.
    """
    masks = {name: np.zeros((plane.rows, plane.columns), dtype=bool) for name in STRUCTURES}
    canvas = Canvas.of(plane)
    # Fragments lie in the canal, so that what holds the canal holds them.
    window = canvas.around(vertebra.frame.to_patient(vertebra.shape.corners()), margin_mm=vertebra.canal_mm + 1)
    if window is None:
        return masks
    points = vertebra.frame.to_local(window.points)
    canal = _canal(points, vertebra=vertebra)
    for number in range(len(vertebra.shape.pieces)):
        bone, plates, wall = _piece_masks(points, vertebra=vertebra, number=number)
        found = {"body": bone, "endplates": plates, "posterior_wall": wall}
        if vertebra.label == "B" and number == len(vertebra.shape.pieces) - 1:
            found["fragment"] = bone
        for name, mask in found.items():
            masks[name][window.part[1:]] |= mask[0]
    masks["canal"][window.part[1:]] = canal[0]
    masks["canal"] &= ~masks["body"]
    return masks


def posterior_wall_broken(shape: BodyShape) -> bool:
    """Whether pieces of the posterior wall stand apart: found on the shape itself, whatever it was meant to be.

    The wall is probed between its plates, `SHELL_MM` beneath its surface; pieces that hold a part of it have moved
    against each other if their displacements differ by more than `WALL_STEP_MM`.
    """
    upper, lower = (shape.corner(posterior=True, lower=side)[1] for side in (False, True))
    v = np.linspace(upper + _PROBE_INSET_MM, lower - _PROBE_INSET_MM, 25)
    w, v = np.meshgrid(np.linspace(-_PROBE_HALF_WIDTH_MM, _PROBE_HALF_WIDTH_MM, 27), v)
    u = np.full_like(w, shape.half_depth_mm - SHELL_MM)
    wall = tuple(np.asarray(x, dtype=np.float32) for x in (w, u, v))
    deep = np.full(w.shape, np.float32(1e3))  # inside any body: only the cuts decide
    holders = [piece for piece in shape.pieces if (piece.trim(deep, points=wall) > 0).any()]
    moved = np.array([piece.shift_mm for piece in holders])
    return len(holders) > 1 and float(np.ptp(moved, axis=0).max()) > WALL_STEP_MM


def _piece_masks(points: Points, *, vertebra: Vertebra, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = vertebra.shape
    piece = shape.pieces[number]
    material = piece.material(points)
    plate, wall = np.minimum(*shape.endplate_depths(material)), shape.wall_depth(material)
    bone = piece.trim(shape.join(plate, wall=wall), points=material) > 0
    back = material[1] > np.float32(_WALL_BEGINS * shape.half_depth_mm)
    return bone, bone & (plate <= SHELL_MM), bone & (wall <= SHELL_MM) & back & (plate > SHELL_MM)


def _canal(points: Points, *, vertebra: Vertebra) -> np.ndarray:
    """The canal behind the body, from its upper to its lower plate."""
    w, u, v = points
    shape = vertebra.shape
    half = vertebra.canal_mm / 2
    centre = (0.0, shape.half_depth_mm + half, 0.0)
    tube = ellipsoid_depth((w, u, np.zeros_like(v)), centre=centre, radii=(vertebra.canal_width_mm / 2, half, 1e3))
    upper, lower = (shape.corner(posterior=True, lower=side)[1] for side in (False, True))
    return (tube > 0) & (v > np.float32(upper)) & (v < np.float32(lower))
