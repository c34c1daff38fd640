"""Each picture of a cohort is decoded once: in this process, or shared out among several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from time import monotonic
from typing import Any, Optional

import numpy as np

from helpers.cohort.exclusions import NotUsable
from helpers.cohort.picture import Picture, View
from helpers.cohort.pixels.measures import measure
from helpers.cohort.sources.protocol import Source
from helpers.cohort.workers import share_out

# Starting a process means importing this package in it: two to three seconds.
WORTH_STARTING_S = 10.0
TRIED_FIRST = 4
CHUNKS_PER_WORKER, MOST_IN_CHUNK = 8, 32


@dataclass(frozen=True)
class DecodedPicture:
    """What is kept of one picture when its pixels are let go.

    Attributes
    ----------
    columns
        What all samples of the picture share in the cohort table.
    shape
        (Rows, Columns).
    spacing_mm, center_px
        As `Picture` has them.
    thumbnail
        As `Measures` has it.
    """

    columns: Mapping[str, Any]
    shape: tuple[int, int]
    spacing_mm: Optional[tuple[float, float]]
    center_px: Optional[tuple[float, float]]
    thumbnail: np.ndarray


def decode(source: Source, view: View) -> DecodedPicture | NotUsable:
    """Read and measure one picture; one that is not usable gives the finding instead."""
    try:
        return _described(source.read(view))
    except NotUsable as finding:
        return finding


def _described(picture: Picture) -> DecodedPicture:
    measures = measure(picture)
    rows, columns = picture.pixels.shape[-2:]
    shared = {
        "Rows": rows,
        "Columns": columns,
        "bits": picture.bits,
        "identifying_attributes": " ".join(picture.identifying_attributes) or None,
        "coloured_fraction": picture.coloured_fraction,
    }
    return DecodedPicture(
        columns=dict(picture.header) | shared | measures.columns,
        shape=(rows, columns),
        spacing_mm=picture.spacing_mm,
        center_px=picture.center_px,
        thumbnail=measures.thumbnail,
    )


def decode_all(source: Source, views: Sequence[View], *, workers: int) -> Iterator[DecodedPicture | NotUsable]:
    """Decode every view, in the order given; the result does not depend on the number of processes.

    Views of one file or series stay together, since the last volume is kept. The first ones are decoded in this
    process, and the rest is shared out only if that is worth the start of other processes.

    Parameters
    ----------
    source
        Sent to the processes.
    views
        Those of one file or series next to each other.
    workers
        Processes; 1 keeps all the work in this one.
    """
    started = monotonic()
    done = 0
    for view in views:
        if workers > 1 and _worth_sharing(done, len(views), seconds=monotonic() - started):
            break
        yield decode(source, view)
        done += 1
    rest = chunked(views[done:], most=max(1, (len(views) - done) // (workers * CHUNKS_PER_WORKER)))
    yield from share_out(partial(decode, source), rest, workers=workers)


def _worth_sharing(done: int, total: int, *, seconds: float) -> bool:
    """Whether the rest, at the pace so far, takes much longer than starting processes does."""
    return done >= TRIED_FIRST and seconds / done * (total - done) > WORTH_STARTING_S


def chunked(views: Sequence[View], *, most: int) -> list[list[View]]:
    """Neighbouring views in groups of at most `most`, or of a whole file or series where that has more views."""
    chunks: list[list[View]] = []
    for _, same in groupby(views, key=lambda view: (view.source, view.series)):
        group = list(same)
        if chunks and len(chunks[-1]) + len(group) <= min(most, MOST_IN_CHUNK):
            chunks[-1] += group
        else:
            chunks.append(group)
    return chunks
