"""A tree of DICOM files at any depth, zip archives included; a row names a file, a series' folder, or a UID."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Optional

import numpy as np
from pydicom.dataset import Dataset

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.dicom import ct_picture, open_ct
from helpers.cohort.files.elements import frame_count
from helpers.cohort.files.headers import SliceHeader, normal, read_header, scan_headers, slice_header
from helpers.cohort.files.multiframe import promote
from helpers.cohort.files.series import folder_headers, read_frames, read_series
from helpers.cohort.files.stack import arrange
from helpers.cohort.files.storage import ZIP_SUFFIX, Storage
from helpers.cohort.labels.entries import Labelled
from helpers.cohort.labels.labels_table import labelled_table
from helpers.cohort.picture import Picture, View
from helpers.study import CohortParams

FILE_COLUMNS = ("file", "SOPInstanceUID", "SeriesInstanceUID")
# A single image shows a vertebra whose centre lies about as far off its plane as vertebrae are wide, not further.
REACH_MM = 40.0


@dataclass(frozen=True)
class DicomTree:
    """DICOM files at any depth; a row names one image file, a folder that holds a series, or a UID of either."""

    no_spacing: ClassVar[Reason] = Reason.MISSING_PIXEL_SPACING
    folder: Path
    labels: Optional[Path]
    params: CohortParams
    notes: tuple[Path, ...] = ()

    def __reduce__(self) -> tuple:
        """Only the fields travel to worker processes, not what was found out since."""
        return type(self), (self.folder, self.labels, self.params, self.notes)

    @cached_property
    def storage(self) -> Storage:
        """The folder, with archives opened."""
        return Storage(self.folder)

    def files(self) -> list[str]:
        """Every file but the labels table and the notes; members of zip archives are files."""
        return self.storage.files(without=(self.labels, *self.notes))

    def labelled(self) -> Labelled:
        """Read the labels table; a row without a file is found by its SOPInstanceUID or SeriesInstanceUID."""
        return self._labelled

    @cached_property
    def _labelled(self) -> Labelled:
        needed = (FILE_COLUMNS, "label")
        return labelled_table(
            self.labels,
            needed=needed,
            params=self.params,
            exists=self.storage.exists,
            locate=self._locate,
            is_series=self.storage.is_folder,
        )

    def read(self, view: View) -> Picture:
        """Read one CT image as stored, or a plane of a series or of a multi-frame image."""
        if self.storage.is_folder(view.source):
            return read_series(self.storage, view, params=self.params)
        if _asks_for_volume(view, self.params) and self._frames(view.source) > 1:
            return read_frames(self.storage, view, params=self.params)
        with refusing(Reason.UNREADABLE_DICOM, name=view.source):
            dataset = open_ct(self.storage.read(view.source), name=view.source)
            if "PerFrameFunctionalGroupsSequence" in dataset:
                promote(dataset)
            if frame_count(dataset) > 1:
                return read_frames(self.storage, view, params=self.params)
            return _single(dataset, view, params=self.params)

    def unnamed(self, file: str) -> Reason | NotUsable:
        """Tell what no row names, by its header: no DICOM, not readable, no CT slice, a copy, or without a label.

        A file in the folder of a named series is told as what sets it apart from the slices; slices of the series count
        as files without a label of their own.
        """
        if (finding := self.storage.finding(file)) is not None:
            return finding.reason
        told, _ = self._series
        if file in told:
            return told[file]
        found = read_header(self.storage, file)
        if isinstance(found, NotUsable):
            return _closed_archive(file) if found.reason == Reason.NOT_DICOM else found.reason
        return Reason.DUPLICATE_FILE if _image(found) in self._named_images else _kind(found)

    @cached_property
    def _series(self) -> tuple[Mapping[str, Reason | NotUsable], set[int]]:
        """What is told of the images in the folders of named series, and which images their slices are."""
        chosen: dict[str, set[Optional[str]]] = {}
        for entry in self.labelled().entries:
            if self.storage.is_folder(entry.view.source):
                chosen.setdefault(entry.view.source, set()).add(entry.view.series)
        told: dict[str, Reason | NotUsable] = {}
        images: set[int] = set()
        for folder in sorted(chosen):  # a folder within another one comes after it, and knows better
            aside, slices = self._arranged(folder, series=chosen[folder])
            told |= aside | {item.file: Reason.UNLABELLED_FILE for item in slices}
            images |= {_image(item) for item in slices if item.instance is not None}
        return told, images

    def _arranged(
        self, folder: str, *, series: set[Optional[str]]
    ) -> tuple[dict[str, Reason | NotUsable], list[SliceHeader]]:
        """What every named series leaves aside, and their slices; one that cannot be arranged is told by its row."""
        headers: list[SliceHeader] = []
        try:
            headers += [item for item in folder_headers(self.storage, folder) if isinstance(item, SliceHeader)]
            found = [arrange(headers, name=folder, series=key) for key in sorted(series, key=str)]
        except NotUsable:
            return {item.file: _kind(item) for item in headers}, []
        aside = {
            file: next((other.aside[file] for other in found if other.aside[file] != Reason.OTHER_SERIES), reason)
            for file, reason in found[0].aside.items()
            if all(file in other.aside for other in found)
        }
        repeated = {
            other.file: NotUsable(Reason.DUPLICATE_SLICE, f"repeats {kept.file}")
            for stack in found
            for kept, other in stack.twins
            if aside.get(other.file) == Reason.DUPLICATE_SLICE
        }
        return aside | repeated, [item for stack in found for item in stack.slices]

    @cached_property
    def _named_images(self) -> set[int]:
        """Which images rows name, by themselves or as slices of a series."""
        sources = {entry.view.source for entry in self.labelled().entries}
        files = sorted(source for source in sources if not self.storage.is_folder(source))
        named = scan_headers(self.storage, files, workers=self.params.workers)
        _, images = self._series
        return images | {_image(item) for item in named if isinstance(item, SliceHeader) and item.instance is not None}

    def _locate(self, row: Mapping[str, Optional[str]]) -> Optional[str]:
        """File of the image, or folder of the series, whose UID a row gives."""
        images, series = self._uids
        return images.get(row["SOPInstanceUID"]) or series.get(row["SeriesInstanceUID"])

    @cached_property
    def _uids(self) -> tuple[dict[str, str], dict[str, str]]:
        """Files by SOPInstanceUID, and by SeriesInstanceUID the file or the nearest folder that holds them all."""
        images: dict[str, str] = {}
        series: dict[str, list[str]] = {}
        for item in scan_headers(self.storage, self.files(), workers=self.params.workers):
            if isinstance(item, SliceHeader) and item.is_ct:
                images.setdefault(item.instance, item.file)
                series.setdefault(item.series, []).append(item.file)
        images.pop(None, None)
        series.pop(None, None)
        return images, {uid: _common(files) for uid, files in series.items()}

    def _frames(self, file: str) -> int:
        found = read_header(self.storage, file)
        return 1 if isinstance(found, NotUsable) else found.n_frames


def _common(files: list[str]) -> str:
    """The only file, or the deepest folder that all of them lie in."""
    if len(files) == 1:
        return files[0]
    return posixpath.commonpath([posixpath.dirname(file) or "." for file in files]) or "."


def _kind(header: SliceHeader) -> Reason:
    """Why an image that no row names is no slice, or that it has no label."""
    if not header.is_ct:
        return Reason.NOT_CT
    return Reason.LOCALIZER if header.is_localizer else Reason.UNLABELLED_FILE


def _image(header: SliceHeader) -> int:
    """A number for identity and geometry, the same wherever the file lies.

    The SOPInstanceUID alone would not do, as some exports give it to many images; the headers themselves would take
    half a gigabyte for a thousand series.
    """
    return hash(replace(header, file=""))


def _closed_archive(file: str) -> Reason:
    """An archive that stands in the listing itself could not be opened, unless it lies within another one."""
    closed = file.lower().endswith(ZIP_SUFFIX) and file.lower().count(ZIP_SUFFIX) == 1
    return Reason.UNREADABLE_ARCHIVE if closed else Reason.NOT_DICOM


def _asks_for_volume(view: View, params: CohortParams) -> bool:
    return view.center is not None or view.slice_index is not None or params.n_planes > 1


def _single(dataset: Dataset, view: View, *, params: CohortParams) -> Picture:
    """A single image; what only a volume can give is refused, not ignored."""
    picture = ct_picture(dataset, name=view.source)
    if params.n_planes > 1:
        raise NotUsable(Reason.NOT_A_VOLUME, f"{view.source}: one image has no neighbouring planes")
    if view.slice_index not in (None, 0):
        raise NotUsable(Reason.PLANE_OUTSIDE_VOLUME, f"{view.source}: plane {view.slice_index} of a single image")
    return picture if view.center is None else _centred(picture, dataset, view=view)


def _centred(picture: Picture, dataset: Dataset, *, view: View) -> Picture:
    """The picture with the view's centre as (row, column) on it; a centre in mm is projected onto the plane."""
    if view.center_unit == "voxel":
        column, row, _ = view.center
        return replace(picture, center_px=(row, column))
    plane = slice_header(dataset, file=view.source)
    if plane.position is None or plane.orientation is None or plane.spacing_mm is None:
        raise NotUsable(Reason.CENTER_OUTSIDE_VOLUME, f"{view.source}: a centre in mm, but the image has no position")
    offset = np.subtract(view.center, plane.position)
    away_mm = abs(float(offset @ normal(plane.orientation)))
    if away_mm > REACH_MM:
        raise NotUsable(Reason.CENTER_OUTSIDE_VOLUME, f"{view.source}: the centre lies {away_mm:.0f} mm off its plane")
    along_row, along_column = np.array(plane.orientation).reshape(2, 3)
    row_mm, column_mm = plane.spacing_mm
    return replace(picture, center_px=(float(offset @ along_column / row_mm), float(offset @ along_row / column_mm)))
