"""Notebook 01 as a researcher meets it: in JupyterLab, in a browser, run from top to bottom, its controls used."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)"),
]

PATIENCE_MS = 240_000  # a limit, not a wait: on an idle machine the notebook runs in seconds
TINY = {
    "run_dir": "runs/lab",
    "phantom_images": {"A": 6, "B": 6, "C": 6},
    "phantom_patients": 9,
    "phantom_seed": 3,
    "n_folds": 3,
    "validation_fraction": 0.3,
    "workers": 1,
}
NOTEBOOK = "notebooks/01_data_audit.ipynb"


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_project) -> Path:
    project = make_project(tmp_path_factory.mktemp("lab") / "project")
    notebook = load_notebook_node(str(project / NOTEBOOK))
    nbformat.write(parameterize_notebook(notebook, TINY), project / NOTEBOOK)
    # without this JupyterLab takes cells that are scrolled away out of the page
    settings = project.parent / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    return project


@pytest.fixture(scope="module")
def lab(project) -> Iterator[str]:
    """Address of a JupyterLab of this project on loopback, token included; its own settings, no one else's."""
    home = {f"JUPYTER_{name}_DIR": str(project.parent / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    home |= {"JUPYTERLAB_SETTINGS_DIR": str(project.parent / "settings"), "OMP_NUM_THREADS": "1"}
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--ServerApp.root_dir=."]
    options += ["--allow-root"] if os.geteuid() == 0 else []
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        cwd=project, env=os.environ | home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield address(server)
    finally:
        server.terminate()  # stops its kernels as well
        try:
            server.wait(timeout=60)
        finally:
            server.kill()


def address(server: subprocess.Popen) -> str:
    """What the server says that it listens on; what it says afterwards is read and dropped, so that it never blocks."""
    said = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return found.group()
    raise RuntimeError("JupyterLab did not start:\n" + "".join(said))


@pytest.fixture(scope="module")
def page(lab) -> Iterator[Page]:
    """The notebook after Run All Cells."""
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(lab.replace("/lab?", f"/lab/tree/{NOTEBOOK}?"))
        expect(page.get_by_role("button", name=re.compile("Python 3.*Idle"))).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        yield page
        browser.close()


def table_rows(page: Page, caption: str):
    return page.locator("table", has=page.locator("caption", has_text=caption)).locator("tbody tr")


def test_all_cells_run_without_an_error(page, project):
    last = page.locator(".jp-CodeCell").last
    expect(last.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE_MS)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert (project / "runs" / "lab" / "splits.parquet").is_file()


def test_a_named_window_changes_the_pictures(page):
    picture = page.locator("img.widget-image")
    before = picture.get_attribute("src")
    page.get_by_role("button", name="soft tissue window").click()
    expect(picture).not_to_have_attribute("src", before)


def test_a_fold_is_chosen(page):
    rows = table_rows(page, "Patients and samples of each part")
    expect(rows).to_have_count(9)
    explorer = page.locator(".jp-OutputArea-output", has=page.get_by_label("Part"))
    explorer.get_by_label("Fold").select_option("1")
    expect(rows).to_have_count(3)
    explorer.get_by_label("Part").select_option("test")
    expect(rows).to_have_count(1)
    expect(table_rows(page, "Patients of test, fold 1")).to_have_count(3)


def test_without_the_token_nothing_is_served(page, lab):
    address = lab.partition("/lab?")[0]
    assert page.context.browser.new_context().request.get(f"{address}/api/contents").status == 403
