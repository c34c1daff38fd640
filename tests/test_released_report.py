"""The released report, its numbers and the README say the same."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from helpers.evaluation import headline
from helpers.study import load_study

REPOSITORY = Path(__file__).parents[1]
REPORT = REPOSITORY / "reports" / "default.html"
BYTES_LIMIT = 6_000_000


@pytest.fixture(scope="module")
def metrics() -> dict:
    return json.loads((REPOSITORY / "reports" / "default_metrics.json").read_text(encoding="utf-8"))


def test_readme_quotes_the_released_headline(metrics):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    quoted = re.search(r"<!-- headline:start -->(.*)<!-- headline:end -->", readme, flags=re.DOTALL)
    assert " ".join(quoted[1].split()).lstrip("> ").replace(" > ", " ") == headline(metrics)


def test_report_holds_the_released_headline(metrics):
    assert headline(metrics) in " ".join(REPORT.read_text(encoding="utf-8").split())


def test_report_is_small_enough_to_send():
    assert REPORT.stat().st_size < BYTES_LIMIT


def test_released_run_is_the_default_study(metrics):
    cohort = load_study(REPOSITORY / "params" / "default.yaml").cohort
    assert metrics["cohort"]["n_samples"] == sum(cohort.phantom_images.values())
    assert metrics["cohort"]["n_patients"] == cohort.phantom_patients


def test_report_names_no_path_of_the_machine_it_was_made_on():
    text = REPORT.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users)/[\w./-]+", text) == []


def test_readme_quotes_the_released_ablations():
    """Every figure of the table, score or difference with its interval, stands in reports/ablation.parquet."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("−", "-")
    table = readme.split("| changed | accuracy | difference |")[1].split("\n\n")[0]
    quoted = re.findall(r"(0\.\d{3}) \(([\d.]+)–([\d.]+)\)|([+-]0\.\d{3}) \(([+-][\d.]+) to ([+-][\d.]+)\)", table)
    released = pd.read_parquet(REPOSITORY / "reports" / "ablation.parquet")
    scores = released[["estimate", "ci_low", "ci_high"]].dropna().itertuples(index=False)
    differences = released[["difference", "difference_low", "difference_high"]].dropna().itertuples(index=False)
    known = {tuple(f"{value:.3f}" for value in row) for row in scores}
    known |= {tuple(f"{value:+.3f}" for value in row) for row in differences}
    assert len(quoted) >= 10
    assert {tuple(filter(None, found)) for found in quoted} - known == set()
