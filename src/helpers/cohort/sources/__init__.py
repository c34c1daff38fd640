"""The kinds of source, one small module each, and how the parameters choose among them."""

from collections.abc import Callable
from typing import Optional

from helpers.cohort.exclusions import CohortError
from helpers.cohort.sources.dicom_tree import DicomTree
from helpers.cohort.sources.image_folder import ImageFolder
from helpers.cohort.sources.protocol import Source
from helpers.cohort.sources.rsna import Rsna
from helpers.cohort.sources.verse import Verse
from helpers.phantom import PhantomSpec, simulate_cohort
from helpers.study import CohortParams, ExternalCohort
from helpers.study.paths import project_file, short_path

__all__ = ["DicomTree", "ImageFolder", "Report", "Rsna", "Source", "Verse", "open_source", "phantom_spec"]

Report = Callable[[int, int], None]
KINDS = {"dicom": DicomTree, "images": ImageFolder, "verse": Verse, "rsna": Rsna}
PHANTOM_LABELS = "labels.csv"
PHANTOM_NOTES = ("truth.parquet", "phantom.json", "masks", "SEG")


def open_source(params: CohortParams, *, report: Optional[Report] = None) -> Source:
    """Find the cohort that the parameters name; simulate it first if it is the simulated one and not there yet.

    Raises
    ------
    CohortError
        If the folder or the labels table is missing.
    """
    folder = project_file(params.folder)
    if params.source == "phantom":
        folder = simulate_cohort(phantom_spec(params), folder, report=report)
        notes = tuple(folder / name for name in PHANTOM_NOTES)
        return DicomTree(folder, folder / PHANTOM_LABELS, params=params, notes=notes)
    if not folder.is_dir():
        raise CohortError(f"{short_path(folder)}: no such folder; correct {_section(params)}.folder")
    labels = None if params.labels is None else project_file(params.labels)
    if labels is not None and not labels.is_file():
        raise CohortError(f"{short_path(labels)}: no such labels table; correct {_section(params)}.labels")
    return KINDS[params.source](folder, labels, params=params)


def phantom_spec(params: CohortParams) -> PhantomSpec:
    """The simulated cohort that the parameters ask for; `CohortError` names the one that cannot be met."""
    try:
        return PhantomSpec(
            images=dict(params.phantom_images),
            patients=params.phantom_patients,
            seed=params.phantom_seed,
            orientation=params.phantom_plane,
            levels=None if params.phantom_levels is None else tuple(params.phantom_levels),
        )
    except ValueError as error:
        raise CohortError(f"{_section(params)}.phantom_{error}") from error


def _section(params: CohortParams) -> str:
    return f"external {params.name}" if isinstance(params, ExternalCohort) else "cohort"
