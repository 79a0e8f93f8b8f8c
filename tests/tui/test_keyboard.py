"""From the person's terminal to the bytes that vim gets: nothing lost, nothing added."""

from __future__ import annotations

import pytest
from textual import events

from lab.tui import keyboard
from lab.tui.keyboard import KeyParser
from lab.tui.widgets.terminal import NodeTerminal


class Wire:
    """Takes what would go to the shell."""

    closed = False

    def __init__(self) -> None:
        self.sent = ""

    def write(self, data: str) -> int:
        self.sent += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def sent(*keys: events.Key, before: str = "") -> str:
    """Return what the shell gets for some keys, after the program in the terminal has said something."""
    terminal, wire = NodeTerminal(["true"]), Wire()
    terminal.board.parser.feed(before)
    terminal.board.host.attach(wire)
    for key in keys:
        terminal.send_key(key.key, key.character if key.is_printable else None)
    return wire.sent


def parsed(*chunks: str) -> list[events.Key]:
    """Return the keys of some pieces of input, with the time of a held Esc over at the end."""
    parser = KeyParser()
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    parser._delay = 0.0
    return [event for event in (*found, *parser.tick()) if isinstance(event, events.Key)]


@pytest.mark.parametrize(
    "typed",
    [
        "\x1b", "\x1b:wq\r", "\x1bj", "\x1b\x1b", "\x1b.", "\x1b\x7f", "\x1bo\x1bO\x1b", "abc", "ä€", "\t", "\r", "\n",
        "\x01", "\x03", "\x04", "\x10", "\x11", "\x12", "\x13", "\x17", "\x1a", "\x1c", "\x1d", "\x1e", "\x1f", "\0",
        "\x1b[A", "\x1b[1;5C", "\x1b[1;3D", "\x1b[Z", "\x1b[3~", "\x1b[H", "\x1b[F", "\x1b[5~", "\x1bOR", "\x1b[23~",
        ":%s/a+b/c\\d #@$%^&*()_+-=[]{}|;'\"<>,.?~`\r", "\x1bb\x1bf\x1bd",
    ],
)  # fmt: skip
def test_what_is_typed_reaches_the_shell_byte_for_byte(typed: str) -> None:
    assert sent(*parsed(typed)) == typed


@pytest.mark.parametrize("typed", ["\x1b:wq\r", "\x1bjj", "\x1b[A"])
def test_input_that_comes_in_pieces_is_the_same(typed: str) -> None:
    assert sent(*parsed(*typed)) == typed


@pytest.mark.parametrize(
    ("kitty", "legacy"),
    [
        ("\x1b[27u", "\x1b"), ("\x1b[93;5u", "\x1d"), ("\x1b[91;5u", "\x1b"), ("\x1b[105;5u", "\t"),
        ("\x1b[119;5u", "\x17"), ("\x1b[46;3u", "\x1b."), ("\x1b[98;3u", "\x1bb"), ("\x1b[9;2u", "\x1b[Z"),
        ("\x1b[32;5u", "\0"), ("\x1b[47;5u", "\x1f"),
    ],
)  # fmt: skip
def test_terminals_with_the_kitty_protocol_send_the_same(kitty: str, legacy: str) -> None:
    assert sent(*parsed(kitty)) == legacy


def test_arrows_follow_the_mode_that_vim_asks_for() -> None:
    up = events.Key("up", None)
    assert sent(up) == "\x1b[A"
    assert sent(up, before="\x1b[?1h") == "\x1bOA"


def test_a_lone_escape_waits_thirty_milliseconds_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(keyboard, "monotonic", lambda: now)
    parser = KeyParser()
    assert list(parser.feed("\x1b")) == []
    assert 0.02 < parser.patience <= 0.03
    assert list(parser.tick()) == []
    now = 100.031
    assert [key.key for key in parser.tick() if isinstance(key, events.Key)] == ["escape"]
    assert parser.patience == pytest.approx(0.1)


def test_the_delay_of_escape_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCDELAY", "200")
    parser = KeyParser()
    list(parser.feed("\x1b"))
    assert 0.1 < parser.patience <= 0.2


def test_a_paste_is_one_event() -> None:
    parser = KeyParser()
    found = [*parser.feed("\x1b[200~two\nlines\x1b[201~"), *parser.feed("x")]
    assert [event.text for event in found if isinstance(event, events.Paste)] == ["two\nlines"]
