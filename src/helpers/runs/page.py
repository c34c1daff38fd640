"""The comparison of two runs as one HTML file that asks no other machine for anything."""

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.cohort.picture import middle_plane
from helpers.evaluation import headline
from helpers.reporting.appendix import moment
from helpers.reporting.pages import own_source, page_environment
from helpers.reporting.wording import class_label
from helpers.runs import phrases
from helpers.runs.comparison import ComparedMetric, RunComparison
from helpers.runs.notebook_diff import NotebookDifference
from helpers.runs.pairing import NEITHER, ONLY_FIRST, ONLY_SECOND
from helpers.runs.side import Side
from helpers.study.artefacts import write_atomic
from helpers.study.caution import caution

BONE_WINDOW_HU = (-450, 1050)
THUMBNAIL_PX = 96
MAX_ANSWERS = 200  # rows with pictures


def write_comparison(found: RunComparison, file: Path, *, command: str) -> Path:
    """Write the page of a comparison.

    Parameters
    ----------
    found
        What is shown.
    file
        Where to; its folder is made.
    command
        Shell command that makes the page again.
    """
    html = render_comparison(found, command=command)
    write_atomic(file, lambda stream: stream.write(html.encode()))
    return file


def render_comparison(found: RunComparison, *, command: str) -> str:
    """The page as text; equal comparisons give equal pages."""
    first, second, overlap = found.first, found.second, found.overlap
    strangers = {f"Only in {first.name}": overlap.only_first, f"Only in {second.name}": overlap.only_second}
    strangers |= {"With another patient, label or pixels": overlap.changed}
    environment = page_environment()
    return environment.get_template("comparison.html.j2").render(
        title=f"{first.name} and {second.name}",
        css=own_source(environment, "report.css"),
        first=first.name,
        second=second.name,
        caution=caution(first.record.study.cohort) or caution(second.record.study.cohort),
        headlines=[_headline(side) for side in (first, second)],
        cohorts=list(phrases.cohorts_in_words(found)),
        strangers=[{"title": title, "samples": samples} for title, samples in strangers.items() if samples],
        parameters=found.parameters,
        environment=found.environment,
        how_compared=phrases.how_compared(found),
        has_differences=found.n_tested > 0,
        main_metrics=[_metric(row, first.class_names) for row in found.metrics if row.is_main],
        other_metrics=[_metric(row, first.class_names) for row in found.metrics if not row.is_main],
        n_tested=found.n_tested,
        answers_in_words=phrases.answers_in_words(found),
        answers=list(_answers(found)),
        n_hidden=max(0, len(found.answers) - MAX_ANSWERS),
        image_width=THUMBNAIL_PX,
        notebooks=[_notebook(notebook) for notebook in found.notebooks],
        command=command,
    )


def _headline(side: Side) -> dict[str, str]:
    recorded = moment(side.record.provenance.get("recorded"))
    return {"name": side.name, "recorded": recorded, "text": headline(side.record.metrics)}


def _metric(row: ComparedMetric, class_names: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": row.label(class_names),
        "first": phrases.value(row.first),
        "second": phrases.value(row.second),
        "difference": phrases.difference(row.difference),
    }


def _answers(found: RunComparison) -> Iterator[dict[str, Any]]:
    """Rows of changed answers, with the picture of each where the first run has kept its images."""
    right = {ONLY_FIRST: found.first.name, ONLY_SECOND: found.second.name, NEITHER: "neither"}
    shown = found.answers.head(MAX_ANSWERS)
    pictures = _pictures(found.first, samples=list(shown["sample_id"]))
    for row in shown.itertuples():
        reference, ours, theirs = (
            class_label(key, found.first.class_names) for key in (row.y_true, row.first, row.second)
        )
        yield {
            "image": pictures.get(row.sample_id),
            "alt": f"Sample {row.sample_id}, reference {reference}",
            "sample_id": row.sample_id,
            "patient": row.PatientID,
            "reference": reference,
            "first": ours,
            "second": theirs,
            "right": right[row.right],
        }


def _pictures(side: Side, *, samples: list[str]) -> dict[str, str]:
    """Small pictures as data addresses by sample; empty where the run has not kept its images."""
    if not samples or not side.run.path("images").is_file():
        return {}
    images, index = side.run.read_array("images"), side.run.read_table("image_index").set_index("sample_id")["row"]
    return {sample: _data_address(middle_plane(images[index[sample]])) for sample in samples if sample in index.index}


def _data_address(pixels: np.ndarray) -> str:
    """A cached image, int16 in HU or uint8 in grey values, as a small picture."""
    if pixels.dtype != np.uint8:
        pixels = np.interp(pixels, BONE_WINDOW_HU, (0, 255)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.thumbnail((2 * THUMBNAIL_PX, 2 * THUMBNAIL_PX))  # for screens with two pixels to a point
    stream = io.BytesIO()
    picture.save(stream, format="webp", quality=75, method=6)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _notebook(notebook: NotebookDifference) -> dict[str, Any]:
    return {"stage": notebook.stage, "summary": phrases.notebook_in_words(notebook), "cells": notebook.cells}
