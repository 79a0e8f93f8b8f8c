"""A terminal that gets another size: lines are wrapped anew, and come back as they were."""

from __future__ import annotations

import random

import pytest

from lab.tui.widgets.terminal import NodeTerminal

PROMPT = "root@cks-control-plane:~# "


class Screen:
    """A terminal without a program."""

    def __init__(self, width: int = 80, height: int = 10) -> None:
        self.terminal = NodeTerminal(["true"])
        self.board = self.terminal.board
        self.board.resize(width, height)

    def say(self, text: str) -> None:
        self.board.parser.feed(text)

    def resize(self, width: int, height: int) -> None:
        self.board.resize(width, height)

    @property
    def shown(self) -> list[str]:
        return str(self.board.capture_text()).split("\n")

    @property
    def at(self) -> tuple[int, int]:
        return self.board.cursor.x, self.board.cursor.y


def test_a_line_that_has_no_room_is_wrapped_and_is_one_again() -> None:
    screen = Screen()
    screen.say(f"{PROMPT}vim /etc/kubernetes/audit/policy.yaml\r\n{PROMPT}")
    screen.resize(30, 10)
    assert screen.shown == [f"{PROMPT}vim", "/etc/kubernetes/audit/policy.y", "aml", PROMPT.rstrip()]
    assert screen.at == (len(PROMPT), 3)
    screen.resize(80, 10)
    assert screen.shown == [f"{PROMPT}vim /etc/kubernetes/audit/policy.yaml", PROMPT.rstrip()]
    assert screen.at == (len(PROMPT), 1)


def test_a_page_that_gets_lower_keeps_its_end_and_gets_its_beginning_back() -> None:
    screen = Screen()
    screen.say("\r\n".join(str(n) for n in range(9)) + f"\r\n{PROMPT}")
    screen.resize(80, 3)
    assert screen.shown == ["7", "8", PROMPT.rstrip()]
    screen.resize(80, 10)
    assert screen.shown == [*map(str, range(9)), PROMPT.rstrip()]
    assert screen.at == (len(PROMPT), 9)


def test_what_was_said_while_it_was_small_is_there_too() -> None:
    screen = Screen()
    screen.say("\r\n".join(f"line {n}" for n in range(9)) + f"\r\n{PROMPT}")
    screen.resize(20, 3)
    screen.say("ls\r\nout\r\n" + PROMPT)
    screen.resize(80, 24)
    assert screen.shown == [*(f"line {n}" for n in range(9)), f"{PROMPT}ls", "out", PROMPT.rstrip()]


def test_what_scrolled_out_before_stays_out() -> None:
    screen = Screen(height=3)
    screen.say("1\r\n2\r\n3\r\n4\r\n5")
    screen.resize(80, 10)
    assert screen.shown == ["3", "4", "5"]
    assert screen.terminal.history().split("\n") == ["1", "2", "3", "4", "5"]


def test_the_history_has_whole_lines_whatever_the_width_was() -> None:
    screen = Screen(width=10, height=3)
    screen.say("0123456789abcdef\r\nend\r\n\r\n\r\n")
    assert screen.terminal.history().split("\n") == ["0123456789abcdef", "end"]


def test_under_an_editor_the_shell_is_wrapped_with_its_own_cursor() -> None:
    screen = Screen()
    screen.say(f"{'x' * 70}\r\n{PROMPT}vim\r\n\x1b[?1049h\x1b[2J\x1b[Hedited")
    screen.resize(20, 5)
    screen.resize(80, 10)
    screen.say("\x1b[?1049l")
    assert screen.shown == ["x" * 70, f"{PROMPT}vim"]
    assert screen.at == (0, 2)


def test_a_wide_character_is_not_taken_apart() -> None:
    screen = Screen(width=10, height=5)
    screen.say("123456789漢字")
    screen.resize(5, 5)
    assert screen.shown == ["12345", "6789", "漢字"]
    screen.resize(80, 5)
    assert screen.shown[0].replace(" ", "") == "123456789漢字"


@pytest.mark.parametrize("seed", range(50))
def test_whatever_is_said_and_however_it_is_resized_nothing_breaks(seed: int) -> None:
    rng = random.Random(seed)
    pieces = [
        "a" * 30,
        "漢字",
        "\r\n",
        "\x1b[2J",
        "\x1b[H",
        "\x1b[5;5H",
        "\x1b[K",
        "\x1b[?1049h",
        "\x1b[?1049l",
        "\t",
        "e\u0301",
    ]
    screen = Screen()
    for _ in range(60):
        screen.say("".join(rng.choices(pieces, k=5)))
        width, height = rng.choice([1, 2, 5, 20, 80, 200]), rng.choice([1, 2, 3, 10, 50])
        screen.resize(width, height)
        page = screen.board.blitter.primary_buffer
        assert len(page.grid) == len(page.wrapped_lines) == len(page.row_gen) == height
        assert {len(row) for row in page.grid} == {width}
        assert 0 <= screen.at[0] < width or screen.at[0] == width
        assert 0 <= screen.at[1] < height
        screen.terminal.history()
