"""Build the report: read the run, render the notebooks, fill the page, write one HTML file."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from helpers.reporting import appendix
from helpers.reporting.ablation import read_ablation
from helpers.reporting.chinese import summarise_in_chinese
from helpers.reporting.flow import study_flow
from helpers.reporting.forms import CARDS, filled_forms, read_form
from helpers.reporting.limits import describe_limits
from helpers.reporting.markup import Heading, Page
from helpers.reporting.methods import describe_methods
from helpers.reporting.notebooks import render_notebook
from helpers.reporting.pages import own_source, page_environment
from helpers.reporting.record import NOTEBOOK_STAGES, RunRecord, read_run, reading_artefacts
from helpers.reporting.results import confusions, result_tables
from helpers.reporting.study_card import read_study_card
from helpers.reporting.summary import summarise
from helpers.reporting.verdicts import audit_verdicts
from helpers.study import StudyParams
from helpers.study.artefacts import write_atomic
from helpers.study.stages import Stage

REPORT_FILE = "report.html"
AUDIT_STAGE = NOTEBOOK_STAGES[0].key
SCRIPTS = ("contents.js", "tables.js", "figures.js")
LIMITS_HEADING = "Limits"  # the last section of every notebook


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents with the lines below it, and the language that it is written in."""

    text: str
    anchor: str
    children: tuple["Entry", ...] = ()
    lang: str = "en"


def check_inputs(study: StudyParams) -> None:
    """Read what the report will show besides the run, so that what is wrong with it is said before a long run.

    Raises
    ------
    ParameterError, ReportError
        If the study card or the ablation table is missing or not as it should be.
    """
    read_study_card(study)
    if study.ablation is not None:
        read_ablation(study.ablation)


def build_report(run_folder: Path) -> Path:
    """Write `report.html` into a run folder: one file that asks no other machine for anything.

    A run that is not finished gets a report too; it says what is missing.

    Parameters
    ----------
    run_folder
        A folder with `params.yaml`, and what the stages have written so far.

    Returns
    -------
    Path of the report.

    Raises
    ------
    ReportError
        If the folder is no run, or a file in it is damaged or of another version.
    ParameterError
        If its `params.yaml` is not valid.
    """
    html = render_report(read_run(run_folder))
    file = run_folder / REPORT_FILE
    write_atomic(file, lambda stream: stream.write(html.encode()))
    return file


def render_report(record: RunRecord) -> str:
    """The whole page as text; equal runs give equal pages."""
    pages = {
        stage.key: render_notebook(record.notebooks[stage.key], stage=stage)
        for stage in NOTEBOOK_STAGES
        if stage.key in record.notebooks
    }
    environment = page_environment()
    scripts = Markup("\n").join(own_source(environment, name) for name in SCRIPTS)
    return environment.get_template("report.html.j2").render(
        title=record.study.study.title,
        run_name=record.study.study.name,
        recorded=appendix.moment(record.provenance["recorded"]) if record.provenance else "",
        css=own_source(environment, "report.css"),
        script=scripts,
        script_hash=_csp_hash(scripts),
        pages=tuple(_page(stage, pages[stage.key]) for stage in NOTEBOOK_STAGES if stage.key in pages),
        **_sections(record, pages=pages),
    )


def _page(stage: Stage, page: Page) -> dict[str, Any]:
    """A notebook for the template; its HTML was made harmless."""
    return {"key": stage.key, "anchor": page.anchor, "title": page.headings[0].text, "html": Markup(page.html)}  # noqa: S704


def _sections(record: RunRecord, *, pages: Mapping[str, Page]) -> dict[str, Any]:
    """What the templates of the sections show, by the names that they use."""
    headings = pages[AUDIT_STAGE].headings if AUDIT_STAGE in pages else ()
    ablation = read_ablation(record.study.study.ablation) if record.study.study.ablation else None
    with reading_artefacts(record):
        summary = summarise(record, headings=headings)
        return {
            "contents": tuple(_contents(pages, has_ablation=ablation is not None, is_chinese=_is_chinese(record))),
            "summary": summary,
            "chinese": summarise_in_chinese(record, summary=summary) if _is_chinese(record) else None,
            "flow": study_flow(record),
            "verdicts": audit_verdicts(record, headings=headings),
            "methods": describe_methods(record),
            "results": result_tables(record),
            "confusions": confusions(record),
            "ablation": ablation,
            "limits": describe_limits(record),
            "step_limits": tuple(_limits_of_steps(pages)),
            **filled_forms(record, headings=[heading for page in pages.values() for heading in page.headings]),
            "parameter_groups": appendix.parameter_groups(record),
            "provenance_groups": appendix.provenance_groups(record),
            "environment_groups": appendix.environment_groups(record),
            "stage_rows": appendix.stage_rows(record),
            "rerun_commands": appendix.rerun_commands(record),
            "parameter_file": appendix.parameter_file(record),
        }


def _limits_of_steps(pages: Mapping[str, Page]) -> Iterator[Entry]:
    """The sections of the notebooks that are called Limits, by the name of the notebook."""
    for page in pages.values():
        for heading in page.headings:
            if heading.text == LIMITS_HEADING:
                yield Entry(page.headings[0].text, heading.anchor)


def _csp_hash(script: str) -> str:
    """How a content security policy names an inline script, so that the page can forbid all others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _is_chinese(record: RunRecord) -> bool:
    return record.study.study.language == "zh"


def _contents(pages: Mapping[str, Page], *, has_ablation: bool, is_chinese: bool) -> Iterator[Entry]:
    if is_chinese:
        yield Entry("中文摘要", "summary-zh", lang="zh-Hans")
    yield Entry("Summary", "summary")
    yield Entry("Study flow", "flow")
    yield Entry("Methods", "methods")
    yield Entry("Results", "results")
    yield Entry("Errors", "errors")
    if has_ablation:
        yield Entry("Ablations", "ablations")
    yield Entry("Limits", "limits")
    yield Entry("Checklists", "checklists")
    for card in map(read_form, CARDS):
        yield Entry(card.title, card.anchor)
    for page in pages.values():
        yield from _nested(page.headings)
    yield Entry("Parameters", "parameters")
    yield Entry("Provenance", "provenance")
    yield Entry("Environment", "environment")
    yield Entry("How to run this again", "run-again")


def _nested(headings: tuple[Heading, ...]) -> Iterator[Entry]:
    """Level-3 headings under the level-2 heading before them."""
    starts = [index for index, heading in enumerate(headings) if heading.level == 2]
    for start, end in zip(starts, [*starts[1:], len(headings)], strict=True):
        children = tuple(Entry(heading.text, heading.anchor) for heading in headings[start + 1 : end])
        yield Entry(headings[start].text, headings[start].anchor, children)
