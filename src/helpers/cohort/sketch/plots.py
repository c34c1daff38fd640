"""What compression, burst and normal look like from the side, drawn for readers new to the spine.

The shapes follow the usual definitions (Denis 1983, 10.1097/00007632-198311000-00003): in a compression fracture the
front of the vertebral body gives way and its posterior wall holds; in a burst fracture the wall breaks as well and
bone is driven into the spinal canal.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

DEPTH_MM, HEIGHT_MM, DISC_MM, CANAL_MM = 34.0, 27.0, 8.0, 16.0
BROKEN_FROM = 0.45  # of the height of a broken back wall; above it lies the fragment
BONE, BROKEN, WALL, FLUID, DISC, INK = "#D9CBB0", "#D55E00", "#0072B2", "#CFE3F1", "#EEEEEE", "#222222"
FONT_SIZE = 9

ALT = (
    "Three drawings of three stacked vertebrae from the side, front on the left, spinal canal on the right. Normal: "
    "the middle body is as high in front as behind. Compression: its front is lower, so that it is a wedge, and its "
    "back wall is whole. Burst: it is lower in front and behind, its back wall is broken, and a piece of it lies in "
    "the canal."
)


@dataclass(frozen=True)
class _Kind:
    """A vertebral body: heights of its walls as a share of normal, and how far bone stands in the canal in mm."""

    title: str
    front: float
    back: float
    fragment_mm: float
    remark: str


KINDS = (
    _Kind("normal", 1.0, 1.0, 0.0, "front and back equally high"),
    _Kind("compression", 0.6, 1.0, 0.0, "front lower, back wall whole"),
    _Kind("burst", 0.62, 0.8, 7.0, "back wall broken, bone in the canal"),
)


def fracture_kinds() -> Figure:
    """Draw a normal vertebra, a compression fracture and a burst fracture from the side; `ALT` says it in words."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(KINDS)), KINDS, strict=True):
        _draw(axes, kind)
    return figure


def body_corners(kind: _Kind) -> np.ndarray:
    """Corners of a body: lower front, lower back, upper back, upper front.

    Returns
    -------
    (4, 2) mm backward and upward from the lower front.
    """
    front, back = kind.front * HEIGHT_MM, kind.back * HEIGHT_MM
    return np.array([[0, 0], [DEPTH_MM, 0], [DEPTH_MM, back], [0, front]])


def _draw(axes: Axes, kind: _Kind) -> None:
    """The body on an intact one, and above it another that stands on its upper end plate."""
    whole = body_corners(KINDS[0])
    below, body = whole - [0, HEIGHT_MM + DISC_MM], body_corners(kind)
    above = _standing_on(body, whole + [0, DISC_MM])
    stack = [below, body, above]
    wall = np.concatenate([corners[1:3] for corners in stack])
    axes.add_patch(Polygon(np.concatenate([wall, wall[::-1] + [CANAL_MM, 0]]), facecolor=FLUID, edgecolor="none"))
    for lower, upper in zip(stack, stack[1:], strict=False):
        axes.add_patch(Polygon(np.concatenate([lower[[3, 2]], upper[[1, 0]]]), facecolor=DISC, edgecolor="none"))
    for corners in stack:
        axes.add_patch(Polygon(_rounded(corners), facecolor=BONE, edgecolor=INK, linewidth=1.2))
    broken_from = BROKEN_FROM if kind.fragment_mm else 1.0
    axes.plot([DEPTH_MM] * 2, np.array([0.08, broken_from - 0.08]) * body[2, 1], color=WALL, linewidth=4)
    if kind.fragment_mm:
        axes.add_patch(Polygon(_fragment(kind), facecolor=BROKEN, edgecolor=INK, linewidth=1.2, hatch="///"))
    _label(axes, kind)


def _standing_on(body: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Carry corners drawn above a level end plate over to the end plate of a body, which may be tilted."""
    along = (body[2] - body[3]) / np.linalg.norm(body[2] - body[3])
    turn = np.array([along, [-along[1], along[0]]])
    return body[2] + (corners - [DEPTH_MM, 0]) @ turn


def _rounded(corners: np.ndarray, *, times: int = 4) -> np.ndarray:
    """Cut the corners of a closed outline again and again (Chaikin 1974, 10.1016/0146-664X(74)90028-8)."""
    # a point close to each corner first, so that walls stay straight
    following = np.roll(corners, -1, axis=0)
    outline = np.stack([0.9 * corners + 0.1 * following, 0.1 * corners + 0.9 * following], axis=1).reshape(-1, 2)
    for _ in range(times):
        following = np.roll(outline, -1, axis=0)
        outline = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], axis=1)
        outline = outline.reshape(-1, 2)
    return outline


def _fragment(kind: _Kind) -> np.ndarray:
    """Outline of the upper part of the back wall, pushed into the canal."""
    top, depth = kind.back * HEIGHT_MM, kind.fragment_mm
    corners = [[-4, 0.5], [0, BROKEN_FROM], [depth, 0.65], [0.9 * depth, 0.92], [-3, 0.95]]
    return np.array([DEPTH_MM, 0]) + corners * np.array([1, top])


def _label(axes: Axes, kind: _Kind) -> None:
    axes.set(xlim=(-8, DEPTH_MM + CANAL_MM + 8), ylim=(-HEIGHT_MM - DISC_MM - 18, 2 * HEIGHT_MM + DISC_MM + 2))
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(kind.title, fontsize=FONT_SIZE + 2)
    middle = DEPTH_MM / 2
    axes.text(middle, -HEIGHT_MM / 2 - DISC_MM, "vertebral\nbody", ha="center", va="center", fontsize=FONT_SIZE - 1)
    axes.text(middle, -DISC_MM / 2, "disc", ha="center", va="center", fontsize=FONT_SIZE - 2)
    canal = (DEPTH_MM + CANAL_MM / 2, -HEIGHT_MM / 2 - DISC_MM)
    axes.text(*canal, "canal", ha="center", va="center", fontsize=FONT_SIZE - 1, rotation=90)
    foot = -HEIGHT_MM - DISC_MM - 6
    axes.text(0, foot, "← front", ha="left", va="center", fontsize=FONT_SIZE - 1)
    axes.text(DEPTH_MM + CANAL_MM, foot, "back →", ha="right", va="center", fontsize=FONT_SIZE - 1)
    axes.text((DEPTH_MM + CANAL_MM) / 2, foot - 8, kind.remark, ha="center", va="center", fontsize=FONT_SIZE)
