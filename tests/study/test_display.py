"""What notebooks show: figures with words for those who cannot see them, escaped tables, one line of progress."""

import base64
import io
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.testing.globalipapp import start_ipython
from IPython.utils.capture import RichOutput, capture_output
from matplotlib.figure import Figure
from PIL import Image

from helpers.study import display
from helpers.study.display import PROGRESS_MIMETYPE, ProgressLine, show_figure, show_table


@pytest.fixture(scope="module", autouse=True)
def _shell():
    """A terminal shell that formats all that a notebook does."""
    formatter = start_ipython().display_formatter
    formatter.active_types = formatter.format_types


def shown(call, *args: Any, **kwargs: Any) -> list[RichOutput]:
    with capture_output() as captured:
        call(*args, **kwargs)
    return captured.outputs


def html(call, *args: Any, **kwargs: Any) -> str:
    (output,) = shown(call, *args, **kwargs)
    return output.data["text/html"]


class TestFigure:
    @pytest.fixture
    def figure(self) -> Figure:
        figure = Figure(figsize=(4, 3))
        figure.subplots().plot([0, 1])
        return figure

    def test_carries_alt_text_and_caption_escaped(self, figure):
        text = html(show_figure, figure, alt='rises from "0" to <1>', caption="a < b")
        assert 'alt="rises from &#34;0&#34; to &lt;1&gt;"' in text
        assert "<figcaption>a &lt; b</figcaption>" in text

    def test_is_a_webp_of_the_size_asked_for(self, figure):
        text = html(show_figure, figure, alt="a line")
        data = re.search(r'src="data:image/webp;base64,([^"]+)"', text).group(1)
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert image.format == "WEBP"
        assert 'width="400"' in text
        assert image.width == pytest.approx(600, rel=0.15)  # 150 dpi, cut to what is drawn
        assert np.asarray(image.convert("L")).std() > 5

    def test_without_caption_has_none(self, figure):
        assert "figcaption" not in html(show_figure, figure, alt="a line")

    def test_its_numbers_are_a_folded_table_with_the_caption_behind_it(self, figure):
        data = pd.DataFrame({"<epoch>": range(130), "loss": np.linspace(1, 0.1234, 130)})
        text = html(show_figure, figure, alt="a line", caption="a < b", data=data)
        picture, _, numbers = text.partition("</figure>")
        assert "<table" not in picture
        assert numbers.startswith('<details class="numbers"><summary>The numbers of this figure</summary>')
        assert "<caption>a &lt; b</caption>" in numbers
        assert '<th scope="col">&lt;epoch&gt;</th>' in numbers
        assert "10 more rows are not shown" in numbers

    def test_without_numbers_nothing_is_folded(self, figure):
        assert "<details" not in html(show_figure, figure, alt="a line")

    @pytest.mark.parametrize("alt", ["", "  \n"])
    def test_empty_alt_is_refused(self, figure, alt):
        with pytest.raises(ValueError, match="alt: describe the figure"):
            show_figure(figure, alt=alt)


class TestTable:
    def test_values_headers_and_caption_are_escaped(self):
        text = html(show_table, pd.DataFrame({"<b>": ["<script>alert(1)</script>"]}), caption="<i>")
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert ">&lt;b&gt;</th>" in text
        assert "<caption>&lt;i&gt;</caption>" in text

    def test_numbers_are_rounded_and_marked(self):
        frame = pd.DataFrame({"x": [0.12345], "n": [7], "f": np.array([2.5], dtype="float32"), "name": ["a"]})
        text = html(show_table, frame, decimals=2)
        assert re.findall(r'<td class="number">([^<]+)</td>', text) == ["0.12", "7", "2.50"]
        assert ">a</td>" in text

    def test_headings_stand_over_their_values(self):
        text = html(show_table, pd.DataFrame({"name": ["a", "b"], "size": [None, 7]}))
        assert '<th scope="col" style="text-align:left">name</th><th scope="col">size</th>' in text

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
    def test_missing_values_are_a_dash(self, missing):
        text = html(show_table, pd.DataFrame({"x": pd.Series([missing, "a"], dtype=object)}))
        assert ">–</td><" in text

    def test_truth_values_are_words(self):
        assert ">yes</td>" in html(show_table, pd.DataFrame({"x": [True]}))

    def test_large_counts_are_grouped_and_years_are_not(self):
        text = html(show_table, pd.DataFrame({"x": [23508032, 2024]}))
        assert ">23,508,032</td>" in text
        assert ">2024</td>" in text

    def test_lists_in_cells_are_shown(self):
        assert ">[1, 2]</td>" in html(show_table, pd.DataFrame({"x": [[1, 2]]}))

    def test_long_tables_say_how_much_is_hidden(self):
        text = html(show_table, pd.DataFrame({"x": range(12)}), max_rows=10)
        assert text.count("<tr>") == 11
        assert "2 more rows are not shown" in text

    def test_table_without_rows_is_a_sentence(self):
        text = html(show_table, pd.DataFrame({"x": []}), caption="Errors <all>")
        assert text == "<p>Errors &lt;all&gt;: none.</p>"

    def test_the_index_is_not_shown(self):
        assert "secret" not in html(show_table, pd.DataFrame({"x": [1]}, index=["secret"]))


class TestProgress:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch):
        """A clock that the test sets."""

        class Clock:
            now = 1000.0

            def monotonic(self) -> float:
                return self.now

        clock = Clock()
        monkeypatch.setattr(display, "time", clock)
        return clock

    def test_one_output_is_rewritten(self, clock):
        line = ProgressLine("reading")
        with capture_output() as captured:
            for step in range(5):
                clock.now += 1
                line.count(step, 5)
            line.count(5, 5)
        assert len(captured.outputs) == 6
        ids = {output.transient["display_id"] for output in captured.outputs}
        assert len(ids) == 1
        assert [output.update for output in captured.outputs] == [False, True, True, True, True, True]
        assert captured.outputs[-1].data["text/plain"] == "reading: 5/5 in 5 s"
        assert captured.outputs[-1].data[PROGRESS_MIMETYPE] == {"line": "reading: 5/5 in 5 s", "last": True}

    def test_remaining_time_is_told(self, clock):
        line = ProgressLine("reading")
        clock.now += 10
        (output,) = shown(line.count, 1, 4)
        assert output.data["text/plain"] == "reading: 1/4, about 30 s left"

    def test_quick_steps_are_dropped_but_not_the_last(self, clock):
        line = ProgressLine("reading")
        with capture_output() as captured:
            for step in range(1000):
                line.count(step, 1000)
            line.done("1000 files")
        assert [output.data["text/plain"] for output in captured.outputs] == [
            "reading: 0/1000",
            "reading: 1000 files in 0 s",
        ]
