"""Each picture of a cohort is decoded once: in this process, or shared out among several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from helpers.cohort.exclusions import NotUsable
from helpers.cohort.measures import measure
from helpers.cohort.picture import Picture, View
from helpers.cohort.sources.protocol import Source


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
    """Decode every view, in the order given, whatever the number of processes."""
    for view in views:
        yield decode(source, view)
