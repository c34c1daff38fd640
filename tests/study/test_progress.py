"""What the terminal shows: live lines that fit its width, or plain lines now and then."""

import io
import re

import pytest
from rich.console import Console

from helpers.study import progress
from helpers.study.progress import PLAIN_INTERVAL_S, Screen, duration

LONG = "Train every fold and every seed of this study, and predict every sample with each network"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def screen(*, terminal: bool) -> Screen:
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=80, height=24, highlight=False, _environ={"TERM": "xterm"}
    )
    return Screen(console)


def printed(screen: Screen) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.console.file.getvalue())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_durations_are_words(seconds, text):
    assert duration(seconds) == text


class TestPlain:
    def test_progress_comes_now_and_then(self, clock):
        with screen(terminal=False) as shown:
            shown.stage_started("03_training")
            clock.now += 1
            shown.cell_started("Train", number=2, total=5)
            clock.now += PLAIN_INTERVAL_S
            shown.detail("epoch 3/10")
            clock.now += 1
            shown.detail("epoch 4/10")
            shown.stage_ended("  03_training done")
        assert printed(shown).splitlines() == [
            "  03_training · 0 s · starting",
            "  03_training · 16 s · cell 2/5, Train · epoch 3/10",
            "  03_training done",
        ]

    def test_each_stage_says_at_once_that_it_starts(self, clock):
        with screen(terminal=False) as shown:
            shown.stage_started("01_data_audit")
            shown.stage_started("02_preprocessing")
        assert printed(shown).splitlines() == [
            "  01_data_audit · 0 s · starting",
            "  02_preprocessing · 0 s · starting",
        ]

    def test_long_lines_are_left_whole(self, clock):
        with screen(terminal=False) as shown:
            shown.say(LONG * 3)
        assert printed(shown) == LONG * 3 + "\n"

    def test_square_brackets_are_text(self, clock):
        with screen(terminal=False) as shown:
            shown.say("[bold]x[/bold] [0, 1]")
        assert printed(shown) == "[bold]x[/bold] [0, 1]\n"


class TestLive:
    def test_lines_name_stage_time_cell_and_detail_within_the_width(self, clock):
        with screen(terminal=True) as shown:
            shown.stage_started("03_training")
            clock.now += 125
            shown.cell_started(LONG, number=2, total=5)
            shown.detail(f"fit 1/5 (fold 0, seed 0), epoch 3/10, {LONG}")
            shown.stage_ended("  03_training done")
        lines = printed(shown).replace("\r", "\n").splitlines()
        assert max(map(len, lines)) <= 80
        assert any(line.startswith("  03_training · 2 min 05 s · cell 2/5, Train every fold") for line in lines)
        assert any(line.startswith("    fit 1/5 (fold 0, seed 0), epoch 3/10") and line.endswith("…") for line in lines)
        assert lines[-1] == "  03_training done"

    def test_a_new_cell_forgets_the_detail_of_the_last(self, clock):
        with screen(terminal=True) as shown:
            shown.stage_started("03_training")
            shown.detail("epoch 3/10")
            shown.cell_started("Look", number=3, total=5)
            shown.stage_ended("done")
        assert "epoch" not in printed(shown).split("Look")[-1]

    def test_several_stages_follow_one_another(self, clock):
        with screen(terminal=True) as shown:
            for name in ("01_data_audit", "02_preprocessing"):
                shown.stage_started(name)
                shown.stage_ended(f"{name} done")
        text = printed(shown)
        places = [text.index(part) for part in ("audit done", "02_preprocessing · 0 s", "02_preprocessing done")]
        assert places == sorted(places)
        raw = shown.console.file.getvalue()
        between = raw[raw.index("01_data_audit done") : raw.index("02_preprocessing · 0 s")]
        assert "\x1b[1A" not in between, "the cursor goes up and erases a line that is to stay"

    def test_cursor_is_shown_again_after_an_error(self, clock):
        def interrupted(shown: Screen) -> None:
            with shown:
                shown.stage_started("03_training")
                raise KeyboardInterrupt

        shown = screen(terminal=True)
        with pytest.raises(KeyboardInterrupt):
            interrupted(shown)
        raw = shown.console.file.getvalue()
        assert raw.rindex("\x1b[?25h") > raw.rindex("\x1b[?25l")
