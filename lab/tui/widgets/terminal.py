"""The terminal on the node: textual-tty's, with every key of the keyboard encoded and the end of the shell shown."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

# The terminal's library takes en_US.UTF-8 where nothing is set; few nodes have it, and bash complains at each start.
os.environ.setdefault("LC_ALL", "C.UTF-8")

from bittty import constants
from textual import events
from textual.message import Message
from textual_tty import Terminal

__all__ = ["NodeTerminal", "Terminal"]

_CONTROL = {
    "@": "\0", "space": "\0", "2": "\0", "left_square_bracket": "\x1b", "3": "\x1b", "backslash": "\x1c", "4": "\x1c",
    "right_square_bracket": "\x1d", "5": "\x1d", "circumflex_accent": "\x1e", "6": "\x1e", "underscore": "\x1f",
    "7": "\x1f", "minus": "\x1f", "slash": "\x1f", "question_mark": "\x7f", "8": "\x7f", "backspace": "\x08",
    "j": "\n", "m": "\r", "i": "\t", "h": "\x08", "enter": "\r", "tab": "\t", "escape": "\x1b",
}  # fmt: skip
"""What Ctrl with a key sends where the key is no plain letter, as xterm does."""

_NAMED = {"enter": "\r", "tab": "\t", "escape": "\x1b", "space": " "}
_RENAMED = {
    "slash": "/", "backslash": "\\", "at": "@", "minus": "-", "plus": "+", "underscore": "_", "hash": "#",
}  # fmt: skip
"""Textual's names of characters that differ from Unicode's."""
_MODIFIER_BITS = {"shift": 1, "alt": 2, "meta": 2, "ctrl": 4}


def character(key: str) -> str | None:
    """Return the character that Textual's name of a key (without modifiers) stands for; None for keys like `up`."""
    if len(key) == 1:
        return key
    if key in _NAMED or key in _RENAMED:
        return _NAMED.get(key) or _RENAMED[key]
    try:
        return unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return None


class NodeTerminal(Terminal):  # type: ignore[misc]  # the library carries no types
    """A shell on the node. All keys that reach it go to the shell; the lab's own are taken before by the screen."""

    class NotStarted(Message):
        """The shell could not be started."""

    def __init__(self, argv: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(command=list(argv), id=id)

    def on_mount(self) -> None:
        """Look, once the base class has tried to start the shell, whether it did."""
        self.call_after_refresh(self._check_started)

    def _check_started(self) -> None:
        if self._process is None:
            self.post_message(self.NotStarted())

    @property
    def ended(self) -> bool:
        """Whether the shell has ended."""
        return bool(self._exited)

    @property
    def at_prompt(self) -> bool:
        """Whether a shell waits for a command: the line up to the cursor ends as a prompt does, and no editor runs.

        The shell may sit behind a program of the driver, so that its process group says nothing.
        """
        if self.ended or self._process is None or self.board.blitter.in_alt_screen:
            return False
        line = self.board.blitter.current_buffer.get_line_text(self.board.cursor.y)[: self.board.cursor.x]
        return bool(line.rstrip().endswith(("#", "$")) and line.endswith(" "))

    def type(self, text: str) -> None:
        """Send text to the shell as if it had been typed."""
        self.board.host.write(text, flush=True)

    def on_key(self, event: events.Key) -> None:
        """Send the key to the shell."""
        event.stop()
        event.prevent_default()
        if not self.ended:
            self.send_key(event.key, event.character if event.is_printable else None)

    def send_key(self, key: str, printable: str | None = None) -> None:
        """Send a key by Textual's name (`ctrl+w`, `shift+tab`, `f3`), as xterm would."""
        *names, base = key.split("+") if key != "+" else ["+"]
        modifier = 1 + sum({_MODIFIER_BITS.get(name, 0) for name in names})
        control, alt = bool(modifier - 1 & 4), bool(modifier - 1 & 2)
        display = self.board.display
        if base[0] == "f" and base[1:].isdigit():
            display.input_fkey(int(base[1:]), modifier)
        elif base == "tab" and "shift" in names:
            display.input(f"{constants.ESC}[Z")
        elif control and base in _CONTROL and not self.board.keyboard.kitty_flags:
            display.input((constants.ESC if alt else "") + _CONTROL[base])
        elif base == "backspace":
            display.input((constants.ESC if alt else "") + self._backspace())
        elif printable and not control and not alt:
            display.input_key(printable)
        elif (char := character(base)) is not None:
            display.input_key(char.upper() if "shift" in names else char, modifier if control or alt else 1)
        else:
            display.input_key(base, modifier)

    def _backspace(self) -> str:
        return str(constants.BS if self.board.modes.backarrow_key_sends_bs else constants.DEL)
