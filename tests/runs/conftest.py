"""Two small runs of one cohort: real parameters and metrics, invented logits, notebooks with an output each."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.evaluation.findings import Findings
from helpers.runs import verification
from helpers.study import EvaluationParams, Run, Study
from helpers.study.artefacts import file_sha256, record_study, write_json_atomic
from helpers.study.provenance import collect_provenance
from helpers.study.stages import STAGES, StageRecord, input_hash, output_hashes, write_records

PATIENTS, SIDE_PX = 24, 40
NAMES = {"A": "compression", "B": "burst", "C": "normal"}
EVALUATION = {"n_bootstrap": 200, "severity_order": ["C", "A", "B"]}


def fabricated_predictions(*, noise: float) -> pd.DataFrame:
    """Two images a patient, one class a patient in turn; `noise` is added to logits that favour the right class."""
    rng, rows = np.random.default_rng(5), []
    for image in range(2 * PATIENTS):
        patient, label = image // 2, (image // 2) % 3
        for fold in (0, 1):
            logits = 1.5 * np.eye(3)[label] + rng.normal(size=3) + noise * rng.normal(size=3)
            facts = {"sample_id": f"S{image:02d}", "PatientID": f"P{patient:02d}", "fold": fold, "seed": 0}
            facts |= {"split": "test" if patient % 2 == fold else "train", "y_true": "ABC"[label]}
            rows.append(facts | {f"logit_{key}": np.float32(value) for key, value in zip("ABC", logits, strict=True)})
    return pd.DataFrame(rows)


def fabricated_cohort() -> pd.DataFrame:
    """cohort.parquet of the samples of `fabricated_predictions`."""
    samples = fabricated_predictions(noise=0)[["sample_id", "PatientID", "y_true"]].drop_duplicates()
    geometry = dict.fromkeys(("center_row_px", "center_col_px", "row_spacing_mm", "column_spacing_mm"), 1.0)
    return samples.rename(columns={"y_true": "label"}).assign(
        source="a.dcm", level="L1", Rows=64, Columns=64, bits=16, pixel_sha256=samples["sample_id"] + "f", **geometry
    )


def fabricated_notebook(key: str, *, result: str) -> nbformat.NotebookNode:
    """A notebook with a section, a source and a figure that says `result`."""
    picture = f'<figure><img src="data:image/webp;base64,{result * 50}"><figcaption>A figure</figcaption></figure>'
    output = new_output("display_data", data={"text/html": picture})
    cells = [new_markdown_cell(f"# {key}"), new_markdown_cell("## 1 · Work"), new_code_cell("work()", outputs=[output])]
    return new_notebook(cells=cells)


def write_images(folder: Path) -> None:
    """images.npy and start_features.npy with their index."""
    rng, samples = np.random.default_rng(0), fabricated_cohort()["sample_id"]
    np.save(folder / "images.npy", rng.integers(-200, 900, (len(samples), SIDE_PX, SIDE_PX)).astype(np.int16))
    np.save(folder / "start_features.npy", rng.normal(size=(len(samples), 2)))
    index = {"row": range(len(samples)), "sample_id": samples, "sha256": "0", "padded_fraction": 0.0}
    pd.DataFrame(index).to_parquet(folder / "image_index.parquet")


def write_inputs(folder: Path, *, noise: float, **sections: dict) -> None:
    """What notebook 04 reads; `sections` are those of a parameter file."""
    study = Study.model_validate({"study": {"name": folder.name}, "evaluation": EVALUATION} | sections)
    folder.mkdir(parents=True, exist_ok=True)
    record_study(folder, study)
    write_json_atomic(folder / "provenance.json", collect_provenance(study))
    fabricated_cohort().to_parquet(folder / "cohort.parquet")
    write_images(folder)
    fabricated_predictions(noise=noise).to_parquet(folder / "predictions.parquet")


REMEMBERED: dict[tuple[str, ...], Findings] = {}


def remembered_findings(run: Run, params: EvaluationParams) -> Findings:
    """Runs with equal predictions and features share what was computed of them."""
    key = tuple(file_sha256(run.folder / name) for name in ("predictions.parquet", "start_features.npy"))
    return REMEMBERED.setdefault(key, Findings(run, params))


@pytest.fixture(autouse=True)
def compute_each_evaluation_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "Findings", remembered_findings)


@cache
def fabricated_metrics(noise: float) -> str:
    """metrics.json as text."""
    with TemporaryDirectory() as name:
        write_inputs(Path(name), noise=noise, study={"name": "any"})
        return json.dumps(remembered_findings(Run(Path(name)), EvaluationParams(**EVALUATION)).to_json_dict())


def fabricated_run(folder: Path, *, noise: float = 0.0, **sections: dict) -> Path:
    """A complete run folder; `sections` are those of a parameter file."""
    write_inputs(folder, noise=noise, **sections)
    write_json_atomic(folder / "audit.json", {"verdicts": {}, "flow": []})
    write_json_atomic(folder / "model.json", {})
    (folder / "metrics.json").write_text(fabricated_metrics(noise))
    (folder / "notebooks").mkdir()
    for stage in STAGES[:-1]:
        notebook = fabricated_notebook(stage.key, result=f"{noise:.1f}")
        nbformat.write(notebook, folder / "notebooks" / f"{stage.key}.ipynb")
    (folder / "report.html").write_text("a report")
    write_stages(folder)
    return folder


def write_stages(folder: Path) -> None:
    """Record every stage as finished with the files that are there; no fingerprint fits."""
    records = {
        stage.key: StageRecord(
            fingerprint="f", inputs=input_hash(stage, folder), outputs=output_hashes(stage, folder),
            seconds=1.0, finished="2026-01-02T03:04:05+00:00",
        )
        for stage in STAGES
    }  # fmt: skip
    write_records(folder, records)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """make_run(name, noise=0.0, **sections): a run folder below `runs` of a folder of its own."""
    return lambda name, **options: fabricated_run(tmp_path / "runs" / name, **options)


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one cohort, to be read only; a title and a parameter would run as code if they were not escaped."""
    folder = tmp_path_factory.mktemp("two")
    first = fabricated_run(folder / "first")
    hostile = {"study": {"name": "second", "title": "<script>"}, "training": {"epochs": 3, "weights": "<script>.pt"}}
    return first, fabricated_run(folder / "second", noise=1.5, **hostile)
