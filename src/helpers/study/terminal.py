"""What is printed comes partly from files of strangers: names, labels, messages. In a terminal it must stay text.

Escape sequences can move the cursor, rename the window or hide what follows (CWE-150), and marks that turn the reading
direction make a name look like another one. Both are shown as escapes instead.
"""

import unicodedata
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Cc: control characters, Cf: invisible marks such as those for the reading direction, Cs: bytes that were no UTF-8.
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs"})


def visible(text: str, *, kept: str = "") -> str:
    r"""The text with every invisible character written as an escape, such as `\x1b` or `\u202e`.

    Parameters
    ----------
    text
        Any text; bytes of a file name that are no UTF-8, which Python holds as surrogates, become `\udcff`.
    kept
        Characters that stay what they are, for example a line break.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in kept or not _is_invisible(char) else _escape(char) for char in text)


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in INVISIBLE_CATEGORIES


def _escape(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode() if ord(char) > 0x7F else f"\\x{ord(char):02x}"


class TextConsole(Console):
    """A console that prints whatever it is given as visible text; styles and live lines are its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of a renderable, with `visible` text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, kept="\n"))
