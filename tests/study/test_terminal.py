import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

from helpers.study.terminal import INVISIBLE_CATEGORIES, TextConsole, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("Größe 5 µm, 脊椎", "Größe 5 µm, 脊椎"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("a\rb\nc\td", r"a\x0db\x0ac\x09d"),
        ("fdp.\u202egnp", r"fdp.\u202egnp"),
        ("\u200bzero\ufeff", r"\u200bzero\ufeff"),
        ("\udcff.png", r"\udcff.png"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert visible(text) == shown


def test_line_breaks_can_be_kept():
    assert visible("a\nb\x1b", kept="\n") == "a\nb\\x1b"


@given(st.text())
def test_nothing_invisible_is_left_and_a_second_time_changes_nothing(text):
    shown = visible(text)
    assert not INVISIBLE_CATEGORIES & {unicodedata.category(char) for char in shown}
    assert visible(shown) == shown


def printed(*things, **options):
    stream = io.StringIO()
    TextConsole(file=stream, width=60, **options).print(*things, markup=False)
    return stream.getvalue()


HOSTILE = "a\x1b]0;owned\x07\u202eb"


@pytest.mark.parametrize("wrap", [str, Text, lambda text: Group(Text(text))], ids=["str", "Text", "Group"])
def test_the_console_prints_text_only(wrap):
    shown = printed(wrap(HOSTILE))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"a\x1b]0;owned" in shown


def test_cells_of_tables_are_text():
    table = Table("row")
    table.add_row(HOSTILE)
    assert "\x1b" not in printed(table)


def test_the_console_keeps_its_own_styles():
    assert printed(Text("red", style="bold red"), force_terminal=True).startswith("\x1b[")
