"""RSNA 2022 cervical spine fractures: axial DICOM slices with a table by study and boxes by slice."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Optional

from helpers.cohort.exclusions import Reason
from helpers.study import CohortParams


@dataclass(frozen=True)
class Rsna:
    """Slices under `train_images/<StudyInstanceUID>/<n>.dcm`; one sample per slice, fracture or not."""

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams
