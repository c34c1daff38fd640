"""The whole study, all five real notebooks and the report, on the smoke parameters and on real vertebrae."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers.evaluation import headline
from helpers.runs import verify_run
from helpers.study import Run
from helpers.study.artefacts import ARTEFACTS
from helpers.study.schemas import SWEEP as SWEEP_SCHEMA
from helpers.study.stages import STAGES

REPOSITORY = Path(__file__).parents[1]
SMOKE = "params/smoke.yaml"


def stages_that_ran(output: str) -> list[str]:
    return [stage.key for stage in STAGES if f"{stage.key} " in output and f"{stage.key:<18} up to date" not in output]


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_project) -> Path:
    return make_project(tmp_path_factory.mktemp("smoke") / "project")


@pytest.fixture(scope="module")
def output(project, study) -> str:
    return study(project, "run", SMOKE)


@pytest.fixture(scope="module")
def run(project, output) -> Run:
    return Run(project / "runs" / "smoke")


@pytest.mark.slow
class TestSmoke:
    def test_every_artefact_is_there_and_as_its_schema_says(self, run):
        for name, artefact in ARTEFACTS.items():
            if artefact.schema is not None:
                assert run.read_table(name) is not None
            else:
                assert (run.folder / artefact.file).exists(), name

    def test_the_last_lines_are_the_result_and_the_report(self, run, output):
        told = " ".join(output.split())
        assert headline(run.read_json("metrics")) in told
        assert told.endswith("Report: runs/smoke/report.html")

    def test_report_says_the_headline_and_holds_all_notebooks(self, run):
        text = " ".join((run.folder / "report.html").read_text(encoding="utf-8").split())
        assert headline(run.read_json("metrics")) in text
        for title in ("Data audit", "Preprocessing", "Transfer-learning training", "Evaluation", "Error analysis"):
            assert title in text

    def test_no_patient_is_tested_by_a_network_that_trained_on_it(self, run):
        predictions = run.read_table("predictions")
        for _, fit in predictions.groupby(["fold", "seed"]):
            patients = fit.groupby("split")["PatientID"].agg(set)
            assert not patients["test"] & (patients["train"] | patients["validation"])

    def test_metrics_follow_from_the_predictions(self, run):
        """Accuracy by hand from the stored logits."""
        tested = run.read_table("predictions").query("split == 'test'")
        logits = tested.filter(like="logit_")
        predicted = logits.idxmax(axis=1).str.removeprefix("logit_")
        accuracy = run.read_json("metrics")["overall"]["accuracy"]
        assert accuracy["estimate"] == pytest.approx((predicted == tested["y_true"]).mean())
        assert accuracy["ci_low"] <= accuracy["estimate"] <= accuracy["ci_high"]

    def test_the_golden_check_computes_every_number_again(self, run):
        assert verify_run(run.folder).holds

    def test_another_fresh_run_gives_the_same_numbers(self, run, study, make_project, tmp_path):
        other = make_project(tmp_path / "project")
        study(other, "run", SMOKE)
        again = Run(other / "runs" / "smoke")
        pd.testing.assert_frame_equal(run.read_table("predictions"), again.read_table("predictions"), check_exact=True)
        assert run.path("metrics").read_bytes() == again.path("metrics").read_bytes()

    def test_nothing_changed_nothing_runs_and_evaluation_alone_reruns_what_follows(self, project, run, study):
        assert stages_that_ran(study(project, "run", SMOKE)) == []
        changed = study(project, "run", SMOKE, "--set", "evaluation.n_bootstrap=150")
        assert stages_that_ran(changed) == ["04_evaluation", "05_error_analysis", "report"]
        assert run.read_json("metrics")["bootstrap"]["n_replicates"] == 150

    def test_one_notebook_runs_by_plain_papermill_and_the_run_says_so(self, project, run):
        done = subprocess.run(
            [sys.executable, "-m", "papermill", "notebooks/04_evaluation.ipynb", "out.ipynb", "--no-progress-bar",
             "-p", "run_dir", "runs/smoke", "-p", "n_bootstrap", "120"],
            cwd=project, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert run.study.evaluation.n_bootstrap == 120
        assert run.read_json("metrics")["bootstrap"]["n_replicates"] == 120

    def test_report_opens_without_errors_or_outside_requests(self, run):
        browser_path = shutil.which("chromium") or shutil.which("google-chrome")
        if browser_path is None:
            pytest.skip("needs chromium")
        from playwright.sync_api import sync_playwright

        requests, complaints = [], []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto((run.folder / "report.html").as_uri())
            broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).length")
            browser.close()
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        assert complaints == []
        assert broken == 0


SWEEP = """
name: smoke_sweep
base: params/smoke.yaml
set: {training.epochs: 1}
rows:
  reference: {reason: the smoke study with one epoch}
  fewer: {set: {training.train_patients: 9}, reason: learning curve}
  shuffled: {set: {training.shuffle_labels: true}, reason: labels dealt out anew}
  by-image:
    set: {splits.split_method: image_kfold, splits.intended_leakage: it is what this row shows}
    reason: divided by image
  broken: {set: {training.weights: absent.pt}, reason: weights that are not there}
"""


@pytest.mark.slow
def test_a_sweep_trains_its_rows_compares_them_and_goes_on_from_there(project, study):
    (project / "params" / "smoke_sweep.yaml").write_text(SWEEP)
    folder = project / "runs" / "smoke_sweep"
    said = study(project, "sweep", "params/smoke_sweep.yaml")
    assert said.count("03_training        done in") == 4
    assert said.count("01_data_audit      done in") == 2  # once for each way to divide
    table = SWEEP_SCHEMA.validate(pd.read_parquet(folder / "sweep.parquet"))
    assert table.groupby("row")["estimate"].count().to_dict() == {
        "broken": 0, "by-image": 3, "fewer": 3, "reference": 3, "shuffled": 3,
    }  # fmt: skip
    assert table.loc[table["row"] == "broken", "problem"].str.contains("WeightsError").all()
    assert table.set_index("row").loc["fewer", "train_patients"].eq(9).all()
    assert set(table.loc[table["difference"].notna(), "row"]) == {"fewer", "by-image"}
    again = study(project, "sweep", "params/smoke_sweep.yaml", "--only", "fewer")
    assert "done in" not in again


@pytest.mark.slow
@pytest.mark.shared
def test_real_vertebrae_run_through_and_the_report_is_modest(shared_data, tmp_path, study, make_project):
    """75 real vertebrae as an image folder; a small network, since this asks whether it runs, not how well."""
    (tmp_path / "shared").symlink_to(shared_data.parent)
    project = make_project(tmp_path / "project")
    params = REPOSITORY / "tests" / "params" / "xvertseg.yaml"
    smaller = (
        "backbone=resnet18", "weights=none", "batch_norm=learned", "frozen_stages=0", "epochs=1", "input_size=64",
        "threads=1",
    )  # fmt: skip
    study(project, "run", str(params), *(word for value in smaller for word in ("--set", f"training.{value}")))
    run = Run(project / "runs" / "xvertseg")
    cohort = run.read_table("cohort")
    assert len(cohort) == 75
    assert cohort["PatientID"].nunique() == 15
    assert not cohort["PatientID"].str.contains("xvertseg").any()
    assert json.loads((run.folder / "audit.json").read_text())["verdicts"]["leakage"]["status"] == "pass"
    report = " ".join((run.folder / "report.html").read_text(encoding="utf-8").split())
    assert "Small cohort: 75 images of 15 patients" in report
