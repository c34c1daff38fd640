import base64

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.runs.notebook_diff import ADDED, CHANGED, REMOVED, CellDifference, compare_notebooks
from helpers.study.display import PROGRESS_MIMETYPE


def figure(content: str) -> nbformat.NotebookNode:
    html = f'<figure><img src="data:image/webp;base64,{content}"><figcaption>Loss curves</figcaption></figure>'
    return new_output("display_data", data={"text/html": html})


def notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell("## 1 · Start"), new_code_cell("import pandas"), *cells])


def cells(first: nbformat.NotebookNode, second: nbformat.NotebookNode) -> tuple[CellDifference, ...]:
    (found,) = compare_notebooks({"03_training": first}, {"03_training": second})
    return found.cells


def test_equal_notebooks_do_not_differ_whatever_their_ids_counts_times_and_progress():
    def executed(seconds: int) -> nbformat.NotebookNode:
        line = f"reading: 3/3 in {seconds} s"
        progress = new_output("display_data", data={"text/plain": line, PROGRESS_MIMETYPE: {"line": line}})
        cell = new_code_cell("read()", outputs=[progress, figure("AAAA")], execution_count=seconds)
        cell.metadata["papermill"] = {"duration": seconds}
        return notebook(cell)

    assert cells(executed(1), executed(2)) == ()


def test_a_changed_source_is_shown_with_its_lines():
    (found,) = cells(notebook(new_code_cell("a = 1\nb = 2")), notebook(new_code_cell("a = 1\nb = 3")))
    assert (found.heading, found.kind, found.outputs) == ("1 · Start", CHANGED, ())
    assert found.source.splitlines()[1:] == [" a = 1", "-b = 2", "+b = 3"]


def test_a_changed_output_is_named_by_its_caption():
    (found,) = cells(*(notebook(new_code_cell("plot()", outputs=[figure(data)])) for data in ("AAAA", "BBBB")))
    assert (found.kind, found.source, found.outputs) == (CHANGED, "", ("Loss curves",))


def test_cells_of_one_notebook_only():
    other = notebook(new_markdown_cell("## 2 · Something else entirely"))
    (added,), (removed,) = cells(notebook(), other), cells(other, notebook())
    assert (added.kind, removed.kind) == (ADDED, REMOVED)
    assert "+## 2 · Something else entirely" in added.source
    assert "-## 2 · Something else entirely" in removed.source


def test_sources_and_outputs_are_counted_apart():
    def made(source: str, data: str) -> nbformat.NotebookNode:
        return notebook(new_code_cell(source), new_code_cell("plot(data)", outputs=[figure(data)]))

    (found,) = compare_notebooks({"a": made("fit(3)", "AAAA"), "b": notebook()}, {"a": made("fit(4)", "BBBB")})
    assert (found.stage, found.n_cells, found.n_sources, found.n_outputs) == ("a", 4, 1, 1)


def test_large_pictures_are_not_compared_letter_by_letter(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "helpers.runs.notebook_diff.diff_notebooks", lambda ours, theirs: seen.append((ours, theirs)) or []
    )
    rng = np.random.default_rng(0)
    large = [base64.b64encode(rng.bytes(300_000)).decode() for _ in range(2)]
    cells(*(notebook(new_code_cell("plot()", outputs=[figure(data)])) for data in large))
    assert all(len(nbformat.writes(side)) < 2000 for side in seen[0])


@pytest.mark.parametrize("text", ["line\n" * 50, "error"])
def test_long_texts_are_cut_to_a_title(text):
    outputs = [new_output("stream", text=text), new_output("error", ename="E", evalue=text, traceback=[])]
    first = notebook(new_code_cell("say()", outputs=[outputs[0]]))
    second = notebook(new_code_cell("say()", outputs=[new_output("stream", text=text + "!")]))
    assert all(len(title) <= 101 for found in cells(first, second) for title in found.outputs)
