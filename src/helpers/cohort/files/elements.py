"""Values of a DICOM header, taken from their bytes as they lie in the file.

pydicom decodes and checks an element when it is first asked for, which takes about ten times as long as reading a text
or a number of known form from its bytes. What is encoded in another way is left to pydicom.
"""

from functools import cache
from math import isfinite
from typing import Optional

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import STR_VR

# None: with implicit VR the file does not tell; those who ask know what they ask for.
TEXT_VR = frozenset({None, *STR_VR})
WHOLE_VR = frozenset({None, "US"})
WHOLE_BYTES = 2


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(tag_for_keyword(keyword))


def texts(dataset: Dataset, keyword: str) -> list[str]:
    """The values of an element that holds text or decimal numbers, stripped: none, one or several."""
    stored = dataset.get_item(_tag(keyword))
    if stored is None:
        return []
    if isinstance(stored, RawDataElement) and stored.VR in TEXT_VR and _is_ascii(stored.value):
        return [part.strip(" \0") for part in stored.value.decode("ascii").split("\\")]
    return [str(value).strip() for value in values(dataset.get(keyword))]


def _is_ascii(value: object) -> bool:
    return isinstance(value, bytes) and value.isascii()


def text(dataset: Dataset, keyword: str) -> Optional[str]:
    """A value as stripped text, None if it is empty; several values are joined by a backslash as in DICOM."""
    return "\\".join(texts(dataset, keyword)).strip() or None


def number(dataset: Dataset, keyword: str) -> Optional[float]:
    """A finite decimal number, or None."""
    found = numbers(dataset, keyword, count=1)
    return None if found is None else found[0]


def numbers(dataset: Dataset, keyword: str, *, count: int) -> Optional[tuple[float, ...]]:
    """That many finite decimal numbers, or None."""
    try:
        found = tuple(map(float, texts(dataset, keyword)))
    except ValueError:
        return None
    return found if len(found) == count and all(map(isfinite, found)) else None


def whole(dataset: Dataset, keyword: str) -> Optional[int]:
    """An unsigned 16-bit number (VR US), None if it is missing."""
    stored = dataset.get_item(_tag(keyword))
    if isinstance(stored, RawDataElement) and stored.VR in WHOLE_VR and stored.length == WHOLE_BYTES:
        return int.from_bytes(stored.value, "little" if stored.is_little_endian else "big")
    return None if stored is None else dataset.get(keyword)


def frame_count(dataset: Dataset) -> int:
    """NumberOfFrames, 1 where it is not said."""
    return int(dataset.NumberOfFrames) if text(dataset, "NumberOfFrames") else 1


def values(value: object) -> list:
    """The values of an element as a list: none, one or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]
