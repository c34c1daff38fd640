"""Figures, tables and progress as they appear in a notebook, in its executed copy, and in the report.

Figures and tables are shown as HTML with alternative text and a caption, so that JupyterLab and the report agree.
Progress rewrites one output in place: the executed notebook keeps only its last line.
"""

import base64
import io
import time
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython.display import HTML, DisplayHandle, display
from jinja2 import Environment
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROGRESS_MIMETYPE = "application/vnd.study.progress+json"
REFRESH_S = 0.5
FIGURE_ROWS = 120  # of the table behind a figure; it is folded, so that it may be longer than others
GROUPED_FROM = 10_000  # whole numbers from here on are written 10,000; years are not

_jinja = Environment(autoescape=True)
_FIGURE = _jinja.from_string(
    '<figure class="study-figure"><img alt="{{ alt }}" src="data:image/webp;base64,{{ picture }}" '
    'style="max-width:100%;height:auto" width="{{ width }}">'
    "{% if caption %}<figcaption>{{ caption }}</figcaption>{% endif %}</figure>"
    # a figure ends with its caption, so that its numbers stand behind it
    '{% if numbers %}<details class="numbers"><summary>The numbers of this figure</summary>'
    "{{ numbers }}</details>{% endif %}"
)
_EMPTY = _jinja.from_string("<p>{{ caption }}: none.</p>")
_TABLE = _jinja.from_string(
    '<div class="study-table-scroll"><table class="study-table">'
    "{% if caption %}<caption>{{ caption }}</caption>{% endif %}"
    "<thead><tr>{% for name, numeric in header %}"
    '<th scope="col"{% if not numeric %} style="text-align:left"{% endif %}>{{ name }}</th>{% endfor %}</tr></thead>'
    "<tbody>"
    "{% for row in rows %}<tr>{% for cell, numeric in row %}"
    # JupyterLab aligns every cell to the right, which suits numbers only
    '<td{% if numeric %} class="number"{% else %} style="text-align:left"{% endif %}>{{ cell }}</td>'
    "{% endfor %}</tr>{% endfor %}</tbody></table></div>"
    "{% if hidden %}<p>{{ hidden }} more rows are not shown.</p>{% endif %}"
)


def show_figure(figure: "Figure", *, alt: str, caption: str = "", data: pd.DataFrame | None = None) -> None:
    """Show a matplotlib figure, see `figure_html`."""
    display(HTML(figure_html(figure, alt=alt, caption=caption, data=data)))


def figure_html(figure: "Figure", *, alt: str, caption: str = "", data: pd.DataFrame | None = None) -> str:
    """A matplotlib figure as an HTML element with the picture in it, as WebP.

    Parameters
    ----------
    figure
        The figure; its resolution is 150 dpi in the file, shown at 100 dpi.
    alt
        What a reader who cannot see the figure needs to know; not empty.
    caption
        Sentence below the figure.
    data
        The numbers that are drawn, for readers who cannot see the figure or want to use them: a folded table below it,
        of up to `FIGURE_ROWS` rows. None where a table stands beside the figure, and for pictures.
    """
    if not alt.strip():
        raise ValueError("alt: describe the figure in words for readers who cannot see it")
    stream = io.BytesIO()
    figure.savefig(stream, format="webp", dpi=150, bbox_inches="tight", pil_kwargs={"quality": 85, "method": 6})
    return _FIGURE.render(
        alt=alt,
        caption=caption,
        picture=base64.b64encode(stream.getvalue()).decode(),
        width=round(figure.get_figwidth() * 100),
        numbers=None if data is None else Markup(table_html(data, caption=caption, max_rows=FIGURE_ROWS)),  # noqa: S704
    )


def show_table(table: pd.DataFrame, *, caption: str = "", decimals: int = 3, max_rows: int = 40) -> None:
    """Show a table, see `table_html`."""
    display(HTML(table_html(table, caption=caption, decimals=decimals, max_rows=max_rows)))


def table_html(table: pd.DataFrame, *, caption: str = "", decimals: int = 3, max_rows: int = 40) -> str:
    """A table without its index as HTML; every value is escaped, numbers are rounded and right-aligned.

    A table without rows becomes the sentence that there are none.
    """
    if table.empty:
        return _EMPTY.render(caption=caption or "Rows")
    rows = [[_cell(value, decimals) for value in row] for row in table.head(max_rows).itertuples(index=False)]
    hidden = max(len(table) - max_rows, 0)
    numeric = [any(is_number for _, is_number in column) for column in zip(*rows, strict=True)]
    header = list(zip(map(str, table.columns), numeric, strict=True))
    return _TABLE.render(header=header, rows=rows, caption=caption, hidden=hidden)


def _cell(value: Any, decimals: int) -> tuple[str, bool]:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–", False
    if isinstance(value, (bool, np.bool_)):
        return ("yes" if value else "no"), False
    if not isinstance(value, Real):
        return str(value), False
    if isinstance(value, Integral):
        return (f"{value:,}" if abs(value) >= GROUPED_FROM else str(value)), True
    return f"{value:.{decimals}f}", True


class ProgressLine:
    """One line of progress, rewritten in place.

    Parameters
    ----------
    description
        What is being done, for example ``reading files``.
    """

    def __init__(self, description: str) -> None:
        self.description = description
        self._handle: DisplayHandle | None = None
        self._shown_at = 0.0
        self._started = time.monotonic()

    def show(self, text: str, *, last: bool = False) -> None:
        """Replace the line; between two refreshes all but the last are dropped."""
        now = time.monotonic()
        if not last and now - self._shown_at < REFRESH_S:
            return
        self._shown_at = now
        line = f"{self.description}: {text}"
        data = {"text/plain": line, PROGRESS_MIMETYPE: {"line": line, "last": last}}
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(data, raw=True)
        else:
            self._handle.update(data, raw=True)

    def done(self, text: str) -> None:
        """Show the line that stays."""
        self.show(f"{text} in {time.monotonic() - self._started:.0f} s", last=True)

    def count(self, done: int, total: int) -> None:
        """Report `done` of `total` with the remaining time; the signature fits `report` callbacks."""
        if done >= total:
            self.done(f"{total}/{total}")
            return
        elapsed = time.monotonic() - self._started
        remaining = f", about {elapsed / done * (total - done):.0f} s left" if done and elapsed > 1 else ""
        self.show(f"{done}/{total}{remaining}")
