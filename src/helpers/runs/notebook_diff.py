"""What differs between the executed notebooks of two runs, by nbdime: sources and outputs apart.

Before they are handed to nbdime, outputs are replaced by a line with their title and a hash of their content. A figure
is then one short line instead of a hundred thousand letters, and a comparison takes a moment.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup
from nbdime.diffing.notebooks import diff_notebooks
from nbdime.patching import patch
from nbformat import NotebookNode

from helpers.study.display import PROGRESS_MIMETYPE
from helpers.study.runner import heading_above

ADDED, REMOVED, CHANGED = "only in the second", "only in the first", "changed"
CONTEXT_LINES = 2
HASH_DIGITS = 12
TITLE_LENGTH = 100


@dataclass(frozen=True)
class CellDifference:
    """A cell that the two notebooks do not share.

    Attributes
    ----------
    heading
        Of the section that it stands in.
    kind
        `changed`, `only in the first`, `only in the second`.
    source
        Unified diff of its source, empty where only outputs differ.
    outputs
        Titles of the outputs that differ, such as captions of figures and tables.
    """

    heading: str
    kind: str
    source: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class NotebookDifference:
    """One notebook in two runs; `cells` are those that differ, `n_cells` counts the cells of the first."""

    stage: str
    n_cells: int
    cells: tuple[CellDifference, ...]

    @property
    def n_sources(self) -> int:
        """Cells whose source differs, or that only one of the two has."""
        return sum(bool(cell.source) for cell in self.cells)

    @property
    def n_outputs(self) -> int:
        """Cells of both whose outputs differ."""
        return sum(bool(cell.outputs) and cell.kind == CHANGED for cell in self.cells)


def compare_notebooks(
    first: Mapping[str, NotebookNode], second: Mapping[str, NotebookNode]
) -> tuple[NotebookDifference, ...]:
    """Compare executed notebooks of the same name; the numbers of cells, times and progress are left out."""
    return tuple(
        NotebookDifference(stage, len(notebook.cells), tuple(_cells(notebook, second[stage])))
        for stage, notebook in first.items()
        if stage in second
    )


def _cells(first: NotebookNode, second: NotebookNode) -> Iterator[CellDifference]:
    ours, theirs = _condensed(first), _condensed(second)
    entries = [entry for part in diff_notebooks(ours, theirs) if part.key == "cells" for entry in part.diff]
    for entry in entries:
        heading = heading_above(first, min(entry.key, len(first.cells) - 1))
        if entry.op == "patch":
            cell = ours["cells"][entry.key]
            yield _changed(cell, patch(cell, entry.diff), heading=heading)
        elif entry.op == "addrange":
            yield from (_alone(cell, heading=heading, kind=ADDED) for cell in entry.valuelist)
        else:
            gone = ours["cells"][entry.key : entry.key + entry.length]
            yield from (_alone(cell, heading=heading, kind=REMOVED) for cell in gone)


def _changed(ours: Mapping[str, Any], theirs: Mapping[str, Any], *, heading: str) -> CellDifference:
    return CellDifference(
        heading, CHANGED, _source_diff(ours["source"], theirs["source"]), _changed_outputs(ours, theirs)
    )


def _alone(cell: Mapping[str, Any], *, heading: str, kind: str) -> CellDifference:
    sides = (cell["source"], "") if kind == REMOVED else ("", cell["source"])
    return CellDifference(heading, kind, _source_diff(*sides), ())


def _source_diff(ours: str, theirs: str) -> str:
    lines = difflib.unified_diff(ours.splitlines(), theirs.splitlines(), n=CONTEXT_LINES, lineterm="")
    return "\n".join(list(lines)[2:])  # without the two lines of file names


def _changed_outputs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = ([output["text"] for output in cell.get("outputs", [])] for cell in (ours, theirs))
    differing = [line for line in before if line not in after] + [line for line in after if line not in before]
    return tuple(dict.fromkeys(line.rpartition(" ")[0] for line in differing))


def _condensed(notebook: NotebookNode) -> NotebookNode:
    """Sources as they are, each output as one line; no ids, times and counts."""
    cells = []
    for cell in notebook.cells:
        short = NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode())
        if cell.cell_type == "code":
            short |= {"execution_count": None, "outputs": list(_lines(cell.outputs))}
        cells.append(short)
    return NotebookNode(nbformat=4, nbformat_minor=4, metadata=NotebookNode(), cells=cells)


def _lines(outputs: Sequence[NotebookNode]) -> Iterator[NotebookNode]:
    for output in outputs:
        content = output.get("data") or output.get("text") or output.get("evalue") or ""
        if PROGRESS_MIMETYPE not in content and output.get("name") != "stderr":  # says times
            digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]
            yield NotebookNode(output_type="stream", name="stdout", text=f"{_title(content)} {digest}")


def _title(content: Any) -> str:
    """What an output is called: its caption, or the beginning of its text."""
    if not isinstance(content, Mapping):
        return _short(str(content))
    html = content.get("text/html", "")
    caption = BeautifulSoup(html, "html.parser").find(["figcaption", "caption"]) if "caption>" in html else None
    text = caption.get_text() if caption else content.get("text/markdown") or content.get("text/plain") or "an output"
    return _short(text)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else f"{line[:TITLE_LENGTH]}…"
