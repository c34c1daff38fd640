import base64
import io
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from playwright.sync_api import sync_playwright

from helpers.runs.comparison import compare_runs
from helpers.runs.page import THUMBNAIL_PX, render_comparison, write_comparison
from helpers.runs.pairing import Overlap

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
COMMAND = ".venv/bin/study compare first second --html a.html"


@pytest.fixture(scope="module")
def found(two_runs):
    return compare_runs(*two_runs)


@pytest.fixture(scope="module")
def page(found) -> BeautifulSoup:
    return BeautifulSoup(render_comparison(found, command=COMMAND), "html.parser")


def table(page: BeautifulSoup, caption: str) -> list[list[str]]:
    """Cells of the rows of the table whose caption begins with some words."""
    (holder,) = (found for found in page.find_all("table") if found.caption.get_text().startswith(caption))
    rows = holder.tbody.find_all("tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])] for row in rows]


def test_page_is_one_file_without_requests_or_scripts(page):
    assert page.find_all(["script", "link", "iframe"]) == []
    assert all(image["src"].startswith("data:image/webp") for image in page.find_all("img"))
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; img-src data:")


def test_page_can_be_read_by_everybody(page):
    assert page.html["lang"] == "en"
    assert len(page.find_all("h1")) == 1
    assert all(holder.caption and holder.thead.find("th", scope="col") for holder in page.find_all("table"))
    assert all("reference" in image["alt"] for image in page.find_all("img"))
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))


def test_values_are_escaped(page):
    assert ["training.weights", "ct", "<script>.pt"] in table(page, "Parameters")


def test_all_metrics_are_shown_with_intervals_and_differences(page, found):
    main, others = table(page, "Held-out"), table(page, "All other")
    assert len(main) + len(others) == len(found.metrics)
    assert main[0][0] == "Accuracy"
    assert all("(" in cell for cell in main[0][1:])
    assert others[0][3] == "–"


def test_changed_answers_are_shown_with_right_sized_pictures(page, found):
    rows = table(page, "Samples with different answers")
    assert len(rows) == len(found.answers) == len(page.find_all("img"))
    assert all(image["width"] == str(THUMBNAIL_PX) for image in page.find_all("img"))
    assert all(len(image["src"]) < 20_000 for image in page.find_all("img"))
    assert rows[0][1].startswith(found.answers["sample_id"][0])


def test_long_lists_and_missing_pictures_are_said(found, monkeypatch, make_run, two_runs):
    monkeypatch.setattr("helpers.runs.page.MAX_ANSWERS", 1)
    folder = make_run("bare")
    (folder / "images.npy").unlink()
    html = render_comparison(compare_runs(folder, two_runs[1]), command=COMMAND)
    rows = table(BeautifulSoup(html, "html.parser"), "Samples with different answers, the first 1;")
    assert [row[0] for row in rows] == ["not kept"]


@pytest.mark.parametrize("shape", [(48, 300, 300), (48, 3, 40, 40)])
def test_grey_images_and_neighbouring_planes_are_shown_too(make_run, two_runs, shape):
    folder = make_run("grey")
    np.save(folder / "images.npy", np.full(shape, 100, dtype=np.uint8))
    page = BeautifulSoup(render_comparison(compare_runs(folder, two_runs[1]), command=COMMAND), "html.parser")
    picture = Image.open(io.BytesIO(base64.b64decode(page.img["src"].partition(",")[2])))
    assert picture.size == (min(shape[-1], 2 * THUMBNAIL_PX),) * 2
    assert np.asarray(picture.convert("L")).mean() == pytest.approx(100, abs=3)


def test_runs_that_differ_in_nothing(found):
    same = replace(found, parameters=(), environment=(), answers=found.answers[:0], notebooks=())
    text = BeautifulSoup(render_comparison(same, command=COMMAND), "html.parser").get_text()
    assert "All parameters are the same" in text
    assert "Commit, versions and machine are the same" in text
    assert "no notebook that both runs have executed" in text


def test_cohorts_that_differ_list_their_samples(found):
    apart = replace(found, n_tested=0, overlap=Overlap(("a",), ("b",), ("only-here",), ()))
    page = BeautifulSoup(render_comparison(apart, command=COMMAND), "html.parser")
    assert "only-here" in page.find("summary", string="Only in first: 1").parent.get_text()
    assert page.find(id="answers") is None
    assert len(table(page, "Held-out")[0]) == 3


def test_page_is_written_with_the_command_that_makes_it_again(found, tmp_path):
    file = write_comparison(found, tmp_path / "new" / "a.html", command=COMMAND)
    assert COMMAND in file.read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_without_complaint_or_sideways_scrolling(found, tmp_path, width):
    file = write_comparison(found, tmp_path / "a.html", command=COMMAND)
    complaints = []
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        view = browser.new_page(viewport={"width": width, "height": 800})
        view.on("console", lambda message: complaints.append(message.text))
        view.goto(file.as_uri())
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert view.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        browser.close()
    assert complaints == []
