"""From stored DICOM pixels to Hounsfield units: what the pixel format must be, decoding, and the modality rescale.

pydicom decodes, with the plugins of pylibjpeg where the pixels are compressed; it also undoes the sign mistake of some
JPEG 2000 encoders. The one format that nearly all CT comes in, 16 bits uncompressed, is taken from memory as it lies
there, since checking that general case by case costs more time than reading the file.
"""

import contextlib
from collections.abc import Iterator
from typing import Optional

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_rescale
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from helpers.cohort.exclusions import MESSAGE_LENGTH, NotUsable, Reason, refusing
from helpers.cohort.files.elements import frame_count, number, text, whole

HU_MIN_BITS = 9
AIR_HU = -1024.0
# The scale of 12-bit CT. A padding value within it may be tissue, one outside cannot.
HU_SCALE = (-1024.0, 3071.0)
# 1024 slices of 512 x 512 pixels. A header that claims more would fill the memory.
MAX_PIXELS = 2**28
PLAIN_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
PLAIN_BITS = 16
# What PS3.3 C.7.6.3 requires of every image beside PhotometricInterpretation, and no decoder can do without.
FORMAT_KEYWORDS = ("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
MARKED_SYNTAXES = (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)
EXACT_IN_FLOAT32 = 2**23
UNKNOWN_RESCALE_TYPES = (None, "HU", "US")


def check_pixel_format(dataset: Dataset, *, name: str) -> None:
    """Refuse pixels that cannot hold HU, or whose description contradicts itself.

    The rescale is checked by `rescale_of`, because a multi-frame image may give it for each frame.

    Raises
    ------
    NotUsable
        If the description is incomplete, in colour, has too few bits, or contradicts itself.
    """
    found = {keyword: whole(dataset, keyword) for keyword in FORMAT_KEYWORDS}
    found["PhotometricInterpretation"] = text(dataset, "PhotometricInterpretation")
    for keyword, value in found.items():
        if value is None:
            raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: {keyword} is missing")
    if found["SamplesPerPixel"] != 1:
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: SamplesPerPixel is {found['SamplesPerPixel']}")
    # MONOCHROME1 only asks to be shown inverted (PS3.3 C.7.6.3.1.2): its stored values mean the same HU.
    if found["PhotometricInterpretation"] not in ("MONOCHROME1", "MONOCHROME2"):
        detail = f"PhotometricInterpretation is {found['PhotometricInterpretation']!r}"
        raise NotUsable(Reason.COLOUR_IMAGE, f"{name}: {detail}")
    stored, allocated = int(found["BitsStored"]), int(found["BitsAllocated"])
    if stored < HU_MIN_BITS:
        raise NotUsable(Reason.NOT_HU, f"{name}: only {stored} bits are stored, as in a screenshot")
    high_bit = whole(dataset, "HighBit")
    if stored > allocated or high_bit not in (None, stored - 1):
        detail = f"BitsAllocated {allocated}, BitsStored {stored}, HighBit {high_bit}"
        raise NotUsable(Reason.CONTRADICTORY_HEADER, f"{name}: {detail}")
    pixels = int(found["Rows"]) * int(found["Columns"]) * frame_count(dataset)
    if not 0 < pixels <= MAX_PIXELS:
        raise NotUsable(Reason.CONTRADICTORY_HEADER, f"{name}: Rows, Columns and frames make {pixels} pixels")


def hounsfield(dataset: Dataset, *, name: str) -> np.ndarray:
    """Decode the pixels and apply the modality rescale (PS3.3 C.11.1); padding outside the CT scale becomes air.

    Returns
    -------
    float32 HU of shape (Rows, Columns), or (frames, Rows, Columns).

    Raises
    ------
    NotUsable
        If the pixels are cut short, damaged, or compressed in a way that no installed decoder reads, or if the
        rescale is missing or gives no HU.
    """
    slope, intercept = rescale_of(dataset, name=name)
    stored = stored_values(dataset, name=name)
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        hu = rescaled(stored, slope=slope, intercept=intercept, name=name)
        return without_padding(hu, stored=stored, padding=_padding(dataset, slope=slope, intercept=intercept))


def rescale_of(dataset: Dataset, *, name: str) -> tuple[float, float]:
    """RescaleSlope and RescaleIntercept of an image or of the rescale item of a frame.

    Raises
    ------
    NotUsable
        If either is missing, the slope is 0, or the result is another quantity than HU.
    """
    with refusing(Reason.MISSING_RESCALE, name=name):
        slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        if not slope or intercept is None:
            told = [text(dataset, keyword) for keyword in ("RescaleSlope", "RescaleIntercept")]
            raise NotUsable(Reason.MISSING_RESCALE, f"{name}: slope {told[0]}, intercept {told[1]}")
    # PS3.3 C.11.1.1.2: US is "unspecified", which scanners write for CT in HU; anything else is another quantity.
    kind = text(dataset, "RescaleType")
    if kind not in UNKNOWN_RESCALE_TYPES:
        raise NotUsable(Reason.NOT_HU, f"{name}: RescaleType is {kind!r}")
    return slope, intercept


def stored_values(dataset: Dataset, *, name: str) -> np.ndarray:
    """Decode the pixels as stored: (Rows, Columns), or (frames, Rows, Columns).

    Raises
    ------
    NotUsable
        As `hounsfield` does.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    with refusing(Reason.UNREADABLE_DICOM, name=name):
        if not syntax.is_compressed and dataset["PixelData"].is_undefined_length:
            detail = f"{name}: pixels in fragments, which the transfer syntax {syntax.name} does not have"
            raise NotUsable(Reason.CONTRADICTORY_HEADER, detail)
        if syntax in PLAIN_SYNTAXES and whole(dataset, "BitsAllocated") == PLAIN_BITS:
            return _plain_values(dataset, name=name)
        if syntax in MARKED_SYNTAXES:
            _check_complete(dataset, name=name)
        with _decoder_findings(syntax, name=name):
            return dataset.pixel_array


def _check_complete(dataset: Dataset, *, name: str) -> None:
    """Refuse compressed frames without their end: some decoders fill up what is missing without a word."""
    for frame in generate_frames(dataset.PixelData, number_of_frames=frame_count(dataset)):
        if END_OF_IMAGE not in frame.rstrip(b"\0")[-len(END_OF_IMAGE) - 1 :]:  # one byte fills up an odd length
            raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: the compressed pixels are cut short")


@contextlib.contextmanager
def _decoder_findings(syntax: UID, *, name: str) -> Iterator[None]:
    """Tell pixels that no decoder reads from other damage; what a decoder in Rust panics about is damage too."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if not syntax.is_compressed:
            raise
        words = " ".join(str(error).split())[:MESSAGE_LENGTH]
        raise NotUsable(Reason.UNSUPPORTED_COMPRESSION, f"{name}: {syntax.name}: {words}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # derives from BaseException, and cannot be imported
            raise
        raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: {syntax.name}: {error}") from error


def _plain_values(dataset: Dataset, *, name: str) -> np.ndarray:
    """Uncompressed 16-bit values; bits beyond BitsStored, where old files keep overlays, are cleared."""
    frames, rows, columns = frame_count(dataset), whole(dataset, "Rows"), whole(dataset, "Columns")
    content, count = dataset.PixelData, frames * rows * columns
    if len(content) < 2 * count:
        raise NotUsable(Reason.UNREADABLE_DICOM, f"{name}: {len(content)} bytes of pixels instead of {2 * count}")
    representation = whole(dataset, "PixelRepresentation")
    if representation not in (0, 1):
        raise NotUsable(Reason.CONTRADICTORY_HEADER, f"{name}: PixelRepresentation is {representation!r}")
    stored = np.frombuffer(content, dtype="<i2" if representation else "<u2", count=count)
    unused = PLAIN_BITS - whole(dataset, "BitsStored")
    if unused and representation:  # the shift back repeats the sign
        stored = (stored << unused) >> unused
    elif unused:
        stored = stored & np.uint16(2**PLAIN_BITS - 1 >> unused)
    return stored.reshape((frames, rows, columns) if frames > 1 else (rows, columns))


def rescaled(stored: np.ndarray, *, slope: float, intercept: float, name: str) -> np.ndarray:
    """Stored values as float32 HU.

    Raises
    ------
    NotUsable
        If the result is not finite.
    """
    if slope == 1 and intercept.is_integer() and abs(intercept) < EXACT_IN_FLOAT32 and stored.dtype.itemsize <= 2:
        hu = stored.astype(np.float32)
        hu += np.float32(intercept)  # exact, and several times faster than by float64
        return hu
    item = Dataset()
    item.RescaleSlope, item.RescaleIntercept = slope, intercept
    with np.errstate(over="ignore"):  # told below, with the value that causes it
        hu = apply_rescale(stored, item).astype(np.float32)
    if not np.isfinite(hu).all():
        raise NotUsable(Reason.MISSING_RESCALE, f"{name}: RescaleSlope {slope} gives no finite HU")
    return hu


def without_padding(hu: np.ndarray, *, stored: np.ndarray, padding: Optional[tuple[float, float]]) -> np.ndarray:
    """Set the pixels whose stored value lies in the padding range to air, in place."""
    if padding is not None:
        hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return hu


def _padding(dataset: Dataset, *, slope: float, intercept: float) -> Optional[tuple[float, float]]:
    """Range of stored values that are no measurement (PS3.3 C.7.5.1.1.2), unless they could be tissue.

    Scanners fill what lies outside the circle of reconstruction, mostly by -2000. Left as they are, such values would
    pull every mean and window down; a padding value within the CT scale changes nothing there and is left alone.
    """
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    bounds = [_as_stored(item, dataset) for item in (value, limit if isinstance(limit, int) else value)]
    low, high = min(bounds), max(bounds)
    in_hu = sorted((low * slope + intercept, high * slope + intercept))
    outside = in_hu[1] < HU_SCALE[0] or in_hu[0] > HU_SCALE[1]
    return (low, high) if outside else None


def _as_stored(value: int, dataset: Dataset) -> int:
    """A padding value in the sign of the pixels; some files write it unsigned beside signed pixels."""
    signed = whole(dataset, "PixelRepresentation") == 1
    return value - 2**PLAIN_BITS if signed and value >= 2 ** (PLAIN_BITS - 1) else value
