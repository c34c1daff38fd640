import ipywidgets
import pytest

from helpers.study.live import Live


@pytest.fixture
def live():
    return Live(
        lambda size, colour: f"<b>{size} {colour}</b>",
        size=ipywidgets.IntSlider(3, description="Size"),
        colour=ipywidgets.Dropdown(options=["red", "blue"], description="Colour"),
    )


def test_what_is_drawn_follows_the_controls(live):
    assert live.view.value == "<b>3 red</b>"
    live.controls["size"].value = 5
    assert live.view.value == "<b>5 red</b>"
    live.controls["colour"].value = "blue"
    assert live.view.value == "<b>5 blue</b>"


def test_it_is_a_widget_in_jupyterlab_and_elsewhere_what_it_shows(live):
    bundle = live._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"].startswith("<b>3 red</b>")
    assert bundle["text/plain"] == "Run the notebook in JupyterLab to change the size and colour here."
    assert bundle["text/plain"] in bundle["text/html"]
