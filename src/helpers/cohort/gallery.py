"""A browser of the cohort for the notebook: pages of images by class and split, with a window, and what was left out.

It is live in JupyterLab only. Elsewhere, as in the report, it is one sentence; file names never get there. A page is
one picture, drawn when it is asked for, so that the notebook stays small however large the cohort is.
"""

import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Optional

import ipywidgets
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from helpers.cohort.exclusions import CohortError
from helpers.cohort.picture import HU_BITS, middle_plane
from helpers.cohort.reading import Cohort, load_pixels
from helpers.study.schemas import SPLITS

FIELD_MM = 96.0
TILE_PX, CAPTION_PX, GAP_PX = 180, 18, 4
PITCH_PX = (TILE_PX + GAP_PX, TILE_PX + CAPTION_PX)  # from tile to tile, across and down
COLUMNS, ROWS = 4, 3
PER_PAGE = COLUMNS * ROWS
WINDOWS_HU = {"bone": (300.0, 1500.0), "soft tissue": (50.0, 400.0), "wide": (250.0, 2500.0)}  # centre, width
GREY_WINDOW = (127.5, 255.0)
OUTSIDE = -np.inf  # black in any window
ALL = ""  # of a dropdown without a choice; None would leave it blank in the browser

Record = Mapping[str, Any]


def browse(cohort: Cohort, *, splits: Optional[pd.DataFrame] = None, class_names: Mapping[str, str]) -> "Gallery":
    """Look through a cohort.

    Parameters
    ----------
    cohort
        As `read_cohort` gives it.
    splits
        Long table sample_id, fold, split; None for a cohort that is not divided.
    class_names
        Class key to name, in order.
    """
    return Gallery(cohort, splits=splits, class_names=class_names)


