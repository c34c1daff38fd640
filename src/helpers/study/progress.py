"""What a person sees in the terminal while a study runs: live lines, or plain lines when it is not a terminal."""

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

PLAIN_INTERVAL_S = 15.0


def duration(seconds: float) -> str:
    """Say a time span as `45 s`, `2 min 05 s` or `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Screen:
    """Live progress of the runner.

    Parameters
    ----------
    console
        Where to write; if it is not a terminal, progress becomes a plain line now and then.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._stage = self._cell = self._detail = ""
        self._stage_started = self._plain_at = 0.0
        self._is_live = console.is_terminal and not console.is_dumb_terminal
        self._live: Live | None = None

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line that stays."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def stage_started(self, name: str) -> None:
        """A stage begins; the live lines are shown until it ends."""
        self._stage, self._cell, self._detail = name, "starting", ""
        self._stage_started, self._plain_at = time.monotonic(), 0.0
        if self._is_live:
            # a new one for each stage: a display that starts again would erase what was printed in between
            self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4, transient=True)
            self._live.start()
        self._say_now_and_then()

    def stage_ended(self, text: str, *, style: str = "") -> None:
        """A stage is over; `text` stays."""
        self._stop()
        self.say(text, style=style)

    def cell_started(self, heading: str, *, number: int, total: int) -> None:
        """A code cell begins."""
        self._cell, self._detail = f"cell {number}/{total}, {heading}", ""
        self._say_now_and_then()

    def detail(self, line: str) -> None:
        """The running cell reports something, such as an epoch."""
        self._detail = line
        self._say_now_and_then()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self) -> list[str]:
        elapsed = duration(time.monotonic() - self._stage_started)
        lines = [f"  {self._stage} · {elapsed} · {self._cell}"]
        return [*lines, f"    {self._detail}"] if self._detail else lines

    def _render(self) -> RenderableType:
        """Cut each line to the width of the terminal; the clock goes on also when a cell says nothing."""
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines()))

    def _say_now_and_then(self) -> None:
        if not self._is_live and (not self._plain_at or time.monotonic() - self._plain_at >= PLAIN_INTERVAL_S):
            self._plain_at = time.monotonic()
            self.say(" · ".join([self._lines()[0], self._detail]) if self._detail else self._lines()[0])
