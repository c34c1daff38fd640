"""A folder of image files, labelled by a table or by the folders that they lie in.

With a table, a row names one file and its patient. Without one, the files lie as `<class>/<patient>/<file>`, or as
`<class>/<file>`; a folder above or below the class that is called train, val or test is the column `split`. Without a
patient's folder the patient is guessed from the file name (see `patient_guess`): the column `patient_from` of the
cohort table then says `file name`, so that the audit can warn.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Optional

from helpers.cohort.exclusions import Exclusion, NotUsable, Reason
from helpers.cohort.files.images import IMAGE_SUFFIXES, read_image
from helpers.cohort.files.storage import list_files
from helpers.cohort.labels.entries import Entry, Labelled, class_words
from helpers.cohort.labels.labels_table import labelled_table
from helpers.cohort.labels.patient_guess import patient_of
from helpers.cohort.labels.split_words import SPLIT_WORDS
from helpers.cohort.picture import Picture, View
from helpers.study import CohortParams

NO_LINE = 0  # of an entry that no table names
PATIENT_FROM = "patient_from"
BY_FOLDER, BY_NAME = "folder", "file name"


@dataclass(frozen=True)
class ImageFolder:
    """PNG, JPEG, TIFF, WebP or BMP files at any depth, with a labels table or in class folders."""

    no_spacing: ClassVar[Reason] = Reason.NO_MM_PER_PX
    folder: Path
    labels: Optional[Path]
    params: CohortParams

    def files(self) -> list[str]:
        """Every file but the labels table."""
        return list_files(self.folder, without=(self.labels,))

    def labelled(self) -> Labelled:
        """Read the labels table, or take class, patient and split from the folders."""
        if self.labels is None:
            return self._by_folders()
        needed = ("file", "PatientID", "label")
        return labelled_table(self.labels, needed=needed, params=self.params, exists=self._exists)

    def read(self, view: View) -> Picture:
        """Read one image file, in HU where the window is declared that it was exported with."""
        center, width = self.params.image_window_center, self.params.image_window_width
        window = None if center is None or width is None else (center, width)
        return read_image(self.folder / view.source, rescale_intercept=view.rescale_intercept, window=window)

    def unnamed(self, file: str) -> Reason:
        """Tell other files from images without a label."""
        return Reason.UNLABELLED_FILE if _is_image(file) else Reason.NOT_IMAGE

    def _exists(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def _by_folders(self) -> Labelled:
        """One entry for each image file in a class folder."""
        entries: list[Entry] = []
        exclusions: list[Exclusion] = []
        images = [file for file in self.files() if _is_image(file)]
        for file in images:
            try:
                entries.append(entry_of(file, params=self.params))
            except NotUsable as finding:
                exclusions.append(Exclusion(file, finding.reason, finding.detail))
        patients = {entry.view.source: entry.patient for entry in entries}
        return Labelled(entries, exclusions, rows=[(file, patients.get(file)) for file in images])


def _is_image(file: str) -> bool:
    return PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES


def entry_of(file: str, *, params: CohortParams) -> Entry:
    """What the folders and the name of an image file say.

    Parameters
    ----------
    file
        Path from the cohort folder, with POSIX separators.
    params
        Section `cohort`: a class folder is called as a class key, a class name or a value of `label_values`, in any
        case.

    Raises
    ------
    NotUsable
        If the file lies in no folder, or in one that is no class, or its name cannot tell a patient.
    """
    path = PurePosixPath(file)
    folders = list(path.parts[:-1])
    place = next((place for place, name in enumerate(folders[:2]) if name.lower() in SPLIT_WORDS), None)
    split = None if place is None else SPLIT_WORDS[folders.pop(place).lower()]
    if not folders:
        raise NotUsable(Reason.MISSING_LABEL, "lies in no class folder, and there is no labels table")
    label = class_words(params).get(folders[0].casefold())
    if label is None:
        raise NotUsable(Reason.UNKNOWN_LABEL, f"folder {folders[0]!r} is not one of {', '.join(params.class_names)}")
    patient = folders[1] if len(folders) > 1 else patient_of(file)
    if patient is None:
        raise NotUsable(Reason.MISSING_PATIENT, f"neither a folder nor the name {path.name!r} tells the patient")
    facts = {PATIENT_FROM: BY_FOLDER if len(folders) > 1 else BY_NAME} | ({} if split is None else {"split": split})
    return Entry(line=NO_LINE, view=View(file), patient=patient, label=label, facts=facts)
