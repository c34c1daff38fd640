"""Letters that a viewer or a scanner drew into the pixels: names, dates and record numbers hide there.

A small detector, not a reader: it finds rows of thin bright strokes with sharp edges that are as high as their
neighbours, as print is and anatomy hardly ever. A lone letter, dark print and letters higher than `MAX_HEIGHT_PX` are
not found. Of an image full of edges, such as noise, only the upper part is looked at, so that none takes long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from helpers.cohort.picture import middle_plane

# Print is brighter than what lies beside it by this share of the image's range: where the contrast is low, a row must
# be longer to be believed. The second number is the least count of glyphs in a row.
LEVELS = ((0.30, 4), (0.20, 5))
LEAST_STEP = min(step for step, _ in LEVELS)
STEP_PX = 2  # a step is taken over two pixels, to pass a smoothed edge
MIN_STEPS = 24  # three letters have more steps than that; many CT images have fewer and are done with here
STROKE_PX = 7  # a stroke of print is thinner; what is wider in both directions is not print
WINDOW_STEPS = (1, 2, 3)  # the extreme of 7 neighbours is that of 2, then of those 2 on, then of those 3 on
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 5, 48
MIN_PIXELS = 4 * MIN_HEIGHT_PX  # of the shortest row of the smallest glyphs
MAX_WIDTH = 1.6  # of a glyph, in its heights
MAX_GAP = 0.8  # between glyphs of one row, in heights
MAX_HEIGHT_RATIO = 1.8  # a capital and a small letter
MAX_OFFSET = 0.4  # of the middle of a glyph from its neighbour's, in heights
MARGIN_PX = 8
# A page of print has some thousand runs of bright pixels; MAX_GLYPHS are several lines of it.
MAX_RUNS, MAX_GLYPHS = 12_000, 200
GREYS = 255


@dataclass(frozen=True)
class Glyph:
    """A connected piece of bright stroke: its box in pixels, ends not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows that it spans."""
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Row of its middle."""
        return (self.top + self.bottom) / 2


def count_glyphs(pixels: np.ndarray) -> int:
    """How many glyphs stand in rows, as letters of print do.

    Parameters
    ----------
    pixels
        (Rows, Columns) or (3, Rows, Columns), of which the middle plane is looked at; HU or grey values.
    """
    plane = middle_plane(pixels)
    low, high = float(plane.min()), float(plane.max())
    if low == high:
        return 0
    grey = ((plane - np.float32(low)) * np.float32(GREYS / (high - low))).astype(np.uint8)
    place = _place_of_steps(grey)
    if place is None:
        return 0
    part = grey[place]
    relief = part - _opened(part)
    found = [text_rows(_glyphs(relief > np.uint8(step * GREYS)), least=least) for step, least in LEVELS]
    return max(sum(map(len, rows)) for rows in found)


def _place_of_steps(grey: np.ndarray) -> tuple[slice, slice] | None:
    """The part of the image around all sharp upward steps; None where there are too few for print."""
    left, right = grey[:, :-STEP_PX], grey[:, STEP_PX:]
    steps = np.maximum(left, right) - left > np.uint8(LEAST_STEP * GREYS)
    if np.count_nonzero(steps) < MIN_STEPS:
        return None
    rows, columns = np.flatnonzero(steps.any(axis=1)), np.flatnonzero(steps.any(axis=0))
    return (
        slice(max(0, rows[0] - MARGIN_PX), rows[-1] + MARGIN_PX + 1),
        slice(max(0, columns[0] - MARGIN_PX), columns[-1] + MAX_HEIGHT_PX + 1),
    )


def _opened(grey: np.ndarray) -> np.ndarray:
    """Grey opening by a square of `STROKE_PX`: bright structures thinner than that vanish.

    Twenty times as fast on uint8 as `scipy.ndimage.grey_opening`, to which the test holds it equal.
    """
    padded = np.pad(grey, STROKE_PX - 1, mode="edge")
    for extreme in (np.minimum, np.maximum):
        for step in WINDOW_STEPS:
            padded = extreme(padded[step:], padded[:-step])
            padded = extreme(padded[:, step:], padded[:, :-step])
    return padded


def _glyphs(bright: np.ndarray) -> list[Glyph]:
    """Connected pieces as high and wide as a letter, from left to right; only the uppermost where there are many."""
    if np.count_nonzero(bright) < MIN_PIXELS:
        return []
    top, bottom, left, right = _boxes(bright)
    height = bottom - top
    sized = (height >= MIN_HEIGHT_PX) & (height <= MAX_HEIGHT_PX) & (right - left <= MAX_WIDTH * height)
    boxes = np.column_stack([top, bottom, left, right])[sized][:MAX_GLYPHS].tolist()
    return sorted((Glyph(*box) for box in boxes), key=lambda glyph: (glyph.left, glyph.top))


def _boxes(bright: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Top, bottom, left and right of the connected pieces, diagonals included, in the order of their first pixel.

    Where little is bright, much faster than `scipy.ndimage.label`, to which the test holds it equal: the runs of bright
    pixels are connected, not the pixels.
    """
    padded = np.pad(bright, ((0, 0), (1, 1)))
    width = padded.shape[1]
    edges = np.flatnonzero(padded.ravel()[1:] != padded.ravel()[:-1])[: 2 * MAX_RUNS]
    starts, ends = edges[::2], edges[1::2]
    # Runs of the next row that begin before this one ends, and end after it begins.
    first, last = np.searchsorted(ends, starts + width), np.searchsorted(starts, ends + width, side="right")
    count = last - first
    offsets = np.concatenate([[0], np.cumsum(count)])
    lower = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], count)
    links = csr_array((np.ones(len(lower)), lower, offsets), shape=(len(starts),) * 2)
    piece = connected_components(links, directed=False)[1]
    order = np.argsort(piece, kind="stable")
    at = np.flatnonzero(np.diff(piece[order], prepend=-1))
    rows, left, right = starts[order] // width, starts[order] % width, ends[order] % width
    return (
        np.minimum.reduceat(rows, at),
        np.maximum.reduceat(rows, at) + 1,
        np.minimum.reduceat(left, at),
        np.maximum.reduceat(right, at),
    )


def text_rows(glyphs: Sequence[Glyph], *, least: int) -> list[list[Glyph]]:
    """Rows of at least `least` glyphs, each beside the one before it; `glyphs` run from left to right."""
    rows: list[list[Glyph]] = []
    within_reach: list[list[Glyph]] = []
    for glyph in glyphs:
        within_reach = [row for row in within_reach if glyph.left - row[-1].right <= MAX_GAP * MAX_HEIGHT_PX]
        row = next((row for row in within_reach if _follows(glyph, row[-1])), None)
        if row is None:
            row = []
            rows.append(row)
            within_reach.append(row)
        row.append(glyph)
    return [row for row in rows if len(row) >= least]


def _follows(glyph: Glyph, last: Glyph) -> bool:
    """Whether a glyph stands to the right of the last one of a row, on its line and about as high."""
    height, other = glyph.height, last.height
    large = max(height, other)
    return (
        -0.2 * large <= glyph.left - last.right <= MAX_GAP * large
        and abs(glyph.middle - last.middle) <= MAX_OFFSET * large
        and large <= MAX_HEIGHT_RATIO * min(height, other)
    )
