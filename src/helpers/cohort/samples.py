"""One row of the labels on one decoded picture makes one sample: its place, its scale, its patient."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Optional

import pandas as pd

from helpers.cohort.decoding import DecodedPicture
from helpers.cohort.deidentification import is_dummy
from helpers.cohort.exclusions import NotUsable, Reason
from helpers.cohort.labels.entries import BOX_COLUMNS, Box, Entry
from helpers.cohort.picture import View
from helpers.cohort.sources.protocol import Source
from helpers.study import CohortParams

Sample = dict[str, Any]

PIXEL_EDGE = 0.5  # pixel centres have whole coordinates, so that an image begins at -0.5

CENTER_COLUMNS = ("center_1", "center_2", "center_3")
VIEW_COLUMNS = ("slice_index", "rescale_intercept", *CENTER_COLUMNS, "center_unit", "series")


def make_sample(entry: Entry, decoded: DecodedPicture, *, source: Source, params: CohortParams) -> Sample:
    """What is a sample's own; raises `NotUsable` if patient or scale are unknown or the box lies outside."""
    _check_name(entry.view.source)
    header_patient = decoded.columns.get("PatientID")
    patient = entry.patient or header_patient
    if patient is None:
        raise NotUsable(Reason.MISSING_PATIENT, "PatientID is neither in the labels table nor in the file")
    (row_mm, column_mm), origin = _spacing(entry, decoded, mm_per_px=params.mm_per_px, reason=source.no_spacing)
    center_row, center_column = _center(entry, decoded)
    return {
        **entry.facts,
        "key": entry.key,
        "PatientID": patient,
        # Where table and file differ, the file can still tell that two patients of the table are one.
        "header_patient": None if is_dummy(header_patient or "") else header_patient,
        **_view_columns(entry.view),
        "label": entry.label,
        "level": entry.level,
        **dict(zip(BOX_COLUMNS, entry.box or (None,) * 4, strict=True)),
        "center_row_px": center_row,
        "center_col_px": center_column,
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "spacing_from": origin,
    }


def _check_name(source: str) -> None:
    """Refuse a file name that a table cannot hold: with line breaks, escapes, or bytes that are no UTF-8.

    Python keeps such bytes as surrogates (category Cs).
    """
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in source):
        raise NotUsable(Reason.NAME_NOT_TEXT, "the name holds control characters, or bytes that are no UTF-8 text")


def _center(entry: Entry, decoded: DecodedPicture) -> tuple[float, float]:
    """(row, column) of the sample: of its box, else where its centre in space lies, else of the image."""
    rows, columns = decoded.shape
    if entry.box is not None:
        _check_box(entry.box, decoded.shape)
        x0, y0, x1, y1 = entry.box
        return (y0 + y1) / 2, (x0 + x1) / 2
    if decoded.center_px is None:
        return (rows - 1) / 2, (columns - 1) / 2
    row, column = decoded.center_px
    if not (-PIXEL_EDGE <= row <= rows - PIXEL_EDGE and -PIXEL_EDGE <= column <= columns - PIXEL_EDGE):
        detail = f"centre at row {row:.0f}, column {column:.0f} of an image of {rows} x {columns} pixels"
        raise NotUsable(Reason.CENTER_OUTSIDE_VOLUME, detail)
    return decoded.center_px


def _spacing(
    entry: Entry, picture: DecodedPicture, *, mm_per_px: Optional[float], reason: Reason
) -> tuple[tuple[float, float], str]:
    """(row, column) spacing in mm and where it comes from: the file, else the table, else the parameters."""
    if picture.spacing_mm is not None:
        return picture.spacing_mm, "file"
    if entry.mm_per_px is not None:
        return (entry.mm_per_px, entry.mm_per_px), "table"
    if mm_per_px is not None:
        return (mm_per_px, mm_per_px), "parameter"
    raise NotUsable(reason, "neither the file, nor the labels table, nor the parameters give a pixel size")


def _check_box(box: Optional[Box], shape: tuple[int, int]) -> None:
    if box is None:
        return
    x0, y0, x1, y1 = box
    # Many tools write one past the last pixel for x1 and y1: accept it.
    if min(x0, y0) < -PIXEL_EDGE or x1 > shape[1] or y1 > shape[0]:
        detail = f"box {x0:g}, {y0:g}, {x1:g}, {y1:g} in an image of {shape[1]} x {shape[0]} pixels"
        raise NotUsable(Reason.BOX_OUTSIDE_IMAGE, detail)


def view_of(row: Mapping[str, Any]) -> View:
    """The view that a row of the cohort table was read from."""
    known = {column: None if pd.isna(row[column]) else row[column] for column in VIEW_COLUMNS}
    center = tuple(known[column] for column in CENTER_COLUMNS)
    return View(
        row["source"],
        slice_index=None if known["slice_index"] is None else int(known["slice_index"]),
        rescale_intercept=known["rescale_intercept"],
        center=None if center[0] is None else center,
        center_unit=known["center_unit"],
        series=known["series"],
    )


def _view_columns(view: View) -> Sample:
    return {
        "source": view.source,
        "slice_index": view.slice_index,
        "rescale_intercept": view.rescale_intercept,
        **dict(zip(CENTER_COLUMNS, view.center or (None, None, None), strict=True)),
        "center_unit": view.center_unit,
        "series": view.series,
    }
