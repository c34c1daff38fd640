"""The page as a whole: one file, one h1, unique ids, nothing loaded from elsewhere, everything escaped."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers.evaluation import headline
from helpers.reporting import ReportError, build_report
from helpers.reporting.wording import unbroken
from helpers.study.artefacts import write_json_atomic

OWN_OVERHEAD_BYTES = 150_000
REPORT_BYTES = 6_000_000
RELEASED_REPORT = Path(__file__).parents[2] / "reports" / "default.html"


def parsed(folder) -> BeautifulSoup:
    return BeautifulSoup(build_report(folder).read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def soup(complete_report):
    return BeautifulSoup(complete_report.read_text(encoding="utf-8"), "html.parser")


def test_one_h1_and_landmarks(soup, hostile):
    assert [h1.get_text() for h1 in soup.find_all("h1")] == [f"Spine {hostile}"]
    assert [len(soup.find_all(name)) for name in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert soup.html["lang"] == "en"
    assert soup.find("a", class_="skip")["href"] == "#summary"


def test_no_heading_level_is_skipped_downwards(soup):
    levels = [int(tag.name[1]) for tag in soup.find_all(re.compile("^h[1-6]$"))]
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))


def test_ids_are_unique_and_inner_links_lead_somewhere(soup):
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    inner = {link["href"][1:] for link in soup.find_all("a", href=True) if link["href"].startswith("#")}
    named = {name for tag in soup.find_all(attrs={"aria-labelledby": True}) for name in tag["aria-labelledby"].split()}
    assert inner | named <= set(ids)


def test_contents_lists_every_section_once_in_order(soup):
    targets = [link["href"][1:] for link in soup.select("nav a")]
    assert len(targets) == len(set(targets))
    order = [tag["id"] for tag in soup.select("main [id]") if tag["id"] in set(targets)]
    assert targets == order
    own = ["summary", "flow", "methods", "results", "errors", "limits", "parameters", "provenance", "environment"]
    assert [target for target in targets if target in own] == own
    assert targets[-1] == "run-again"
    assert [f"notebook-0{number}" in targets for number in range(1, 6)] == [True] * 5


def test_every_image_is_described(soup):
    images = soup.find_all("img")
    assert len(images) == 5
    assert all(image["alt"].strip() for image in images)


def test_nothing_is_loaded_from_elsewhere(soup):
    assert all(image["src"].startswith("data:image/") for image in soup.find_all("img"))
    assert not soup.find_all(["link", "iframe", "object", "embed"])
    assert not soup.find_all("script", src=True)
    assert "url(" not in soup.find("style").get_text()
    assert "@import" not in soup.find("style").get_text()


def test_policy_forbids_all_but_the_pages_own_script(soup):
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(soup.find_all("script")) == 1


def test_headline_is_that_of_the_metrics(soup, complete_run):
    metrics = json.loads((complete_run / "metrics.json").read_text(encoding="utf-8"))
    assert soup.find("p", class_="answer").get_text() == unbroken(headline(metrics))


def test_matrix_and_flow_repeat_their_files(soup):
    counts = [[cell.find("b").get_text() for cell in row.select("td.cell")] for row in soup.select(".matrix tbody tr")]
    assert [sum(map(int, row)) for row in counts] == [40, 40, 40]
    flow = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in soup.select(".flow-steps tbody tr")]
    assert flow == [["files in the cohort folder", "130", "–", "–", "none"], ["used", "120", "120", "60", "none"]]


def test_leakage_verdict_links_to_its_section(soup):
    verdict = soup.select_one(".verdicts .verdict")
    assert verdict.find("p").get_text() == "leakage: no problem found"
    assert soup.find(id=verdict.find("a")["href"][1:]).get_text() == "1 · Leakage"


def test_a_problem_is_told_with_what_was_tested_and_how_often_it_fails(soup):
    problem = soup.select_one(".verdicts .fail").find_all("p")[1].get_text()
    assert problem == "Tested: “No header holds a direct identifier.” Against it: 4. Attributes: InstitutionName."
    assert soup.select_one(".verdicts .warn").find_all("p")[1].get_text() == "The cohort is simulated."


def test_first_screen_has_six_checks_and_says_what_this_is_not(soup):
    checks = [item.find("p", class_="head").get_text() for item in soup.select(".summary .checks li")]
    assert len(checks) == 6
    assert checks[:2] == ["leakage: no problem found", "privacy: problem found"]
    caveats = soup.select_one(".summary .banner:not(.incomplete)").get_text()
    assert "Not a medical device" in caveats
    assert "no patient was scanned" in caveats


def test_limits_lead_to_those_of_every_notebook(soup):
    links = soup.select(".limitations .note a")
    assert [soup.find(id=link["href"][1:]).get_text() for link in links] == ["Limits"] * 5


def test_every_scrolling_box_is_named_and_reached_by_the_keyboard(soup):
    boxes = soup.select(".study-table-scroll")
    assert len(boxes) > 10
    assert all(box["aria-label"].strip() and box["tabindex"] == "0" for box in boxes)


def test_links_between_notebooks_stay_in_the_page(soup):
    section = soup.find("section", attrs={"aria-labelledby": "notebook-01"})
    targets = {link.get_text(): link["href"] for link in section.select(".prose a")}
    assert targets == {"limits": "#notebook-01-limits", "next one": "#notebook-02"}


def test_values_from_outside_are_escaped_everywhere(make_run, change_json, hostile):
    names = {"A": hostile, "B": "b"}
    folder = make_run(
        notebooks=1, study={"name": "fabricated", "title": hostile}, cohort={"class_names": names, "normal_class": None}
    )
    verdict = {"status": hostile, "checked": hostile, "found": 1, "detail": hostile, "examples": []}
    change_json(folder / "audit.json", lambda audit: audit["verdicts"].update({hostile: verdict}))
    change_json(folder / "audit.json", lambda audit: audit["flow"][0].update(step=hostile))
    recorded = {"name": "file", "note": hostile, "licence": hostile}
    write_json_atomic(folder / "model.json", {"initialisation": recorded, "parameters": 1, "trainable": 1})
    change_json(folder / "provenance.json", lambda content: content["machine"].update(processor=hostile))
    file = folder / "notebooks" / "01_data_audit.ipynb"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[0].source = f"# {hostile}"
    nbformat.write(notebook, file)
    soup = parsed(folder)
    assert len(soup.find_all("script")) == 1
    assert "alert" not in soup.find("script").get_text()
    assert soup.find("h1").get_text() == hostile
    assert soup.get_text().count(hostile) > 10


def test_two_builds_are_equal(make_run):
    folder = make_run(notebooks=1)
    assert build_report(folder).read_bytes() == build_report(folder).read_bytes()


def test_own_overhead_is_small(make_run):
    folder = make_run(notebooks=0)
    assert build_report(folder).stat().st_size < OWN_OVERHEAD_BYTES


def test_report_of_the_default_study_is_small_enough_to_be_sent():
    assert RELEASED_REPORT.stat().st_size < REPORT_BYTES


def test_random_start_is_named_and_transfer_learning_denied(make_run):
    run = make_run(notebooks=0, training={"weights": "none", "batch_norm": "learned"})
    soup = parsed(run)
    assert "random start, no transfer learning" in soup.find("section", class_="limitations").get_text()
    assert "trained from a random start" in soup.find("p", class_="question").get_text()
    assert "fine-tuned" not in soup.find("section", class_="summary").get_text()


def test_unfinished_run_gets_a_report_that_says_what_is_missing(make_run):
    folder = make_run(notebooks=2)
    for name in ("metrics.json", "provenance.json", "stages.json"):
        (folder / name).unlink()
    soup = parsed(folder)
    notice = soup.find("aside", class_="incomplete").get_text()
    for words in ("03_training", "04_evaluation", "05_error_analysis", "provenance.json"):
        assert words in notice
    assert "No result yet" in soup.find("p", class_="answer").get_text()
    assert soup.find("table", class_="matrix") is None
    assert soup.find("section", attrs={"aria-labelledby": "provenance"}).get_text().count("Not recorded") == 2
    assert "recorded" not in soup.find("p", class_="kicker").get_text()


def test_complete_run_is_not_called_incomplete(make_run):
    folder = make_run()
    write_json_atomic(folder / "model.json", {"initialisation": {"name": "ct"}, "parameters": 2, "trainable": 1})
    assert parsed(folder).find("aside", class_="incomplete") is None


def test_run_before_the_audit_knows_nothing_of_leakage(make_run):
    folder = make_run(notebooks=0)
    (folder / "audit.json").unlink()
    soup = parsed(folder)
    assert (
        soup.select_one(".checks li").get_text(" ", strip=True).endswith("No finished audit: nothing is known of it.")
    )
    assert "nothing is known about leakage" in soup.find("section", class_="flow").get_text()


def test_folder_that_is_no_run_is_refused_and_left_alone(tmp_path):
    with pytest.raises(ReportError, match="not a run folder"):
        build_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
