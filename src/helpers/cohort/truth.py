"""What is true of a simulated cohort beside its labels: measures of every sample, and masks of what its image shows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.cohort.exclusions import CohortError
from helpers.cohort.sources import phantom_spec
from helpers.phantom import read_masks_png
from helpers.phantom.simulation import TRUTH, cohort_folder, is_complete
from helpers.study import CohortParams
from helpers.study.paths import project_file, short_path

COHORT_COLUMNS = ["sample_id", "PatientID", "source", "label"]


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


def read_truth(cohort: pd.DataFrame, *, params: CohortParams) -> Truth | None:
    """The truth of a cohort, or None where it is not simulated; nothing is simulated here.

    Parameters
    ----------
    cohort
        The cohort table.
    params
        Section `cohort` of the parameters that it was made with.

    Raises
    ------
    CohortError
        If the simulated cohort or its table of truth is missing, or the cohort table names an image that it lacks.
    """
    if params.source != "phantom":
        return None
    spec = phantom_spec(params)
    folder = cohort_folder(spec, project_file(params.folder))
    if not is_complete(folder, spec=spec):
        raise CohortError(f"{short_path(folder)}: the simulated cohort is not there: run 01_data_audit, which makes it")
    file = folder / TRUTH
    if not file.is_file():
        raise CohortError(f"{short_path(file)} is missing: remove its folder and run 01_data_audit, which simulates it")
    known = pd.read_parquet(file).rename(columns={"file": "source", "label": "simulated_label"})
    known = known.drop(columns=["PatientID", "level"])
    table = cohort[COHORT_COLUMNS].merge(known, on="source", how="left", validate="many_to_one")
    if table["simulated_label"].isna().any():
        raise CohortError("the cohort table names images that the simulated cohort does not have: run 01_data_audit")
    return Truth(table, folder)
