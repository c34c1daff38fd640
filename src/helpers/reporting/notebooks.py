"""Executed notebooks as HTML fragments: nbconvert's exporter with the template of this room."""

import base64
from functools import cache
from pathlib import Path

from nbconvert import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from traitlets.config import Config

from helpers.reporting.discretion import discreet_code
from helpers.reporting.markup import Page, prepare
from helpers.reporting.pictures import SmallerPictures
from helpers.study.display import PROGRESS_MIMETYPE
from helpers.study.stages import Stage

TEMPLATES = Path(__file__).with_name("templates")
# The first of these that an output has is shown; JavaScript and widgets are not, their text is.
SHOWN_TYPES = (
    PROGRESS_MIMETYPE, "text/html", "text/markdown", "image/svg+xml", "image/webp", "image/png", "image/jpeg",
    "text/latex", "text/plain",
)  # fmt: skip


def anchor_of(stage: Stage) -> str:
    """Id of a notebook's section in the report; ids inside it start with it."""
    return f"notebook-{stage.key.partition('_')[0]}"


def render_notebook(notebook: NotebookNode, *, stage: Stage) -> Page:
    """Render one executed notebook.

    Parameters
    ----------
    notebook
        nbformat 4, with outputs.
    stage
        The stage that it belongs to; its title heads a notebook that has no heading of its own.

    Returns
    -------
    A fragment without active content whose headings start at level 2, with the headings for a table of contents.
    """
    body, _ = _exporter().from_notebook_node(notebook)
    return prepare(body, prefix=anchor_of(stage), title=stage.title)


class DiscreetParameters(Preprocessor):
    """The injected parameters say no more than a report should."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple[NotebookNode, dict]:
        """Change the source of a cell that papermill has injected."""
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = discreet_code(cell.source)
        return cell, resources


@cache  # its template is compiled once, not for every notebook
def _exporter() -> HTMLExporter:
    config = Config()
    config.NbConvertBase.display_data_priority = list(SHOWN_TYPES)
    exporter = HTMLExporter(
        config=config,
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_anchor_links=True,
        preprocessors=[],
    )
    for preprocessor in (DiscreetParameters, SmallerPictures):
        exporter.register_preprocessor(preprocessor(), enabled=True)
    exporter.register_filter("text_base64", lambda text: base64.b64encode(text.encode()).decode())
    exporter.environment.globals["progress_mimetype"] = PROGRESS_MIMETYPE
    return exporter
