"""A result that a reader can change in JupyterLab; in the report it stays as it was first shown.

What is shown is a function of the choices, so that it can be tested without a browser.
"""

from collections.abc import Callable
from typing import Any

import ipywidgets


class Live:
    """Controls above what they choose.

    Parameters
    ----------
    draw
        Called with the value of every control by name; returns HTML.
    controls
        ipywidgets with a description and a value, by the name that `draw` has for them.

    Attributes
    ----------
    controls
        As given.
    view
        What was drawn last.
    """

    def __init__(self, draw: Callable[..., str], **controls: ipywidgets.ValueWidget) -> None:
        self._draw, self.controls, self.view = draw, controls, ipywidgets.HTML()
        self.view.add_class("jp-RenderedHTMLCommon")  # tables then look as elsewhere in JupyterLab
        self._box = ipywidgets.VBox([ipywidgets.HBox(list(controls.values())), self.view])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    def _redraw(self, _change: object = None) -> None:
        self.view.value = self._draw(**{name: control.value for name, control in self.controls.items()})

    def __repr__(self) -> str:
        names = " and ".join(control.description.lower() for control in self.controls.values())
        return f"Run the notebook in JupyterLab to change the {names} here."

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        static = f"{self.view.value}<p>{repr(self)}</p>"
        return {**self._box._repr_mimebundle_(**options), "text/html": static, "text/plain": repr(self)}