class Gallery:
    """Controls and the page that they choose.

    Attributes
    ----------
    shown, class_key, fold, split
        Dropdowns: samples or the files left out for one reason, a class, a fold, a part of that fold.
    center, width
        Sliders of the window, in HU, or in grey values where the images have no unit.
    presets
        Buttons that set both sliders, by the name of their window; none where the images have no unit.
    previous, following
        Buttons that turn the page.
    position
        Which page this is, in words.
    image
        The page as PNG.
    text
        What is on the page, or what was left out, in words.
    """

    def __init__(self, cohort: Cohort, *, splits: Optional[pd.DataFrame], class_names: Mapping[str, str]) -> None:
        self._cohort, self._names = cohort, dict(class_names)
        self._splits = pd.DataFrame(columns=["sample_id", "fold", "split"]) if splits is None else splits
        self._page = 0
        self._fields: dict[str, Optional[np.ndarray]] = {}
        self._make_filters()
        self._make_window()
        self._make_page()
        self._box = ipywidgets.VBox(
            [
                ipywidgets.HBox([self.shown, self.class_key, self.fold, self.split]),
                ipywidgets.HBox([self.center, self.width]),
                ipywidgets.HBox(list(self.presets.values())),
                ipywidgets.HBox([self.previous, self.position, self.following]),
                self.image,
                self.text,
            ]
        )
        self._draw()

    def _make_filters(self) -> None:
        reasons = self._cohort.exclusions["reason"].value_counts().sort_index()
        left_out = [(f"not used: {reason.replace('_', ' ')} ({count})", reason) for reason, count in reasons.items()]
        classes = [(f"{key}: {name}", key) for key, name in self._names.items()]
        folds = sorted(self._splits["fold"].unique())
        self.shown = _dropdown("Show", [("samples", ALL), *left_out])
        self.class_key = _dropdown("Class", [("all", ALL), *classes])
        self.fold = _dropdown("Fold", [(str(fold), int(fold)) for fold in folds] or [("none", ALL)])
        self.split = _dropdown("Split", [("all", ALL), *((part, part) for part in SPLITS if folds)])
        for control in (self.shown, self.class_key, self.fold, self.split):
            control.observe(self._restart, names="value")

    def _make_window(self) -> None:
        in_hu = self._cohort.table["bits"].eq(HU_BITS).all()
        unit, (center, width) = ("HU", WINDOWS_HU["bone"]) if in_hu else ("grey", GREY_WINDOW)
        ends = (-1000.0, 3000.0) if in_hu else (0.0, 255.0)
        self.center = _slider(f"Centre ({unit})", center, ends=ends)
        self.width = _slider(f"Width ({unit})", width, ends=(1.0, ends[1] - ends[0]))
        for control in (self.center, self.width):
            control.observe(self._redraw, names="value")
        self.presets = {name: ipywidgets.Button(description=f"{name} window") for name in WINDOWS_HU if in_hu}
        for name, button in self.presets.items():
            button.on_click(partial(self._set_window, WINDOWS_HU[name]))

    def _make_page(self) -> None:
        self.previous = ipywidgets.Button(description="Previous page", icon="arrow-left")
        self.following = ipywidgets.Button(description="Next page", icon="arrow-right")
        self.position = ipywidgets.Label()
        self.image = ipywidgets.Image(format="png")
        self.text = ipywidgets.HTML()
        self.previous.on_click(self._turn_back)
        self.following.on_click(self._turn_on)

    def _restart(self, _change: Record) -> None:
        self._page = 0
        self._draw()

    def _redraw(self, _change: Record) -> None:
        self._draw()

    def _set_window(self, window: tuple[float, float], _button: ipywidgets.Button) -> None:
        self.center.value, self.width.value = window

    def _turn_back(self, _button: ipywidgets.Button) -> None:
        self._page -= 1
        self._draw()

    def _turn_on(self, _button: ipywidgets.Button) -> None:
        self._page += 1
        self._draw()

    def _draw(self) -> None:
        """Show the current page of what the filters choose."""
        rows = self._chosen()
        pages = max(math.ceil(len(rows) / PER_PAGE), 1)
        page = rows[self._page * PER_PAGE : (self._page + 1) * PER_PAGE]
        of_samples = self.shown.value == ALL
        self.position.value = f"page {self._page + 1} of {pages}, {len(rows)} {'samples' if of_samples else 'not used'}"
        self.previous.disabled, self.following.disabled = self._page == 0, self._page + 1 >= pages
        self.image.layout.display = None if of_samples and page else "none"
        for control in (self.class_key, self.fold, self.split, self.center, self.width, *self.presets.values()):
            control.disabled = not of_samples
        if of_samples:
            self._draw_samples(page)
        else:
            self.text.value = _listed(f"{row['source']}: {row['detail']}. {row['remedy']}" for row in page)

    def _chosen(self) -> list[Record]:
        """Rows of the cohort table with the column split, or of the exclusions."""
        if self.shown.value != ALL:
            left_out = self._cohort.exclusions
            return left_out[left_out["reason"] == self.shown.value].to_dict("records")
        part = self._splits[self._splits["fold"] == self.fold.value].set_index("sample_id")["split"]
        table = self._cohort.table.assign(split=lambda table: table["sample_id"].map(part))
        if self.class_key.value != ALL:
            table = table[table["label"] == self.class_key.value]
        if self.split.value != ALL:
            table = table[table["split"] == self.split.value]
        return table.to_dict("records")

    def _draw_samples(self, page: Sequence[Record]) -> None:
        self._fields = {row["sample_id"]: self._field(row) for row in page}
        window = (self.center.value, self.width.value)
        captions = [self._caption(row) for row in page]
        if page:
            self.image.value = page_png(list(self._fields.values()), captions=captions, window=window)
        places = [row["level"] if isinstance(row["level"], str) else "" for row in page]
        unread = ["" if field is not None else "cannot be read now" for field in self._fields.values()]
        described = zip(captions, page, places, unread, strict=True)
        self.text.value = _listed(
            ", ".join(filter(None, (caption, row["sample_id"], place, trouble)))
            for caption, row, place, trouble in described
        )

    def _field(self, row: Record) -> Optional[np.ndarray]:
        """The surroundings of a sample, kept while its page is shown; None where the file has gone or changed."""
        if row["sample_id"] in self._fields:
            return self._fields[row["sample_id"]]
        try:
            return field_around(load_pixels(row, source=self._cohort.source), row=row)
        except CohortError:
            return None

    def _caption(self, row: Record) -> str:
        name = self._names.get(row["label"], "")
        return f"{row['label']} {name}, {row['split']}" if isinstance(row["split"], str) else f"{row['label']} {name}"

    def __repr__(self) -> str:
        used, left_out = len(self._cohort.table), len(self._cohort.exclusions)
        return f"Gallery of {used} samples and {left_out} files or rows not used: open the notebook to browse it."

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return {**self._box._repr_mimebundle_(**options), "text/plain": repr(self)}


