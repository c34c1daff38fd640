"""VerSe: NIfTI volumes with centroid files, labelled by the published Genant table."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from helpers.cohort.exclusions import Reason
from helpers.study import CohortParams


@dataclass(frozen=True)
class Verse:
    """Volumes under `rawdata`, centroids under `derivatives`; one sample per graded vertebra."""

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams
