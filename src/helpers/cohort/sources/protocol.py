"""What every kind of source offers: its files, what its labels say, and one decoded picture at a time."""

from pathlib import Path
from typing import ClassVar, Optional, Protocol

from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.entries import Labelled
from helpers.cohort.picture import Picture, View
from helpers.study import CohortParams


class Source(Protocol):
    """What the reading of a cohort asks of a kind of source. Sources are sent to worker processes, so they pickle.

    Attributes
    ----------
    no_spacing
        Reason for a picture whose pixel size nobody gives.
    folder
        Where the pictures lie.
    params
        What the cohort was asked for with.
    labels
        File of the labels, or None where folders or file names say them; for messages.
    """

    no_spacing: ClassVar[Reason]
    folder: Path
    labels: Optional[Path]
    params: CohortParams

    def files(self) -> list[str]:
        """Every file of the cohort, relative to `folder` and sorted, but for the labels and the source's own notes."""
        ...

    def labelled(self) -> Labelled:
        """Read the labels.

        Raises
        ------
        CohortError
            If they are missing, not readable, or lack a needed column.
        """
        ...

    def read(self, view: View) -> Picture:
        """Decode one picture, or raise `NotUsable`."""
        ...

    def unnamed(self, file: str) -> Reason | NotUsable:
        """Why a file that no label names is not used, with a detail where there is more to say."""
        ...
