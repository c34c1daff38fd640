"""Read a cohort in one pass: every row becomes a sample or an exclusion, every file is accounted for.

Each picture is decoded once, however many samples lie in it; only its hash, scale and header are kept.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd

from helpers.cohort.accounting import flow_step, list_files, unnamed_files
from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable, Reason, exclusions_table
from helpers.cohort.identity import KEY_FILE, Pseudonyms, load_or_create_key
from helpers.cohort.labels import Box, Entry, parse_labels, read_labels
from helpers.cohort.picture import HU_BITS, Picture, View
from helpers.cohort.sources import Report, Source, open_source
from helpers.study import CohortParams
from helpers.study.paths import project_file, short_path

log = logging.getLogger(__name__)

Sample = dict[str, Any]

PIXEL_EDGE = 0.5  # pixel centres have whole coordinates, so that an image begins at -0.5

TEXT_COLUMNS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "level",
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "PatientSex",
    "PatientAge",
    "PatientOrientation",
    "identifying_attributes",
)
NUMBER_COLUMNS = ("KVP", "SliceThickness", "rescale_intercept")


@dataclass(frozen=True)
class Cohort:
    """What notebook 01 found.

    Attributes
    ----------
    table
        One row per sample, as `cohort.parquet` holds it, sorted by `sample_id`.
    exclusions
        One row per file or row of the labels table that is not used, with reason and remedy.
    flow
        Steps from the files to the samples: step, n_files, n_samples, n_patients (None where not known yet), and
        ``excluded``, the reasons counted between the step before and this one.
    source
        Where the pictures lie, to read them again.
    """

    table: pd.DataFrame
    exclusions: pd.DataFrame
    flow: tuple[dict[str, Any], ...]
    source: Source


def read_cohort(params: CohortParams, *, report: Optional[Report] = None) -> Cohort:
    """Read, check and describe every sample of a cohort.

    Parameters
    ----------
    params
        Section `cohort` of the parameters.
    report
        Called as ``report(done, total)`` while pictures are read.

    Raises
    ------
    CohortError
        If the folder, the labels table or a needed column is missing, or no sample, or none of some class, is left.
    """
    source = open_source(params, report=report)
    labels = read_labels(source.labels, columns=params.columns, needed=source.needed_columns)
    entries, refused = parse_labels(
        labels, folder=source.folder, label_values=params.label_values, class_names=params.class_names
    )
    files = list_files(source.folder, without=(source.labels, project_file(KEY_FILE), *source.notes))
    readable, unreadable = _read_samples(entries, source=source, mm_per_px=params.mm_per_px, report=report)
    samples, mixed = _one_unit(readable)
    unnamed = unnamed_files(files, labels=labels["file"].dropna(), source=source)
    exclusions = exclusions_table([*refused, *unreadable, *mixed, *unnamed])
    _check_classes(samples, exclusions=exclusions, params=params, labels=source.labels)
    log.info("%d samples used, %d files or rows not used", len(samples), len(exclusions))
    left = sorted(set(files) - {item.source for item in unnamed})
    flow = (
        flow_step("files in the cohort folder", files=files),
        flow_step("rows of the labels table", rows=labels[["file", "PatientID"]].values, files=left, excluded=unnamed),
        flow_step("rows with file and label in order", rows=_rows(entries), files=left, excluded=refused),
        flow_step("samples with readable pixels", rows=_used(readable), files=left, excluded=unreadable),
        flow_step("samples used", rows=_used(samples), files=left, excluded=mixed),
    )
    return Cohort(_cohort_table(samples, _pseudonyms(params)), exclusions, flow, source)


def _rows(entries: Sequence[Entry]) -> list[tuple[str, Optional[str]]]:
    return [(entry.view.source, entry.patient) for entry in entries]


def _used(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    return [(sample["source"], sample["PatientID"]) for sample in samples]


def load_pixels(row: Mapping[str, Any], *, source: Source) -> np.ndarray:
    """Decode the picture of one sample again.

    Parameters
    ----------
    row
        A row of the cohort table.
    source
        As `open_source` gives it for the same parameters.

    Returns
    -------
    (Rows, Columns) float32 HU or uint8 grey values.

    Raises
    ------
    CohortError
        If the picture can no longer be read, or is not the one that was audited.
    """
    plane, intercept = row["slice_index"], row["rescale_intercept"]
    view = View(
        row["source"],
        slice_index=None if pd.isna(plane) else int(plane),
        rescale_intercept=None if pd.isna(intercept) else float(intercept),
    )
    again = "run 01_data_audit again"
    try:
        picture = source.read(view)
    except (NotUsable, OSError) as error:
        raise CohortError(f"{view.source}: was readable in the audit and is not now ({error}); {again}") from error
    if picture.sha256 != row["pixel_sha256"]:
        raise CohortError(f"{view.source}: its pixels are not those that were audited; {again}")
    return picture.pixels


def _read_samples(
    entries: Sequence[Entry], *, source: Source, mm_per_px: Optional[float], report: Optional[Report]
) -> tuple[list[Sample], list[Exclusion]]:
    """Decode each picture once and make a sample of every entry that lies in it."""
    by_view: dict[View, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_view[entry.view].append(entry)
    samples: list[Sample] = []
    exclusions: list[Exclusion] = []
    for done, (view, same) in enumerate(by_view.items(), start=1):
        try:
            picture = source.read(view)
            described = _describe(picture)
        except NotUsable as finding:
            exclusions += [_exclusion(entry, finding) for entry in same]
            same = []
        for entry in same:
            try:
                samples.append(described | _sample(entry, picture, source=source, mm_per_px=mm_per_px))
            except NotUsable as finding:
                exclusions.append(_exclusion(entry, finding))
        if report is not None:
            report(done, len(by_view))
    return samples, exclusions


def _exclusion(entry: Entry, finding: NotUsable) -> Exclusion:
    return Exclusion(entry.view.source, finding.reason, f"row {entry.line}: {finding.detail}")


def _describe(picture: Picture) -> Sample:
    """What all samples of one picture share."""
    rows, columns = picture.pixels.shape
    return dict(picture.header) | {
        "Rows": rows,
        "Columns": columns,
        "bits": picture.bits,
        "pixel_sha256": picture.sha256,
        "identifying_attributes": " ".join(picture.identifying_attributes) or None,
        "coloured_fraction": picture.coloured_fraction,
    }


def _sample(entry: Entry, picture: Picture, *, source: Source, mm_per_px: Optional[float]) -> Sample:
    """What is a sample's own; raises `NotUsable` if patient or scale are unknown or the box lies outside."""
    patient = entry.patient or picture.header.get("PatientID")
    if patient is None:
        raise NotUsable(Reason.MISSING_PATIENT, "PatientID is neither in the labels table nor in the file")
    (row_mm, column_mm), origin = _spacing(entry, picture, mm_per_px=mm_per_px, reason=source.no_spacing)
    shape = picture.pixels.shape
    _check_box(entry.box, shape)
    x0, y0, x1, y1 = entry.box or (0, 0, shape[1] - 1, shape[0] - 1)
    return {
        "key": entry.key,
        "PatientID": patient,
        "source": entry.view.source,
        "slice_index": entry.view.slice_index,
        "rescale_intercept": entry.view.rescale_intercept,
        "label": entry.label,
        "level": entry.level,
        "has_box": entry.box is not None,
        "center_row_px": (y0 + y1) / 2,
        "center_col_px": (x0 + x1) / 2,
        "row_spacing_mm": row_mm,
        "column_spacing_mm": column_mm,
        "spacing_from": origin,
    }


