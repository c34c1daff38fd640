import json

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.study.schemas import SWEEP
from helpers.sweep.page import learning_rows, write_sweep
from helpers.sweep.rows import run_rows
from helpers.sweep.variations import load_sweep


@pytest.fixture
def sweep(project):
    return load_sweep("tiny.yaml")


@pytest.fixture
def page(sweep, folder, screen) -> BeautifulSoup:
    problems = run_rows(sweep, folder, screen=screen)
    file = write_sweep(sweep, folder, problems=problems, file="tiny.yaml")
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def test_table_and_json_hold_the_same_numbers(page, folder):
    table = SWEEP.validate(pd.read_parquet(folder / "sweep.parquet"))
    content = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert content["reference"] == "reference"
    assert content["changes"]["weaker"] == {"training.epochs": 1}
    assert [record["estimate"] for record in content["table"] if record["estimate"] is not None] == pytest.approx(
        table["estimate"].dropna().tolist()
    )


def test_page_asks_no_other_machine_and_describes_its_figures(page):
    assert page.find_all(["script", "link", "iframe"]) == []
    images = page.find_all("img")
    assert len(images) == 2
    assert all(image["src"].startswith("data:image/webp") and len(image["alt"]) > 40 for image in images)


def test_page_shows_every_row_what_failed_and_how_to_repeat_it(page, sweep):
    scores, matrices, differences = page.find_all("table")
    assert [row.find("th").get_text() for row in scores.tbody.find_all("tr")] == [row.name for row in sweep.rows]
    answered = [row.name for row in sweep.rows if row.name in matrices.get_text()]
    assert [row.find("th").get_text() for row in matrices.tbody.find_all("tr")] == answered
    assert len(answered) == len(sweep.rows) - 1
    assert "No result. 03_training stopped" in " ".join(scores.get_text().split())
    assert [row.find("th").get_text() for row in differences.tbody.find_all("tr")] == ["weaker", "fewer", "coarse"]
    text = " ".join(page.get_text().split())
    assert ".venv/bin/study sweep tiny.yaml" in text
    assert "Simulated cohort." in text
    assert "each row was trained with one seed" in text


def test_page_without_any_result_has_no_figures(sweep, folder):
    folder.mkdir(parents=True)
    file = write_sweep(sweep, folder, problems={row.name: "not run" for row in sweep.rows}, file="tiny.yaml")
    assert BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").find("img") is None


def test_the_learning_curve_takes_rows_that_differ_in_nothing_else(sweep):
    assert learning_rows(sweep) == ["reference", "fewer"]
