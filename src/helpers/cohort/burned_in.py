"""Letters that a viewer or a scanner drew into the pixels: names, dates and record numbers hide there.

A small detector, not a reader: it finds rows of thin bright strokes with sharp edges that are as high as their
neighbours, as print is and anatomy hardly ever. A lone letter, dark print and letters higher than `MAX_HEIGHT_PX` are
not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, grey_opening, label

# In shares of the image's range: the step from print to what lies beside it, two pixels on to pass a smoothed edge.
MIN_STEP = 0.35
STEP_PX = 2
MIN_STEPS = 24  # three letters have more steps than that; most CT images have none and are done with here
STROKE_PX = 7  # a stroke of print is thinner; what is wider in both directions is not print
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 5, 48
MIN_GLYPHS = 4
MAX_WIDTH = 1.6  # of a glyph, in its heights
MAX_GAP = 0.8  # between glyphs of one row, in heights
MAX_HEIGHT_RATIO = 1.8  # a capital and a small letter
MAX_OFFSET = 0.4  # of the middle of a glyph from its neighbour's, in heights
MARGIN_PX = 8


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
    """How many glyphs stand in rows of at least `MIN_GLYPHS`, as letters of print do.

    Parameters
    ----------
    pixels
        (Rows, Columns) or (3, Rows, Columns), of which the middle plane is looked at; HU or grey values.
    """
    plane = pixels if pixels.ndim == 2 else pixels[len(pixels) // 2]
    low, high = plane.min(), plane.max()
    if low == high:
        return 0
    found = _place_of_steps(plane, least=MIN_STEP * (float(high) - float(low)))
    if found is None:
        return 0
    part = plane[found].astype(np.float32)
    bright = part - grey_opening(part, size=(STROKE_PX, STROKE_PX)) > MIN_STEP * (float(high) - float(low))
    return sum(len(row) for row in text_rows(_glyphs(bright)))


def _place_of_steps(plane: np.ndarray, *, least: float) -> tuple[slice, slice] | None:
    """The part of the image around all sharp upward steps; None where there are too few for print."""
    wide = plane if plane.dtype == np.float32 else plane.astype(np.int16)
    steps = np.flatnonzero(wide[:, STEP_PX:] - wide[:, :-STEP_PX] > least)
    if len(steps) < MIN_STEPS:
        return None
    rows, columns = np.divmod(steps, wide.shape[1] - STEP_PX)
    return (
        slice(max(0, rows.min() - MARGIN_PX), rows.max() + MARGIN_PX + 1),
        slice(max(0, columns.min() - MARGIN_PX), columns.max() + MAX_HEIGHT_PX + 1),
    )


def _glyphs(bright: np.ndarray) -> list[Glyph]:
    """Connected pieces that are as high and wide as a letter, from left to right."""
    pieces, _ = label(bright, structure=np.ones((3, 3)))
    glyphs = [Glyph(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in find_objects(pieces)]
    sized = [
        glyph
        for glyph in glyphs
        if MIN_HEIGHT_PX <= glyph.height <= MAX_HEIGHT_PX and glyph.right - glyph.left <= MAX_WIDTH * glyph.height
    ]
    return sorted(sized, key=lambda glyph: (glyph.left, glyph.top))


def text_rows(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Rows of at least `MIN_GLYPHS` glyphs, each beside the one before it; `glyphs` run from left to right."""
    rows: list[list[Glyph]] = []
    for glyph in glyphs:
        row = next((row for row in rows if _follows(glyph, row[-1])), None)
        if row is None:
            rows.append([glyph])
        else:
            row.append(glyph)
    return [row for row in rows if len(row) >= MIN_GLYPHS]


def _follows(glyph: Glyph, last: Glyph) -> bool:
    """Whether a glyph stands to the right of the last one of a row, on its line and about as high."""
    small, large = sorted((glyph.height, last.height))
    return (
        large <= MAX_HEIGHT_RATIO * small
        and abs(glyph.middle - last.middle) <= MAX_OFFSET * large
        and -0.2 * large <= glyph.left - last.right <= MAX_GAP * large
    )
