"""The image cache: every sample as one row of a memory-mapped array, in the order of `cohort.parquet`.

HU are cached, not windowed bytes: the window stays a parameter of training.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import pandas as pd

from helpers.cohort import Source, load_pixels
from helpers.cohort.samples import VIEW_COLUMNS
from helpers.preprocessing.geometry import Field, cut_field
from helpers.study import PreprocessingParams, Run

ARRAY = "images"
HU_BITS = 16
SAME_PICTURE = ("source", *VIEW_COLUMNS)


def cache_images(
    cohort: pd.DataFrame,
    params: PreprocessingParams,
    *,
    source: Source,
    run: Run,
    report: Optional[Callable[[int, int], None]] = None,
    name: str = ARRAY,
) -> pd.DataFrame:
    """Cut the field of every sample and write `images.npy`, or another array of the run.

    Parameters
    ----------
    cohort
        Cohort table; all samples in HU or all 8-bit.
    params
        Section `preprocessing` of the parameters.
    source
        Where the pictures lie.
    run
        Run folder that is written to.
    report
        Called as ``report(done, total)``.
    name
        Artefact that is written.

    Returns
    -------
    Image index: row, sample_id, sha256 of the cached image, padded_fraction, and the field in source pixels
    (field_x0, field_y0, field_x1, field_y1: its outer edges, whole numbers at pixel centres).

    Raises
    ------
    ValueError
        If the cohort mixes images in HU with 8-bit images.
    CohortError
        If an image changed since the audit.
    """
    kinds = cohort["bits"].unique()
    if len(kinds) != 1:
        raise ValueError(f"cohort.parquet mixes images of {sorted(kinds.tolist())} bits; run 01_data_audit again")
    dtype = "int16" if kinds[0] == HU_BITS else "uint8"
    planes = () if source.params.n_planes == 1 else (source.params.n_planes,)
    shape = (len(cohort), *planes, params.image_size, params.image_size)
    index: list[dict[str, Any]] = []
    with run.new_array(name, shape=shape, dtype=dtype) as images:
        # Samples of one picture follow each other, so that it is decoded once.
        rows = cohort.reset_index(drop=True).sort_values([*SAME_PICTURE, "sample_id"])
        for _, group in rows.groupby(list(SAME_PICTURE), sort=False, dropna=False):
            pixels = load_pixels(group.iloc[0], source=source)
            for row, sample in group.iterrows():
                index.append(_cache_one(images, sample, row=row, pixels=pixels, params=params))
                if report is not None:
                    report(len(index), len(cohort))
    return pd.DataFrame(index).sort_values("row", ignore_index=True)


def cache_summary(
    images: np.ndarray, *, cohort: pd.DataFrame, index: pd.DataFrame, params: PreprocessingParams
) -> pd.DataFrame:
    """What the cache holds, as rows of property and value for a reader."""
    spacing = cohort[["row_spacing_mm", "column_spacing_mm"]]
    unit = "HU" if images.dtype == np.int16 else "8-bit grey values"
    rows = {
        "images": f"{len(images)} of {params.image_size} × {params.image_size} pixels",
        "values": f"{images.dtype}, {unit}, from {images.min()} to {images.max()}",
        "side of the square": f"{params.image_size * params.spacing_mm:g} mm at {params.spacing_mm:g} mm per pixel",
        "pixel size of the sources": f"{spacing.min(axis=None):.3f} to {spacing.max(axis=None):.3f} mm",
        "squares with padding": f"{(index['padded_fraction'] > 0).sum()}",
        "most padding": f"{index['padded_fraction'].max():.1%} of a square",
        "size in memory": f"{images.nbytes / 2**20:.1f} MiB, memory-mapped",
    }
    return pd.DataFrame(rows.items(), columns=["property", "value"])


def matches_index(images: np.ndarray, index: pd.DataFrame) -> bool:
    """Whether every cached image, read back, has the hash that the index notes."""
    return all(_sha256(images[row]) == sha256 for row, sha256 in zip(index["row"], index["sha256"], strict=True))


def _sha256(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def _cache_one(
    images: np.ndarray, sample: pd.Series, *, row: int, pixels: np.ndarray, params: PreprocessingParams
) -> dict[str, Any]:
    field = Field(
        center_px=(sample["center_row_px"], sample["center_col_px"]),
        source_spacing_mm=(sample["row_spacing_mm"], sample["column_spacing_mm"]),
        spacing_mm=params.spacing_mm,
        size=params.image_size,
    )
    images[row], padded_fraction = cut_field(pixels, field)
    top, left = field.offset - field.scale / 2
    height, width = field.size * field.scale
    return {
        "row": row,
        "sample_id": sample["sample_id"],
        "sha256": _sha256(images[row]),
        "padded_fraction": padded_fraction,
        "field_x0": left,
        "field_y0": top,
        "field_x1": left + width,
        "field_y1": top + height,
    }
