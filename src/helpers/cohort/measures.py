"""What is kept of a picture's pixels once they are decoded: hash, thumbnail, and the facts that the audit asks for."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from helpers.cohort.picture import Picture

THUMBNAIL_SIDE = 32


@dataclass(frozen=True)
class Measures:
    """Facts about the pixels of one picture.

    Attributes
    ----------
    columns
        Goes into the cohort table as it is: column name to plain value.
    thumbnail
        (32, 32) uint8, to compare pictures with; kept in memory only.
    """

    thumbnail: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)


def measure(picture: Picture) -> Measures:
    """Measure one decoded picture."""
    return Measures(np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8), {"pixel_sha256": picture.sha256})
