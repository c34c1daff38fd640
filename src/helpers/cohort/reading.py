"""Read a cohort in one pass: every row becomes a sample or an exclusion, every file is accounted for.

Each picture is decoded once, however many samples lie in it; only its hash, scale and header are kept.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd

from helpers.cohort.accounting import flow_step, unnamed_files
from helpers.cohort.decoding import decode_all
from helpers.cohort.exclusions import CohortError, Exclusion, NotUsable, Reason, exclusion_counts, exclusions_table
from helpers.cohort.identity import KEY_FILE, Pseudonyms, load_or_create_key
from helpers.cohort.labels.entries import Entry
from helpers.cohort.picture import HU_BITS, View
from helpers.cohort.pixels.copies import find_copies
from helpers.cohort.sample_table import sample_table
from helpers.cohort.samples import Sample, make_sample, view_of
from helpers.cohort.sources import Report, Source, open_source
from helpers.study import CohortParams, ExternalCohort
from helpers.study.paths import project_file, short_path

log = logging.getLogger(__name__)

EXAMPLES_IN_ERROR = 2


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
    readings
        Class keys by image and reader, as `Labelled` has them.
    thumbnails
        Small grey version of each picture by `pixel_sha256`, as `Measures` has it.
    copies
        Pairs of samples that show the same picture, as `find_copies` gives them.
    """

    table: pd.DataFrame
    exclusions: pd.DataFrame
    flow: tuple[dict[str, Any], ...]
    source: Source
    readings: pd.DataFrame = field(default_factory=pd.DataFrame)
    thumbnails: Mapping[str, np.ndarray] = field(default_factory=dict)
    copies: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["sample_a", "sample_b", "kind"]))


def read_cohort(params: CohortParams, *, report: Optional[Report] = None) -> Cohort:
    """Read, check and describe every sample of a cohort.

    Parameters
    ----------
    params
        Section `cohort` of the parameters, or one of the external cohorts.
    report
        Called as ``report(done, total)`` while pictures are read.

    Raises
    ------
    CohortError
        If the folder, the labels table or a needed column is missing, or no sample, or none of some class, is left.
    """
    source = open_source(params, report=report)
    labelled = source.labelled()
    files = source.files()
    decoded = _read_samples(labelled.entries, source=source, params=params, report=report)
    samples, mixed = _one_unit(decoded.samples)
    unnamed = unnamed_files(files, labels=[name for name, _ in labelled.rows if name], source=source)
    exclusions = exclusions_table([*labelled.exclusions, *decoded.exclusions, *mixed, *unnamed])
    _check_classes(samples, exclusions=exclusions, params=params, labels=source.labels or source.folder)
    log.info("%d samples used, %d files or rows not used", len(samples), len(exclusions))
    left = sorted(set(files) - {item.source for item in unnamed})
    flow = (
        flow_step("files in the cohort folder", files=files),
        flow_step("labelled images", rows=labelled.rows, files=left, excluded=unnamed),
        flow_step("file and label in order", rows=_rows(labelled.entries), files=left, excluded=labelled.exclusions),
        flow_step("readable CT images", rows=_used(decoded.samples), files=left, excluded=decoded.exclusions),
        flow_step("samples used", rows=_used(samples), files=left, excluded=mixed),
    )
    table = sample_table(samples, _pseudonyms(params))
    copies = find_copies(table, thumbnails=decoded.thumbnails)
    return Cohort(
        table, exclusions, flow, source, readings=labelled.readings, thumbnails=decoded.thumbnails, copies=copies
    )


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
    (Rows, Columns) or (3, Rows, Columns) float32 HU or uint8 grey values.

    Raises
    ------
    CohortError
        If the picture can no longer be read, or is not the one that was audited.
    """
    view, again = view_of(row), "run 01_data_audit again"
    try:
        picture = source.read(view)
    except (NotUsable, OSError) as error:
        raise CohortError(f"{view.source}: was readable in the audit and is not now ({error}); {again}") from error
    if picture.sha256 != row["pixel_sha256"]:
        raise CohortError(f"{view.source}: its pixels are not those that were audited; {again}")
    return picture.pixels


@dataclass(frozen=True)
class Decoded:
    """Samples and exclusions of all pictures, and the thumbnail of each picture by its hash."""

    samples: list[Sample]
    exclusions: list[Exclusion]
    thumbnails: dict[str, np.ndarray]


def _read_samples(
    entries: Sequence[Entry], *, source: Source, params: CohortParams, report: Optional[Report]
) -> Decoded:
    """Decode each picture once and make a sample of every entry that lies in it."""
    by_view: dict[View, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.view.source):
        by_view[entry.view].append(entry)
    samples: list[Sample] = []
    exclusions: list[Exclusion] = []
    thumbnails: dict[str, np.ndarray] = {}
    decoded = decode_all(source, list(by_view), workers=params.workers)
    for done, (same, picture) in enumerate(zip(by_view.values(), decoded, strict=True), start=1):
        if isinstance(picture, NotUsable):
            exclusions += [_exclusion(entry, picture) for entry in same]
            same = []
        for entry in same:
            try:
                samples.append(picture.columns | make_sample(entry, picture, source=source, params=params))
                thumbnails[picture.columns["pixel_sha256"]] = picture.thumbnail
            except NotUsable as finding:
                exclusions.append(_exclusion(entry, finding))
        if report is not None:
            report(done, len(by_view))
    return Decoded(samples, exclusions, thumbnails)


def _exclusion(entry: Entry, finding: NotUsable) -> Exclusion:
    line = f"row {entry.line}: " if entry.line else ""  # folders that are classes have no rows
    return Exclusion(entry.view.source, finding.reason, f"{line}{finding.detail}")


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
    # An external cohort is scored on the classes that it has; one that is trained on needs them all.
    if not missing or (samples and isinstance(params, ExternalCohort)):
        return
    counts = exclusion_counts(exclusions)
    counted = ", ".join(f"{row.reason} {row.count}" for row in counts.itertuples()) or "none"
    what = f"no sample of class {', '.join(missing)}" if samples else "no usable sample"
    raise CohortError(
        f"{short_path(labels)}: {what} is left; not used: {counted}. "
        f"Correct the files or the table, or cohort.label_values and cohort.class_names{_first_examples(exclusions)}"
    )


def _first_examples(exclusions: pd.DataFrame) -> str:
    """The two most frequent reasons, each with the first finding and the way out, one a line."""
    lines = []
    for row in exclusion_counts(exclusions).head(EXAMPLES_IN_ERROR).itertuples():
        first = exclusions[exclusions["reason"] == row.reason].iloc[0]
        lines.append(f"\n  {row.reason}, for example {first['source']}: {first['detail']}. {row.remedy}")
    return "".join(lines)


def _pseudonyms(params: CohortParams) -> Pseudonyms:
    wanted = params.pseudonymise and params.source != "phantom"
    return Pseudonyms(load_or_create_key(project_file(KEY_FILE)) if wanted else None)
