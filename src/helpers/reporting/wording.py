"""Small phrases that several parts of the report share: counts, lists, classes."""

from collections.abc import Mapping, Sequence


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 image", "12 images"."""
    return f"{number:,} {noun}".replace(",", "\N{NARROW NO-BREAK SPACE}") + ("" if number == 1 else "s")


def listed(parts: Sequence[str], *, last: str = "and") -> str:
    """Join parts as in a sentence: "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def class_label(key: str, names: Mapping[str, str]) -> str:
    """A class for people: its name with its key, or the key alone if it has no other name."""
    name = names.get(key, key)
    return name if name == key else f"{name} ({key})"


def percent(share: float) -> str:
    """A share as a percentage without needless decimals: "15 %"."""
    return f"{100 * share:g} %"


def unbroken(text: str) -> str:
    """Keep each percent sign on the line of its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
