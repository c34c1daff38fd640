"""Small phrases that several parts of the report share: counts, lists, classes, numbers with intervals."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

MINUS = "\N{MINUS SIGN}"
NO_BREAK_SPACE, WORD_JOINER = "\N{NO-BREAK SPACE}", "\N{WORD JOINER}"
SMALLEST_P = 0.001  # smaller ones are not told apart
KNOWN_PATIENTS = "Images of one patient can lie in training and test: this accuracy is expected to be too high."


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "12 images"."""
    return f"{number:,} {noun}".replace(",", "\N{NARROW NO-BREAK SPACE}") + ("" if number == 1 else "s")


def basis(found: Mapping[str, Any]) -> str:
    """What a number of metrics.json stands on: "60 images of 30 patients"."""
    return f"{counted(found['n_samples'], 'image')} of {counted(found['n_patients'], 'patient')}"


def p_in_words(value: float) -> str:
    """A p-value: "p = 0.004", or "p < 0.001"."""
    return f"p < {SMALLEST_P}" if value < SMALLEST_P else f"p = {value:.3f}"


def listed(parts: Sequence[str]) -> str:
    """Join parts as in a sentence: "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def class_label(key: str, names: Mapping[str, str]) -> str:
    """A class for people: its name with its key, or the key alone if it has no other name."""
    name = names.get(key, key)
    return name if name == key else f"{name} ({key})"


def percent(share: float) -> str:
    """A share as a percentage without needless decimals: "15 %"."""
    return f"{100 * share:g} %"


def with_interval(estimate: float | None, *, low: float | None, high: float | None) -> str:
    """A value with its interval: "0.887 (0.857–0.914)"; a limit may be None or NaN, where there is no interval."""
    if _is_nothing(estimate):
        return "not defined"
    interval = "no interval" if _is_nothing(low) else f"{low:.3f}–{high:.3f}"
    return f"{estimate:.3f} ({interval})".replace("-", MINUS)


def signed_with_interval(estimate: float | None, *, low: float | None, high: float | None) -> str:
    """A difference with its interval: "+0.036 (+0.010 to +0.062)"."""
    if _is_nothing(estimate):
        return "not defined"
    interval = "no interval" if _is_nothing(low) else f"{_signed(low)} to {_signed(high)}"
    return f"{_signed(estimate)} ({interval})"


def _signed(value: float) -> str:
    return f"{value:+z.3f}".replace("-", MINUS)  # z: what rounds to zero has no minus


def _is_nothing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def unbroken(text: str) -> str:
    """Keep each percent sign on the line of its number."""
    return text.replace(" %", f"{NO_BREAK_SPACE}%")


def in_pieces(text: str) -> str:
    """Let a narrow cell break its line between estimate, interval and p, and within none of them."""
    return re.sub(r"\([^()]*\)|p [=<] \S+", lambda piece: _unbroken_piece(piece[0]), text)


def _unbroken_piece(text: str) -> str:
    return text.replace(" ", NO_BREAK_SPACE).replace("–", f"{WORD_JOINER}–{WORD_JOINER}")


def code_spans(text: str) -> Markup:
    """HTML of a text in which backticks mark code, as in docstrings; everything else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    spans = (Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts))
    return Markup("").join(spans)
