"""Write an image's truth masks: as a small PNG that any module reads, or as a DICOM Segmentation (PS3.3 A.51).

Structures overlap (an end plate is part of its body), so the PNG holds a bit and the Segmentation a segment for each.
highdicom and pydicom's dictionary of codes take over half a second to load and serve Segmentations only, so they are
imported where these are written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from helpers.phantom.dicom_writer import SOFTWARE, STUDY_DATE, STUDY_TIME, hashed_uid
from helpers.phantom.patient import RenderedImage
from helpers.phantom.truth import STRUCTURES

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

_ANATOMY = ("91723000", "SCT", "Anatomical structure")
_ABNORMAL = ("49755003", "SCT", "Morphologically abnormal structure")
#: How each structure is written: coded category and type of its segment (PS3.3 C.8.20.2), and its RGB in a PNG, where
#: the last shows if several overlap. The private scheme stands in where SNOMED CT names no such thing.
_SEGMENTS = {
    "body": (_ANATOMY, ("3572006", "SCT", "Body of vertebra"), (205, 190, 150)),
    "endplates": (_ANATOMY, ("ENDPLATE", "99HELPERS", "Vertebral endplate"), (230, 120, 40)),
    "posterior_wall": (_ANATOMY, ("264159006", "SCT", "Posterior wall"), (90, 150, 220)),
    "fragment": (_ABNORMAL, ("72704001", "SCT", "Fracture"), (210, 40, 60)),
    "canal": (_ANATOMY, ("61853006", "SCT", "Vertebral canal"), (110, 190, 110)),
}
_SIMULATION = ("SIMULATION", "99HELPERS", "Analytic simulation")
#: Series of segmentations are numbered clear of the CT series they belong to.
_SERIES_STEP = 100
_VERSION = "1"


def write_masks_png(path: Path, *, masks: Mapping[str, np.ndarray]) -> None:
    """Write masks to an indexed 8-bit PNG: bit ``k`` of a pixel is set inside the ``k``-th of `STRUCTURES`.

    Parameters
    ----------
    masks
        Bool (rows, columns) for each of `STRUCTURES`.

    Raises
    ------
    ValueError
        If ``masks`` are not those of `STRUCTURES`.
    """
    bits = np.packbits(_stack(masks), axis=-1, bitorder="little")[..., 0]
    picture = Image.fromarray(bits)
    picture.putpalette(_palette())
    picture.save(path, format="PNG")


def read_masks_png(path: Path) -> dict[str, np.ndarray]:
    """Masks that `write_masks_png` wrote: bool (rows, columns) for each of `STRUCTURES`."""
    with Image.open(path) as picture:
        bits = np.asarray(picture)
    return {name: (bits >> k & 1).astype(bool) for k, name in enumerate(STRUCTURES)}


def _stack(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Bool (rows, columns, structures)."""
    if set(masks) != set(STRUCTURES):
        raise ValueError(f"masks: {', '.join(masks)}; give {', '.join(STRUCTURES)}")
    return np.stack([masks[name] for name in STRUCTURES], axis=-1)


def _palette() -> list[int]:
    """RGB of every combination of bits, one after the other."""
    colours = [(0, 0, 0)]
    for name in STRUCTURES:
        *_, colour = _SEGMENTS[name]
        colours += [colour] * len(colours)
    return [channel for colour in colours for channel in colour]


def write_segmentation(path: Path, *, image: RenderedImage, source: Dataset) -> None:
    """Write an image's masks as a binary DICOM Segmentation of the CT image ``source``.

    A structure that is not in the image has no segment. UIDs follow from those of ``source``; dates are fixed.

    Raises
    ------
    ValueError
        If the masks are not those of `STRUCTURES`, or all are empty.
    """
    stack = _stack(image.masks)
    present = stack.any(axis=(0, 1))
    if not present.any():
        raise ValueError("masks: all are empty; a segmentation needs a segment")
    names = [name for name, there in zip(STRUCTURES, present, strict=True) if there]
    segments = [_segment(number, name=name, level=image.request.level) for number, name in enumerate(names, start=1)]
    segmentation = _segmentation(source, pixels=stack[None, :, :, present], segments=segments)
    _fix_what_varies(segmentation)
    segmentation.save_as(path)


def _segment(number: int, *, name: str, level: str) -> "SegmentDescription":
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    category, kind, _ = _SEGMENTS[name]
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=CodedConcept(*category),
        segmented_property_type=CodedConcept(*kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            SOFTWARE, family=CodedConcept(*_SIMULATION), version=_VERSION
        ),
        anatomic_regions=[getattr(codes.SCT, f"{level}Vertebra")],
    )


def _segmentation(source: Dataset, *, pixels: np.ndarray, segments: list["SegmentDescription"]) -> "Segmentation":
    from highdicom import PixelMeasuresSequence
    from highdicom.seg import Segmentation

    return Segmentation(
        source_images=[source],
        pixel_array=pixels,
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=hashed_uid(source.SeriesInstanceUID, "segmentation"),
        series_number=source.SeriesNumber + _SERIES_STEP,
        series_description=f"Truth of {source.SeriesDescription}",
        sop_instance_uid=hashed_uid(source.SOPInstanceUID, "segmentation"),
        instance_number=source.InstanceNumber,
        manufacturer=SOFTWARE,
        manufacturer_model_name=SOFTWARE,
        software_versions=_VERSION,
        device_serial_number="1",
        content_label="TRUTH",
        content_description="Simulated structures",
        content_date=STUDY_DATE,
        content_time=STUDY_TIME,
        pixel_measures=PixelMeasuresSequence(source.PixelSpacing, slice_thickness=source.SliceThickness),
    )


def _fix_what_varies(segmentation: "Segmentation") -> None:
    """Replace the clock's time and the random UID that highdicom puts in."""
    segmentation.InstanceCreationDate, segmentation.InstanceCreationTime = STUDY_DATE, STUDY_TIME
    for equipment in segmentation.ContributingEquipmentSequence:
        equipment.ContributionDateTime = STUDY_DATE + STUDY_TIME
    dimensions = hashed_uid(segmentation.SOPInstanceUID, "dimensions")
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
