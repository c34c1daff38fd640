"""The splits as a table that others can use: one row per sample, one column per fold, and how to read it.

The table is itself a labels table. Named in `cohort.labels`, with splits.split_method predefined, it gives the same
samples and the same parts again, on any machine that has the same files.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from helpers.cohort.labels.entries import BOX_COLUMNS, CENTER_MM_COLUMNS, CENTER_VOXEL_COLUMNS
from helpers.cohort.samples import CENTER_COLUMNS
from helpers.study import SplitParams
from helpers.study.spreadsheets import without_formulas

PLACES = ("level", "slice_index", "rescale_intercept", *BOX_COLUMNS)
MEANING = {
    "file": "image file, or folder of one series, relative to the cohort folder; look at it before you pass it on",
    "sample_id": "name of the sample in every artefact of the run; a keyed hash",
    "PatientID": "pseudonym of the patient, the same in every run with the same key",
    "label": "class key",
    "pixel_sha256": "SHA-256 of type, shape and decoded pixels, which are int16 where all are whole HU",
    "level": "vertebra",
    "slice_index": "plane of a volume",
    "rescale_intercept": "HU = stored value + this",
    "mm_per_px": "pixel size from the labels table",
    **dict.fromkeys(BOX_COLUMNS, "box around the vertebra, in pixels"),
    **dict.fromkeys(CENTER_MM_COLUMNS, "centre of the vertebra in the DICOM patient system (left, posterior, head)"),
    **dict.fromkeys(CENTER_VOXEL_COLUMNS, "centre of the vertebra in voxels"),
}


def split_manifest(table: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Write down who lies where.

    Parameters
    ----------
    table
        The cohort table.
    splits
        Long table sample_id, fold, split, as `split_cohort` gives it.

    Returns
    -------
    One row per sample, sorted by `sample_id`: file, sample_id, PatientID (as in the cohort table), label,
    pixel_sha256, what else is needed to find the sample in its file, and `split`; with several folds
    `split_fold_0`, `split_fold_1`, ... Texts that a spreadsheet program would run stand behind an apostrophe, which
    is taken off when the table is read as a labels table.
    """
    parts = splits.pivot(index="sample_id", columns="fold", values="split")
    parts.columns = ["split"] if len(parts.columns) == 1 else [f"split_fold_{fold}" for fold in parts.columns]
    samples = table.rename(columns={"source": "file"})[["file", "sample_id", "PatientID", "label", "pixel_sha256"]]
    manifest = pd.concat([samples, _places(table)], axis=1).merge(parts, on="sample_id", validate="1:1")
    return without_formulas(manifest.sort_values("sample_id", ignore_index=True))


def _places(table: pd.DataFrame) -> pd.DataFrame:
    """Where the samples lie in their files, in columns of a labels table; empty ones are left out."""
    places = table[[column for column in PLACES if column in table]].copy()
    for columns, unit in ((CENTER_MM_COLUMNS, "mm"), (CENTER_VOXEL_COLUMNS, "voxel")):
        for column, held in zip(columns, CENTER_COLUMNS, strict=True):
            if held in table:
                places[column] = table[held].where(table["center_unit"] == unit)
    places["mm_per_px"] = table["row_spacing_mm"].where(table["spacing_from"] == "table")
    return places.dropna(axis="columns", how="all")


def manifest_note(manifest: pd.DataFrame, params: SplitParams) -> Mapping[str, Any]:
    """What goes beside the table: how the splits were drawn, what each column holds, and how to take them over.

    Returns
    -------
    JSON-ready dict: ``params`` (section `splits`), ``columns`` (meaning by name), ``parts`` (samples and patients by
    column and part), ``use`` (a section of a parameter file, as text).
    """
    folds = [column for column in manifest if column.startswith("split")]
    mapping = "" if folds == ["split"] else f"\n  columns: {{split: {folds[0]}}}    # one column per fold"
    return {
        "params": params.model_dump(),
        "columns": {column: MEANING.get(column, "part that the sample lies in") for column in manifest},
        "parts": {column: _counts(manifest, column) for column in folds},
        "use": f"cohort:\n  labels: split_manifest.csv{mapping}\nsplits:\n  split_method: predefined\n",
    }


def _counts(manifest: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    groups = manifest.groupby(column)["PatientID"].agg(n_samples="size", n_patients="nunique")
    return {part: {name: int(count) for name, count in row.items()} for part, row in groups.to_dict("index").items()}
