"""Cells and outputs of an executed notebook as HTML."""

import base64
import io

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers.reporting.notebooks import SHOWN_TYPES, anchor_of, render_notebook
from helpers.study.display import PROGRESS_MIMETYPE
from helpers.study.stages import find_stage

STAGE = find_stage("03_training")


def rendered(*cells) -> BeautifulSoup:
    return BeautifulSoup(render_notebook(new_notebook(cells=list(cells)), stage=STAGE).html, "html.parser")


def outputs_of(*outputs) -> BeautifulSoup:
    return rendered(new_code_cell("1", outputs=list(outputs))).find(class_="output")


def display(**data) -> object:
    return new_output("display_data", data={name.replace("__", "/"): value for name, value in data.items()})


def test_code_is_folded_away_per_cell_and_kept_word_for_word():
    source = "for a in b:\n    print(a < 1 & 2)  # <b>"
    soup = rendered(new_code_cell(source), new_code_cell("second()"))
    cells = soup.select("details.code")
    assert len(cells) == 2
    assert not any(cell.has_attr("open") for cell in cells)
    assert cells[0].find("pre").get_text().strip() == source


@pytest.mark.parametrize(
    ("tags", "summary"),
    [
        ([], "Code"),
        (["parameters"], "Code: default parameters"),
        (["injected-parameters"], "Code: parameters of this run"),
    ],
)
def test_parameter_cells_are_told_apart(tags, summary):
    soup = rendered(new_code_cell("x = 1", metadata={"tags": tags}))
    assert soup.find("summary").get_text() == summary


def test_empty_code_cell_leaves_nothing():
    assert rendered(new_code_cell("  ")).find("details") is None


def test_markdown_with_table_link_and_attachment():
    cell = new_markdown_cell("# T\n\n| a |\n|---|\n| *1* |\n\n![A spine](attachment:s.png)")
    cell["attachments"] = {"s.png": {"image/png": "QUJD"}}
    soup = rendered(cell)
    assert soup.find("td").find("em").get_text() == "1"
    assert soup.find("img")["src"] == "data:image/png;base64,QUJD"
    assert soup.find("img")["alt"] == "A spine"


def test_no_anchor_signs_in_headings():
    assert rendered(new_markdown_cell("# T\n\n## 1 · Part")).find("h3").get_text() == "1 · Part"


def test_richest_type_is_shown_once():
    soup = outputs_of(display(text__plain="plain", text__html="<p>rich</p>", image__png="AA"))
    assert soup.get_text().strip() == "rich"
    assert soup.find("img") is None


def test_progress_shows_its_last_line_as_small_text():
    data = {"text/plain": "training: <5> fits", PROGRESS_MIMETYPE: {"line": "x"}}
    soup = outputs_of(new_output("display_data", data=data))
    assert soup.find("p", class_="progress").get_text() == "training: <5> fits"
    assert soup.find("pre") is None


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_raster_images_are_embedded(kind):
    assert outputs_of(display(**{f"image__{kind}": "QUJD"})).find("img")["src"] == f"data:image/{kind};base64,QUJD"


def test_a_png_becomes_a_smaller_webp():
    stream = io.BytesIO()
    Image.new("RGB", (40, 20), "white").save(stream, format="png", compress_level=0)
    image = outputs_of(display(image__png=base64.b64encode(stream.getvalue()).decode())).find("img")
    assert image["src"].startswith("data:image/webp;base64,")
    assert (image["width"], image["height"]) == ("40", "20")


def test_svg_becomes_an_image_so_that_its_ids_and_scripts_stay_inside(hostile):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><g id="a"/>{hostile}</svg>'
    soup = outputs_of(display(**{"image__svg+xml": svg}))
    kind, _, data = soup.find("img")["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == svg
    assert soup.find("script") is None


def test_text_outputs_are_escaped_and_without_terminal_colours(hostile):
    soup = outputs_of(
        new_output("stream", name="stdout", text=f"\x1b[31m{hostile}\x1b[0m"),
        new_output("execute_result", data={"text/plain": hostile}, execution_count=1),
        new_output("display_data", data={"text/latex": hostile}),
    )
    assert [pre.get_text() for pre in soup.find_all("pre")] == [hostile] * 3
    assert soup.find("script") is None


def test_messages_on_stderr_are_folded_away():
    soup = outputs_of(new_output("stream", name="stderr", text="UserWarning: x"))
    assert soup.find("details", class_="messages").find("pre").get_text() == "UserWarning: x"


def test_error_is_one_sentence_without_traceback(hostile):
    soup = outputs_of(new_output("error", ename="ValueError", evalue=hostile, traceback=["File /secret/place", "x"]))
    assert soup.get_text().strip() == f"This cell stopped with ValueError: {hostile}"


def test_javascript_and_widgets_show_their_text():
    widget = {"application/vnd.jupyter.widget-view+json": {}}
    data = {"application/javascript": "alert(1)", "text/plain": "Slider"} | widget
    assert outputs_of(new_output("display_data", data=data)).get_text().strip() == "Slider"
    assert "application/javascript" not in SHOWN_TYPES


def test_anchor_is_the_number_of_the_notebook():
    assert anchor_of(STAGE) == "notebook-03"
