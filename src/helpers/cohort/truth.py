"""What is true of a simulated cohort beside its labels: measures of every sample, and masks of what its image shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import pandas as pd

from helpers.cohort.exclusions import CohortError
from helpers.cohort.sources import open_source
from helpers.phantom import read_masks_png
from helpers.phantom.simulation import TRUTH
from helpers.study import CohortParams

OF_COHORT = ["sample_id", "PatientID", "source", "label"]


@dataclass(frozen=True)
class Truth:
    """The truth of a simulated cohort.

    Attributes
    ----------
    table
        One row per sample, in the order of the cohort table: its sample_id, PatientID and label, the class that was
        simulated (`simulated_label`), and the measures of `truth.parquet`; lengths in mm.
    folder
        Where the simulated files lie.
    """

    table: pd.DataFrame
    folder: Path

    def masks(self, sample_id: str) -> dict[str, np.ndarray]:
        """Masks of the target's structures, bool (Rows, Columns) in the pixels of the image, by name."""
        (name,) = self.table.loc[self.table["sample_id"] == sample_id, "masks"]
        return read_masks_png(self.folder / name)


def read_truth(cohort: pd.DataFrame, *, params: CohortParams) -> Optional[Truth]:
    """The truth of a cohort, or None where it is not simulated.

    Parameters
    ----------
    cohort
        The cohort table.
    params
        Section `cohort` of the parameters that it was made with.

    Raises
    ------
    CohortError
        If the cohort table names an image that the simulated cohort does not have.
    """
    if params.source != "phantom":
        return None
    folder = open_source(params).folder
    known = pd.read_parquet(folder / TRUTH).rename(columns={"file": "source", "label": "simulated_label"})
    known = known.drop(columns=["PatientID", "level"])
    table = cohort[OF_COHORT].merge(known, on="source", how="left", validate="many_to_one")
    if table["simulated_label"].isna().any():
        raise CohortError("the cohort table names images that the simulated cohort does not have: run 01_data_audit")
    return Truth(table, folder)
