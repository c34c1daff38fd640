"""A small fabricated run: real parameters, real metrics of invented logits, notebooks with outputs of our display."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.evaluation import evaluate
from helpers.reporting import build_report
from helpers.study import Study
from helpers.study.artefacts import record_study, write_json_atomic
from helpers.study.display import PROGRESS_MIMETYPE, show_figure, show_table
from helpers.study.provenance import collect_provenance
from helpers.study.stages import STAGES, StageRecord, write_records


def fabricated_predictions(
    classes: list[str], *, n_patients: int, signal: float = 2.0, n_folds: int = 3
) -> pd.DataFrame:
    """Two images a patient, one class a patient in turn, logits that favour the right class by `signal`."""
    rng = np.random.default_rng(7)
    rows = []
    for image in range(2 * n_patients):
        patient = image // 2
        label = patient % len(classes)
        for fold in range(n_folds):
            logits = rng.normal(size=len(classes))
            logits[label] += signal
            split = "test" if patient % n_folds == fold else "train"
            rows.append(
                {"sample_id": f"S{image:03d}", "PatientID": f"P{patient:03d}", "fold": fold, "seed": 0, "split": split}
                | {"y_true": classes[label]}
                | {f"logit_{key}": np.float32(value) for key, value in zip(classes, logits, strict=True)}
            )
    return pd.DataFrame(rows)


@cache
def fabricated_metrics(
    names: tuple[tuple[str, str], ...], normal_class: str | None, *, n_patients: int, signal: float
) -> dict:
    """metrics.json as notebook 04 writes it."""
    predictions = fabricated_predictions(list(dict(names)), n_patients=n_patients, signal=signal)
    found = evaluate(predictions, class_names=dict(names), normal_class=normal_class, n_bootstrap=200)
    return found.to_json_dict() | {"external": {}}


def fabricated_audit() -> dict:
    """audit.json with one verdict of each kind."""

    def verdict(status: str, checked: str, found: int, text: str) -> dict:
        return {"status": status, "checked": checked, "found": found, "detail": text, "examples": []}

    return {
        "verdicts": {
            "duplicates": verdict("pass", "No two files hold the same pixels.", 0, "All decoded images differ."),
            "privacy": verdict("fail", "No header holds a direct identifier.", 4, "Attributes: InstitutionName."),
            "leakage": verdict("pass", "No patient lies in two splits.", 0, "Checked for every pair of splits."),
            "simulated": verdict("warn", "The images were acquired from patients.", 12, "The cohort is simulated."),
        },
        "flow": [
            {"step": "files in the cohort folder", "n_files": 130, "n_samples": None, "n_patients": None},
            {"step": "used", "n_files": 120, "n_samples": 120, "n_patients": 60},
        ],
    }


@cache
def example_outputs() -> tuple[nbformat.NotebookNode, ...]:
    """Progress, a table and a figure, as the display functions of the study leave them."""
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([0, 1])
    table = pd.DataFrame({"class": ["A", "B"], "images": [3, 4], "share": [0.4286, 0.5714]})
    progress = {"text/plain": "reading: 12/12 in 3 s", PROGRESS_MIMETYPE: {"line": "reading", "last": True}}
    return (
        new_output("display_data", data=progress),
        shown(lambda: show_table(table, caption="Images by class")),
        shown(lambda: show_figure(figure, alt="A rising line", caption="A line", data=pd.DataFrame({"y": [0, 1]}))),
    )


def shown(show: Callable[[], None]) -> nbformat.NotebookNode:
    """What a call of helpers.study.display leaves in a notebook."""
    caught = []
    with patch("helpers.study.display.display", caught.append):
        show()
    return new_output("display_data", data={"text/html": caught[0].data, "text/plain": "<HTML object>"})


def fabricated_notebook(number: str, title: str) -> nbformat.NotebookNode:
    """A notebook with every kind of cell and output that a run produces; sections repeat in all of them."""
    return new_notebook(
        cells=[
            new_markdown_cell(f"# {number} · {title}\n\nA question."),
            new_code_cell('name: str = "default"', metadata={"tags": ["parameters"]}),
            new_code_cell('name = "quick"', metadata={"tags": ["injected-parameters"]}),
            new_markdown_cell("## 1 · Leakage\n\nSee [limits](#Limits) and the [next one](02_preprocessing.ipynb)."),
            new_code_cell("show_table(table)", outputs=list(example_outputs())),
            new_markdown_cell("## Checks\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
            new_code_cell(
                "print(1)",
                outputs=[
                    new_output("stream", name="stdout", text="1\n"),
                    new_output("stream", name="stderr", text="a <warning>\n"),
                    new_output("execute_result", data={"text/plain": "<Result 1>"}, execution_count=1),
                ],
            ),
            new_markdown_cell("## Checks\n\nAgain.\n\n## Limits\n\nFew."),
        ]
    )


def fabricated_run(
    folder: Path, *, n_patients: int = 60, signal: float = 2.0, notebooks: int = 5, **sections: dict
) -> Path:
    """A run folder with the first `notebooks` notebooks; `sections` are those of a parameter file."""
    study = Study.model_validate({"study": {"name": "fabricated"}, **sections})
    folder.mkdir()
    record_study(folder, study)
    write_json_atomic(folder / "provenance.json", collect_provenance(study))
    write_json_atomic(folder / "audit.json", fabricated_audit())
    names, normal = tuple(study.cohort.class_names.items()), study.cohort.normal_class
    write_json_atomic(folder / "metrics.json", fabricated_metrics(names, normal, n_patients=n_patients, signal=signal))
    records = {}
    for number, stage in enumerate(STAGES[:notebooks], start=1):
        file = folder / "notebooks" / f"{stage.key}.ipynb"
        file.parent.mkdir(exist_ok=True)
        nbformat.write(fabricated_notebook(str(number), stage.title), file)
        records[stage.key] = StageRecord(
            fingerprint="f", inputs="i", outputs={}, seconds=60.0 * number + 5, finished="2026-01-02T03:04:05+00:00"
        )
    write_records(folder, records)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that fabricates a run folder, see `fabricated_run`."""
    return partial(fabricated_run, tmp_path / "fabricated")


@pytest.fixture(scope="session")
def complete_run(tmp_path_factory: pytest.TempPathFactory, hostile: str) -> Path:
    """One run with all five notebooks, to be read only; its title would run as code if it were not escaped."""
    folder = tmp_path_factory.mktemp("complete") / "fabricated"
    return fabricated_run(folder, study={"name": "fabricated", "title": f"Spine {hostile}"})


@pytest.fixture(scope="session")
def complete_report(complete_run: Path) -> Path:
    """The report of `complete_run`."""
    return build_report(complete_run)


@pytest.fixture(scope="session")
def hostile() -> str:
    """A value that would run as code if it were not escaped."""
    return "<script>alert(1)</script>"
