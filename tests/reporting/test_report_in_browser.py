"""The report in a real browser: no error, no request, no sideways scrolling; contents, tables and figures that work."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from helpers.reporting import build_report
from helpers.study.display import table_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
A4_TEXT_WIDTH = 673  # CSS pixels between margins of 16 mm
RELEASED_ABLATION = Path(__file__).parents[2] / "reports" / "ablation.parquet"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(complete_report) -> str:
    return complete_report.as_uri()


def opened(browser: Browser, url: str, *, viewport: dict, **options) -> tuple[Page, list[str], list[str]]:
    """The page, its console messages and errors, and its requests beyond the file and embedded images."""
    page, complaints, requests = browser.new_page(viewport=viewport, **options), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    page.mouse.wheel(0, 3000)
    page.wait_for_load_state("networkidle")
    return page, complaints, [address for address in requests if address != url and not address.startswith("data:")]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_without_complaint_request_or_sideways_scrolling(browser, url, viewport, scheme):
    page, complaints, requests = opened(browser, url, viewport=viewport, color_scheme=scheme)
    assert (complaints, requests) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.close()


def test_contents_collapse_on_a_phone_and_close_after_a_jump(browser, url):
    page, _, _ = opened(browser, url, viewport=PHONE)
    link = page.locator("nav a[href='#parameters']")
    assert not link.is_visible()
    page.locator("nav summary").click()
    link.click()
    page.wait_for_selector("nav a[href='#parameters'][aria-current]", state="attached")
    assert not link.is_visible()
    assert page.evaluate("document.querySelector('#parameters').getBoundingClientRect().top") < PHONE["height"] / 4
    page.close()


def test_contents_are_open_on_a_wide_screen_and_mark_the_section_being_read(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.locator("nav a[href='#notebook-03']").click()
    page.wait_for_selector("nav a[href='#notebook-03'][aria-current]")
    assert page.locator("nav a[aria-current]").count() == 1
    page.close()


def test_page_works_without_javascript(browser, url):
    page, complaints, _ = opened(browser, url, viewport=DESKTOP, java_script_enabled=False)
    code = page.locator("details.code").first
    assert not code.locator("pre").is_visible()
    code.locator("summary").click()
    assert code.locator("pre").is_visible()
    assert page.locator("nav a[href='#parameters']").is_visible()
    assert complaints == []
    page.close()


def test_the_numbers_of_a_figure_are_folded_and_a_keyboard_opens_them(browser, url):
    page, _, _ = opened(browser, url, viewport=PHONE)
    numbers = page.locator("details.numbers").first
    assert not numbers.locator("table").is_visible()
    numbers.locator("summary").focus()
    page.keyboard.press("Enter")
    assert numbers.get_by_role("group", name="A line").is_visible()
    assert numbers.locator("td").all_inner_texts() == ["0", "1"]
    page.close()


def test_keyboard_reaches_the_skip_link_first(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()


def test_prints_without_navigation_and_folded_code(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("details.code:visible, details.numbers:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()


def test_nothing_is_wider_than_the_paper_or_chromium_would_shrink_every_page(browser, make_run):
    run = make_run(study={"name": "fabricated", "ablation": str(RELEASED_ABLATION)})
    page, _, _ = opened(browser, build_report(run).as_uri(), viewport={"width": A4_TEXT_WIDTH, "height": 900})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == A4_TEXT_WIDTH
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize(("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["light", "dark phone"])
def test_axe_finds_no_violation(browser, url, viewport, scheme):
    page = browser.new_page(viewport=viewport, color_scheme=scheme, bypass_csp=True)  # axe is a script of its own
    page.goto(url)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    violations = Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    page.close()


def test_summary_fits_on_the_first_screen(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.evaluate("document.querySelector('.incomplete')?.remove()")
    place = "document.querySelector('{}').getBoundingClientRect().bottom + scrollY"
    assert page.evaluate(place.format(".answer")) < DESKTOP["height"]
    assert page.evaluate(place.format(".matrix")) < DESKTOP["height"]
    assert page.evaluate(place.format(".checks")) < DESKTOP["height"]
    page.close()


def estimates(table: Locator) -> list[float]:
    return [float(text.split()[0]) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]


def test_a_click_on_a_heading_sorts_by_numbers_and_another_turns_the_order(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    table = page.locator(".results table").first
    head = table.locator("th", has_text="Estimate")
    given = estimates(table)
    head.locator("button").click()
    assert (estimates(table), head.get_attribute("aria-sort")) == (sorted(given), "ascending")
    head.locator("button").click()
    assert (estimates(table), head.get_attribute("aria-sort")) == (sorted(given, reverse=True), "descending")
    page.close()


def test_a_long_table_is_searched_and_says_how_many_rows_are_left(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.get_by_label("Search the table: Environment").fill("scikit")
    section = page.locator("section[aria-labelledby='environment']")
    assert section.locator("tbody tr:visible th[scope='row']").all_inner_texts() == ["scikit-learn"]
    assert section.get_by_role("status").inner_text().startswith("1 of ")
    page.close()


def test_a_figure_is_enlarged_and_closed_by_the_keyboard(browser, url):
    page, complaints, _ = opened(browser, url, viewport=DESKTOP)
    page.get_by_role("button", name="Enlarge the figure: A rising line").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog img").get_attribute("alt") == "A rising line"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert complaints == []
    page.close()


@pytest.mark.parametrize(
    "value",
    [
        "<script>window.ran = 1</script>",
        '"><img src=x onerror="window.ran = 1">',
        "'><svg onload=window.ran=1>",
        "{{ 6 * 7 }}{% raw %}",
        "</style></script><script>window.ran = 1</script>",
        "[x](javascript:window.ran=1)",
    ],
)
def test_nothing_that_stands_in_the_data_runs(browser, make_run, change_json, value):
    """Title, class, label, patient, level, file and verdict are hostile; a blocked script would be a complaint too."""
    folder = make_run(
        notebooks=1,
        study={"name": "fabricated", "title": f"T {value}"},
        cohort={"class_names": {"A": value, "B": "b"}, "normal_class": None},
    )
    verdict = {"status": "warn", "checked": value, "found": 1, "detail": value, "examples": []}
    change_json(folder / "audit.json", lambda audit: audit["verdicts"].update({value: verdict}))
    change_json(folder / "audit.json", lambda audit: audit["flow"][0].update(excluded={value: 1}))
    table = pd.DataFrame([dict.fromkeys(("file", "PatientID", "level", value), value)] * 12)
    file = folder / "notebooks" / "01_data_audit.ipynb"
    notebook = nbformat.read(file, as_version=4)
    shown = {"text/html": table_html(table, caption=value), "text/plain": value}
    notebook.cells[4].outputs = [nbformat.v4.new_output("display_data", data=shown)]
    notebook.cells[4].outputs.append(nbformat.v4.new_output("display_data", data={"text/markdown": value}))
    nbformat.write(notebook, file)
    page, complaints, requests = opened(browser, build_report(folder).as_uri(), viewport=DESKTOP)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    for button in page.locator("section.notebook .sort").all():
        button.click()
    page.get_by_label("Search the table").last.fill("x")
    assert page.evaluate("window.ran") is None
    assert (complaints, requests) == ([], [])
    assert page.locator("h1").inner_text() == f"T {value}"
    page.close()
