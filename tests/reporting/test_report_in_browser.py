"""The report in a real browser: no error, no request, no sideways scrolling, contents that work."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt install chromium)")

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


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


def test_keyboard_reaches_the_skip_link_first(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()


def test_prints_without_navigation_and_folded_code(browser, url):
    page, _, _ = opened(browser, url, viewport=DESKTOP)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("details.code:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
