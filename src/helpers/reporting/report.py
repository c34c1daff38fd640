"""Build the report: read the run, render the notebooks, fill the page, write one HTML file."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from helpers.reporting import appendix
from helpers.reporting.ablation import read_ablation
from helpers.reporting.markup import Heading, Page
from helpers.reporting.methods import describe_methods
from helpers.reporting.notebooks import render_notebook
from helpers.reporting.pages import own_source, page_environment
from helpers.reporting.record import NOTEBOOK_STAGES, RunRecord, read_run
from helpers.reporting.summary import summarise
from helpers.study.artefacts import write_atomic

REPORT_FILE = "report.html"
AUDIT_STAGE = NOTEBOOK_STAGES[0].key


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents with the lines below it."""

    text: str
    anchor: str
    children: tuple["Entry", ...] = ()


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
    audit = pages.get(AUDIT_STAGE)
    ablation = read_ablation(record.study.study.ablation) if record.study.study.ablation else None
    environment = page_environment()
    script = own_source(environment, "contents.js")
    return environment.get_template("report.html.j2").render(
        title=record.study.study.title,
        run_name=record.study.study.name,
        recorded=appendix.moment(record.provenance["recorded"]) if record.provenance else "",
        css=own_source(environment, "report.css"),
        script=script,
        script_hash=_csp_hash(script),
        contents=tuple(_contents(pages, has_ablation=ablation is not None)),
        summary=summarise(record, headings=audit.headings if audit else ()),
        methods=describe_methods(record),
        pages=[{"anchor": page.anchor, "html": Markup(page.html)} for page in pages.values()],  # noqa: S704 (made harmless)
        ablation=ablation,
        parameter_groups=appendix.parameter_groups(record),
        provenance_groups=appendix.provenance_groups(record),
        stage_rows=appendix.stage_rows(record),
        rerun_commands=appendix.rerun_commands(record),
        parameter_file=appendix.parameter_file(record),
    )


def _csp_hash(script: str) -> str:
    """How a content security policy names an inline script, so that the page can forbid all others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _contents(pages: Mapping[str, Page], *, has_ablation: bool) -> Iterator[Entry]:
    yield Entry("Summary", "summary")
    yield Entry("Methods", "methods")
    for page in pages.values():
        yield from _nested(page.headings)
    if has_ablation:
        yield Entry("Ablations", "ablations")
    yield Entry("Parameters", "parameters")
    yield Entry("Provenance", "provenance")
    yield Entry("How to run this again", "run-again")


def _nested(headings: tuple[Heading, ...]) -> Iterator[Entry]:
    """Level-3 headings under the level-2 heading before them."""
    starts = [index for index, heading in enumerate(headings) if heading.level == 2]
    for start, end in zip(starts, [*starts[1:], len(headings)], strict=True):
        children = tuple(Entry(heading.text, heading.anchor) for heading in headings[start + 1 : end])
        yield Entry(headings[start].text, headings[start].anchor, children)
