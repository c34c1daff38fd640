"""A browser of right and wrong predictions for the notebook: step through one kind at a time, a right case beside it.

It is live in JupyterLab only. Elsewhere, as in the report, it is one sentence, and the galleries stand for it. A page
is one picture, drawn when it is asked for.
"""

import io
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
from PIL import Image

from helpers.error_analysis.held_out import HeldOut
from helpers.error_analysis.ranking import KEPT_COLUMNS
from helpers.error_analysis.saliency import explain
from helpers.error_analysis.wording import COLUMN_TITLES
from helpers.evaluation.predictions import probability_column

SIDE_PX, GAP_PX = 320, 6
#: Colour of the saliency and how much of it covers the image where it is strongest.
TINT, COVER = np.array([255.0, 120.0, 0.0]), 0.6

#: From a sample_id to its image and its map, (H, W) each in [0, 1].
Draw = Callable[[str], tuple[np.ndarray, np.ndarray]]


def browse_errors(ranked: pd.DataFrame, *, held_out: HeldOut, class_names: Mapping[str, str]) -> "ErrorBrowser":
    """Look through the errors; each case is explained when it is shown.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    held_out
        The networks and what they read.
    class_names
        Class key → name.
    """

    def draw(sample: str) -> tuple[np.ndarray, np.ndarray]:
        maps = explain(ranked[ranked["sample_id"] == sample], held_out=held_out)
        return maps.images[0], maps.maps[0]

    return ErrorBrowser(ranked, draw=draw, class_names=class_names)


class ErrorBrowser:
    """Controls and the two cases that they choose.

    Parameters
    ----------
    ranked
        Result of `rank_predictions`.
    draw
        Gives image and map of a sample; called when the sample is shown.
    class_names
        Class key → name.

    Attributes
    ----------
    kind
        Dropdown: an error as reference → prediction, with its number.
    previous, following
        Buttons that step through the errors of that kind, the most confident first.
    position
        Which error this is, in words.
    image
        PNG: the error and its saliency; below them a right prediction of the same reference class.
    text
        Reference, prediction, probabilities, patient and acquisition of both.
    """

    def __init__(self, ranked: pd.DataFrame, *, draw: Draw, class_names: Mapping[str, str]) -> None:
        self._ranked, self._draw_case, self._names = ranked, draw, dict(class_names)
        self._place = 0
        kinds = ranked.loc[ranked["is_error"], "kind"].value_counts()
        options = [(f"{kind} ({count})", kind) for kind, count in kinds.items()]
        self.kind = ipywidgets.Dropdown(options=options or [("no errors", "")], description="Error")
        self.previous = ipywidgets.Button(description="Previous", icon="arrow-left")
        self.following = ipywidgets.Button(description="Next", icon="arrow-right")
        self.position, self.text = ipywidgets.Label(), ipywidgets.HTML()
        self.image = ipywidgets.Image(format="png")
        self.kind.observe(self._restart, names="value")
        self.previous.on_click(self._turn_back)
        self.following.on_click(self._turn_on)
        steps = ipywidgets.HBox([self.kind, self.previous, self.position, self.following])
        self._box = ipywidgets.VBox([steps, ipywidgets.HBox([self.image, self.text])])
        self._draw()

    def _restart(self, _change: Mapping[str, Any]) -> None:
        self._place = 0
        self._draw()

    def _turn_back(self, _button: ipywidgets.Button) -> None:
        self._place -= 1
        self._draw()

    def _turn_on(self, _button: ipywidgets.Button) -> None:
        self._place += 1
        self._draw()

    def _draw(self) -> None:
        errors = self._ranked[self._ranked["is_error"] & (self._ranked["kind"] == self.kind.value)]
        n_errors = len(errors)
        self.previous.disabled, self.following.disabled = self._place == 0, self._place + 1 >= n_errors
        self.position.value = f"{min(self._place + 1, n_errors)} of {n_errors}"
        self.image.layout.display = None if n_errors else "none"
        if not n_errors:
            self.text.value = "<p>No held-out sample is wrong.</p>"
            return
        cases = pd.concat([errors.iloc[[self._place]], self._right_beside(errors.iloc[self._place])])
        self.image.value = cases_png([self._draw_case(sample) for sample in cases["sample_id"]])
        self.text.value = "".join(self._described(case) for _, case in cases.iterrows())

    def _right_beside(self, error: pd.Series) -> pd.DataFrame:
        """The right prediction of the same reference class whose number is that of the error, if there are so many."""
        right = self._ranked[~self._ranked["is_error"] & (self._ranked["y_true"] == error["y_true"])]
        return right.iloc[[self._place % len(right)]] if len(right) else right

    def _described(self, case: pd.Series) -> str:
        reference, prediction = (f"{key} {self._names[key]}" for key in (case["y_true"], case["y_pred"]))
        shares = ", ".join(f"{key} {case[probability_column(key)]:.2f}" for key in self._names)
        known = {name: case.get(name) for name in ("level", *KEPT_COLUMNS)}
        told = {COLUMN_TITLES[name]: escape(str(value)) for name, value in known.items() if pd.notna(value)}
        facts = "<br>".join(f"{title}: {value}" for title, value in told.items())
        title = "Wrong" if case["is_error"] else "Right"
        return (
            f'<div style="height:{SIDE_PX + GAP_PX}px;line-height:1.4"><b>{title}</b>: reference {reference}, '
            f"prediction {prediction}<br>Probabilities: {shares}<br>Sample {case['sample_id']}<br>"
            f"Patient {case['PatientID']}<br>{facts}</div>"
        )

    def __repr__(self) -> str:
        return f"Browser of {int(self._ranked['is_error'].sum())} errors: open the notebook to step through them."

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        return {**self._box._repr_mimebundle_(**options), "text/plain": repr(self)}


def cases_png(cases: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Draw each case in a row of its own, the image and beside it the image under its map.

    Parameters
    ----------
    cases
        Image and map, (H, W) each in [0, 1].
    """
    pitch = SIDE_PX + GAP_PX
    page = Image.new("RGB", (2 * SIDE_PX + GAP_PX, len(cases) * pitch), "white")
    for row, (image, saliency) in enumerate(cases):
        grey = np.repeat(255 * image[..., None], 3, axis=-1)
        cover = COVER * saliency[..., None]
        for column, tile in enumerate((grey, (1 - cover) * grey + cover * TINT)):
            picture = Image.fromarray(np.rint(tile).astype(np.uint8))
            page.paste(picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR), (column * pitch, row * pitch))
    stream = io.BytesIO()
    page.save(stream, "PNG")
    return stream.getvalue()
