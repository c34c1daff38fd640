"""The whole notebook on cohorts that leave some of its sections nothing to say: sentences, not tracebacks."""

import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from helpers.cohort import open_source
from helpers.cohort.reading import read_cohort
from helpers.error_analysis import strangers
from helpers.preprocessing import cache_images
from helpers.study import CohortParams, ErrorAnalysisParams, EvaluationParams, PreprocessingParams, Run, Study
from helpers.study.artefacts import record_study

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_error_analysis.ipynb"
EMPTY_COLUMNS = ["ManufacturerModelName", "PatientAge", "ConvolutionKernel"]
N_GREY = 4


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, trained) -> Path:
    """A run on 16 simulated images, some of one grey level, whose columns are partly empty; A and B are its classes."""
    _, _, training, checkpoints = trained
    folder = tmp_path_factory.mktemp("project") / "run"
    folder.mkdir()
    study = Study(
        cohort=CohortParams(
            folder=str(folder.parent / "data"),
            phantom_images={"A": 8, "B": 8},
            phantom_patients=16,
            class_names={"A": "compression", "B": "burst"},
            normal_class=None,
        ),
        preprocessing=PreprocessingParams(spacing_mm=1.5, image_size=36),
        training=training,
        evaluation=EvaluationParams(n_bootstrap=100, severity_order=["A", "B"]),
    )
    record_study(folder, study)
    cohort = read_cohort(study.cohort).table.assign(**dict.fromkeys(EMPTY_COLUMNS))
    Run(folder, stage="01_data_audit").write_table("cohort", cohort)
    second = Run(folder, stage="02_preprocessing")
    source = open_source(study.cohort)
    second.write_table("image_index", cache_images(cohort, study.preprocessing, source=source, run=second))
    images = np.array(second.read_array("images"))
    images[:N_GREY] = 40
    with second.new_array("images", shape=images.shape, dtype="int16") as stored:
        stored[:] = images
    third = Run(folder, stage="03_training")
    third.write_json("model", {"input": {"mean": [0.0] * 3, "std": [1.0] * 3}})
    shutil.copytree(checkpoints, third.output("checkpoints/"), dirs_exist_ok=True)
    return folder


def tell(folder: Path, *, wrong: tuple[str, ...]) -> None:
    """Write splits and predictions of two folds that are right but for the images of some classes."""
    cohort = Run(folder).read_table("cohort")
    first = pd.Series(np.resize(["test", "test", "train", "train", "validation"], len(cohort)))
    tables = []
    for fold, split in enumerate((first, first.replace({"test": "train", "train": "test"}))):
        answers = cohort["label"].where(~cohort["label"].isin(wrong), cohort["label"].map({"A": "B", "B": "A"}))
        logits = {f"logit_{key}": (answers == key).to_numpy(dtype=np.float32) for key in "AB"}
        known = cohort[["sample_id", "PatientID"]].assign(fold=fold, seed=0, split=split, y_true=cohort["label"])
        tables.append(known.assign(**logits))
    predictions = pd.concat(tables, ignore_index=True)
    Run(folder, stage="03_training").write_table("predictions", predictions)
    Run(folder, stage="01_data_audit").write_table("splits", predictions[["sample_id", "fold", "split"]])


def run_notebook(folder: Path) -> str:
    """Execute all code cells in one shell; all that they show, as text."""
    shell = InteractiveShell.instance()
    values = ErrorAnalysisParams(n_gallery=4, n_saliency=2, n_robustness=6).model_dump() | {"run_dir": str(folder)}
    shown = []
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        if "parameters" in cell.metadata.get("tags", []):
            shell.push(values)
            continue
        with capture_output() as told:
            result = shell.run_cell(cell.source)
        result.raise_error()
        shown += [output.data.get("text/html", "") + output.data.get("text/markdown", "") for output in told.outputs]
        shown.append(str(getattr(result.result, "data", "")))
    return "\n".join(shown)


@pytest.fixture(autouse=True)
def few_strangers(monkeypatch):
    monkeypatch.setattr(strangers, "VIEWED", 2)


@pytest.mark.slow
def test_no_errors_at_all(run_folder):
    tell(run_folder, wrong=())
    shown = run_notebook(run_folder)
    assert "Errors, the most confident first: none." in shown
    assert "No column divides the images into groups that are large enough." in shown
    assert "no combination was looked at" in shown
    assert "scanner model" in shown.split("Not known in this cohort: ")[1].split("\n")[0]
    assert Run(run_folder).read_table("errors").empty


@pytest.mark.slow
def test_a_class_without_errors(run_folder):
    tell(run_folder, wrong=("A",))
    shown = run_notebook(run_folder)
    errors = Run(run_folder).read_table("errors")
    assert set(errors["y_true"]) == {"A"}
    predictions = Run(run_folder).read_table("predictions").query("split == 'test' and y_true == 'A'")
    assert set(errors["sample_id"]) == set(predictions["sample_id"])
    assert "degenerative mimic" in shown