def _spacing(
    entry: Entry, picture: Picture, *, mm_per_px: Optional[float], reason: Reason
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


def _one_unit(samples: Sequence[Sample]) -> tuple[list[Sample], list[Exclusion]]:
    """Keep either the images in HU or the 8-bit ones, whichever are more (HU if equal): they do not compare."""
    counts = Counter(sample["bits"] for sample in samples)
    if len(counts) < 2:
        return list(samples), []
    kept = max(counts, key=lambda bits: (counts[bits], bits))
    unit = "in HU" if kept == HU_BITS else "8-bit"
    detail = f"{counts[kept]} of {len(samples)} samples are {unit}, this one is not"
    others = [Exclusion(sample["source"], Reason.MIXED_BITS, detail) for sample in samples if sample["bits"] != kept]
    return [sample for sample in samples if sample["bits"] == kept], others


def _check_classes(samples: Sequence[Sample], *, exclusions: pd.DataFrame, params: CohortParams, labels: Path) -> None:
    found = {sample["label"] for sample in samples}
    missing = [f"{key} ({name})" for key, name in params.class_names.items() if key not in found]
    if not missing:
        return
    reasons = exclusions["reason"].value_counts().sort_index()
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "none"
    what = f"no sample of class {', '.join(missing)}" if samples else "no usable sample"
    raise CohortError(
        f"{short_path(labels)}: {what} is left; not used: {counted}. "
        "Correct the files or the table, or cohort.label_values and cohort.class_names"
    )


def _pseudonyms(params: CohortParams) -> Pseudonyms:
    wanted = params.pseudonymise and params.source != "phantom"
    return Pseudonyms(load_or_create_key(project_file(KEY_FILE)) if wanted else None)


def _cohort_table(samples: Sequence[Sample], pseudonyms: Pseudonyms) -> pd.DataFrame:
    """One row per sample without an identifier, sorted by sample_id."""
    table = pd.DataFrame(samples)
    names = [pseudonyms.sample(*key) for key in table.pop("key")]
    table.insert(0, "sample_id", names)
    table["PatientID"] = table["PatientID"].map(pseudonyms.patient)
    for column in TEXT_COLUMNS:
        values = table.get(column, pd.Series(None, index=table.index, dtype=object))
        table[column] = values.astype("str")
    for column in ("StudyInstanceUID", "SeriesInstanceUID"):
        table[column] = table[column].map(pseudonyms.uid, na_action="ignore").astype("str")
    for column in NUMBER_COLUMNS:
        table[column] = pd.to_numeric(table.get(column, pd.Series(np.nan, index=table.index))).astype("float64")
    table["slice_index"] = table["slice_index"].astype("Int64")
    table = table.drop(columns=["RescaleSlope", "RescaleIntercept"], errors="ignore")
    return table.sort_values("sample_id", ignore_index=True)