def _dropdown(description: str, options: Sequence[tuple[str, Any]]) -> ipywidgets.Dropdown:
    layout = ipywidgets.Layout(width="auto", min_width="9em")
    return ipywidgets.Dropdown(options=options, value=options[0][1], description=description, layout=layout)


def _slider(description: str, value: float, *, ends: tuple[float, float]) -> ipywidgets.FloatSlider:
    style, layout = {"description_width": "initial"}, ipywidgets.Layout(width="24em")
    return ipywidgets.FloatSlider(
        value, min=ends[0], max=ends[1], step=0.5, description=description, style=style, layout=layout
    )


def _listed(lines: Iterable[str]) -> str:
    """HTML list, escaped; a sentence where there is nothing."""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<ol>{items}</ol>" if items else "<p>Nothing is left with these filters.</p>"


def field_around(pixels: np.ndarray, *, row: Record) -> np.ndarray:
    """Cut a square of `FIELD_MM` around the centre of a sample.

    Parameters
    ----------
    pixels
        (Rows, Columns), or (3, Rows, Columns), of which the middle plane is taken.
    row
        Row of the cohort table: centre and spacing.

    Returns
    -------
    (Rows, Columns) float32 in the unit of `pixels`, minus infinity outside the image; as many pixels as the spacing
    asks for, so that rows and columns may differ in number.
    """
    plane = middle_plane(pixels)
    half = [round(FIELD_MM / row[spacing] / 2) for spacing in ("row_spacing_mm", "column_spacing_mm")]
    top, left = (round(row[name]) - half[axis] for axis, name in enumerate(("center_row_px", "center_col_px")))
    field = np.full((2 * half[0] + 1, 2 * half[1] + 1), OUTSIDE, np.float32)
    inside = plane[max(top, 0) : top + field.shape[0], max(left, 0) : left + field.shape[1]]
    first = max(-top, 0), max(-left, 0)
    field[first[0] : first[0] + inside.shape[0], first[1] : first[1] + inside.shape[1]] = inside
    return field


def page_png(fields: Sequence[Optional[np.ndarray]], *, captions: Sequence[str], window: tuple[float, float]) -> bytes:
    """Draw fields in a grid, each above its number and caption.

    Parameters
    ----------
    fields
        As `field_around` gives them; None is an empty tile.
    captions
        One per field.
    window
        (centre, width) in the unit of the fields.

    Returns
    -------
    PNG of `COLUMNS` tiles a row.
    """
    lines = math.ceil(len(fields) / COLUMNS)
    page = Image.new("L", (COLUMNS * PITCH_PX[0], lines * PITCH_PX[1]), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for place, (field, caption) in enumerate(zip(fields, captions, strict=True)):
        x, y = place % COLUMNS * PITCH_PX[0], place // COLUMNS * PITCH_PX[1]
        if field is not None:
            page.paste(_tile(field, window=window), (x, y))
        pen.text((x + 3, y + TILE_PX + 2), f"{place + 1}  {caption}", fill=0, font=font)
    stream = io.BytesIO()
    page.save(stream, "PNG")
    return stream.getvalue()


def _tile(field: np.ndarray, *, window: tuple[float, float]) -> Image.Image:
    center, width = window
    grey = np.clip((field - center) / width + 0.5, 0, 1) * 255
    tile = Image.fromarray(np.rint(grey).astype(np.uint8))
    return tile.resize((TILE_PX, TILE_PX), Image.Resampling.BILINEAR)
