"""Multi-frame CT: one file that holds a stack, with the geometry and rescale of each frame in functional groups.

Enhanced CT (PS3.3 A.38) says per frame, or once for all frames, where it lies and how its values become HU. Older
multi-frame files say neither, and are refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from helpers.cohort.exclusions import NotUsable, Reason, refusing
from helpers.cohort.files.dicom import NUMBER_KEYWORDS, TEXT_KEYWORDS, pixel_spacing
from helpers.cohort.files.elements import frame_count, numbers, texts
from helpers.cohort.files.headers import SliceHeader, slice_header
from helpers.cohort.files.hounsfield import rescale_of, rescaled, stored_values

# PS3.3 C.7.6.16.2 and C.8.15.3: the functional group that holds what a single-frame image says at top level.
POSITION, ORIENTATION = "PlanePositionSequence", "PlaneOrientationSequence"
MEASURES, RESCALE, FRAME_TYPE = (
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
)
# Maps of perfusion and the like come with a rescale too; what unit their values are in stands here, by UCUM.
REAL_WORLD, HU_CODE = "RealWorldValueMappingSequence", "hnsf"
# Enhanced CT measures in units of its own names; by value they are those of the single-frame attributes.
ENHANCED_NAMES = {
    "ExposureInmAs": "Exposure",
    "ExposureTimeInms": "ExposureTime",
    "XRayTubeCurrentInmA": "XRayTubeCurrent",
}
PROMOTED = {
    *TEXT_KEYWORDS,
    *NUMBER_KEYWORDS,
    "RescaleType",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
}


def frame_headers(dataset: Dataset, *, name: str) -> list[SliceHeader]:
    """Geometry of every frame; the `file` of each is the name of the file with the number of the frame, from 1.

    Raises
    ------
    NotUsable
        If the frames have no functional groups.
    """
    count = frame_count(dataset)
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        if len(_items(dataset, "PerFrameFunctionalGroupsSequence")) != count:
            raise NotUsable(Reason.MULTI_FRAME, f"{name}: {count} frames without the position of each")
        whole = slice_header(dataset, file=name)
        return [_frame_header(dataset, index=index, whole=whole) for index in range(count)]


def _frame_header(dataset: Dataset, *, index: int, whole: SliceHeader) -> SliceHeader:
    kind = _group(dataset, FRAME_TYPE, frame=index)
    return replace(
        whole,
        file=f"{whole.file} (frame {index + 1})",
        frame=index,
        is_localizer="LOCALIZER" in texts(kind, "FrameType"),
        position=numbers(_group(dataset, POSITION, frame=index), "ImagePositionPatient", count=3),
        orientation=numbers(_group(dataset, ORIENTATION, frame=index), "ImageOrientationPatient", count=6),
        spacing_mm=pixel_spacing(_group(dataset, MEASURES, frame=index)),
    )


def frame_pixels(dataset: Dataset, frames: Sequence[int], *, name: str) -> list[np.ndarray]:
    """Decode the pixels once and give the frames asked for, each by its own rescale: float32 HU (Rows, Columns).

    Raises
    ------
    NotUsable
        As `hounsfield.hounsfield` does.
    """
    stored = stored_values(dataset, name=name).reshape(-1, dataset.Rows, dataset.Columns)
    result = []
    for frame in frames:
        slope, intercept = _rescale(dataset, frame=frame, name=name)
        result.append(rescaled(stored[frame], slope=slope, intercept=intercept, name=name))
    return result


def _rescale(dataset: Dataset, *, frame: int, name: str) -> tuple[float, float]:
    for units in _items(_group(dataset, REAL_WORLD, frame=frame), "MeasurementUnitsCodeSequence"):
        if HU_CODE not in str(units.get("CodeValue")):
            raise NotUsable(Reason.NOT_HU, f"{name}: its values are in {units.get('CodeValue')!r}")
    item = _group(dataset, RESCALE, frame=frame)
    return rescale_of(item if "RescaleSlope" in item else dataset, name=name)


def promote(dataset: Dataset) -> Dataset:
    """Write what the groups say of the first frame beside the top-level attributes, in place.

    Files are then described alike, and an Enhanced CT file with one frame is read like any image. What stands at the
    top already is kept.
    """
    for element in _first_frame(dataset):
        keyword = ENHANCED_NAMES.get(element.keyword, element.keyword)
        if keyword in PROMOTED and keyword not in dataset:
            setattr(dataset, keyword, element.value if keyword == element.keyword else round(element.value))
    return dataset


def _first_frame(dataset: Dataset) -> Iterator[DataElement]:
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for groups in _items(dataset, name)[:1]:
            for group in groups:
                for item in group.value[:1] if group.VR == "SQ" else ():
                    yield from item


def _group(dataset: Dataset, name: str, *, frame: int) -> Dataset:
    """Item of a functional group that holds for a frame: its own, else the shared one, else an empty one."""
    own = _items(dataset, "PerFrameFunctionalGroupsSequence")[frame : frame + 1]
    shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    for groups in (*own, *shared):
        if items := _items(groups, name):
            return items[0]
    return Dataset()


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence, none where there is no such sequence."""
    found: Optional[Sequence[Dataset]] = dataset.get(keyword)
    return list(found or [])
