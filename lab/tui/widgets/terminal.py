"""The terminal on the node: textual-tty's, with every key of the keyboard encoded and the end of the shell shown."""

from __future__ import annotations

import os
import unicodedata
from collections import deque
from collections.abc import Sequence

# The terminal's library takes en_US.UTF-8 where nothing is set; few nodes have it, and bash complains at each start.
os.environ.setdefault("LC_ALL", "C.UTF-8")

from bittty import constants
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual_tty import Terminal

from ..reflow import Page, Row, reflow, text

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
HISTORY = 5_000
"""Rows that are kept of what has scrolled out."""
_MOST_BACK = 1_000
"""Rows of them that come back at most: to wrap so many takes no time."""
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

    class ScrollbackWanted(Message):
        """The person wants to see what has scrolled out of the terminal."""

    def __init__(self, argv: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(command=list(argv), id=id)
        self._history: deque[Row] = deque(maxlen=HISTORY)
        self._pushed = 0
        """How many rows at the end of the history left the page since it got smaller: they come back when it grows."""
        page = self.board.blitter.primary_buffer
        self._scroll_page, self._resize_page = page.scroll_region_up, page.resize
        page.scroll_region_up, page.resize = self._scroll_up, self._resize

    def _scroll_up(self, top: int, bottom: int, count: int) -> None:
        """Keep the lines that leave the page at its top: the library has no memory of them."""
        page = self.board.blitter.primary_buffer
        if top == 0 and page is self.board.blitter.current_buffer:
            gone = min(count, bottom + 1)
            self._history.extend(self._rows(gone))
            self._pushed += gone if self._pushed else 0
        self._scroll_page(top, bottom, count)

    def _rows(self, count: int) -> list[Row]:
        page = self.board.blitter.primary_buffer
        return [Row(list(page.grid[y]), page.wrapped_lines[y]) for y in range(count)]

    def _resize(self, width: int, height: int) -> None:
        """Wrap the lines of the page for its new size: the library would cut them, and drop those at the bottom."""
        blitter, cursor = self.board.blitter, self.board.cursor
        page, blank = blitter.primary_buffer, blitter.primary_buffer._empty_cell
        # Under a program that has the whole screen, the shell's cursor is the one that was saved.
        column, row = (cursor.saved_x, cursor.saved_y) if blitter.in_alt_screen else (cursor.x, cursor.y)
        row = min(row, page.height - 1)
        used = max([row, *(y for y in range(page.height) if any(cell != blank for cell in page.grid[y]))]) + 1
        back = [self._history.pop() for _ in range(min(self._pushed, len(self._history), _MOST_BACK))][::-1]
        flowed = reflow(Page([*back, *self._rows(used)], column, row + len(back)), width, blank)
        over = max(0, len(flowed.rows) - height)
        # What is below the cursor goes before the cursor does.
        over = min(over, flowed.row)
        self._history.extend(flowed.rows[:over])
        self._pushed = over
        self._resize_page(width, height)
        kept = flowed.rows[over : over + height]
        page.grid = [row.cells for row in kept] + [[blank] * width for _ in range(height - len(kept))]
        page.wrapped_lines = [row.goes_on for row in kept] + [False] * (height - len(kept))
        if blitter.in_alt_screen:
            cursor.saved_x, cursor.saved_y = flowed.column, flowed.row - over
        else:
            cursor.cancel_pending_wrap()
            cursor.x, cursor.y = flowed.column, flowed.row - over

    def history(self) -> str:
        """Return what has scrolled out of the terminal and what is in it, as text."""
        if self.board.blitter.in_alt_screen:
            return "\n".join([*text(list(self._history)), self.board.capture_text()])
        shown = text([*self._history, *self._rows(self.board.blitter.primary_buffer.height)])
        while shown and not shown[-1]:
            shown.pop()
        return "\n".join(shown)

    def on_mount(self) -> None:
        """Look, once the base class has tried to start the shell, whether it did."""
        self.call_after_refresh(self._check_started)

    def _check_started(self) -> None:
        if self._process is None:
            self.post_message(self.NotStarted())

    def render_line(self, y: int) -> Strip:
        """Return one row; its padding gets a style, without which Textual's NO_COLOR filter fails."""
        strip: Strip = super().render_line(y)
        if all(segment.style is not None for segment in strip):
            return strip
        return Strip([Segment(text, style or Style.null(), control) for text, style, control in strip])

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
        """Send the key to the shell; leave it to the screen where the shell has ended."""
        event.prevent_default()
        if self.ended or self._process is None:
            return
        event.stop()
        if event.key == "shift+pageup" and not self.board.blitter.in_alt_screen:
            self.post_message(self.ScrollbackWanted())
        else:
            self.send_key(event.key, event.character if event.is_printable else None)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Show what has scrolled out, where no program in the terminal wants the wheel."""
        if self.mouse_mode == "off" and not self.board.blitter.in_alt_screen:
            event.stop()
            event.prevent_default()
            if self._history:
                self.post_message(self.ScrollbackWanted())

    def send_key(self, key: str, printable: str | None = None) -> None:
        """Send a key by Textual's name (`ctrl+w`, `shift+tab`, `f3`), as xterm would."""
        *names, base = key.split("+") if key != "+" else ["+"]
        modifier = 1 + sum({_MODIFIER_BITS.get(name, 0) for name in names})
        control, alt = bool(modifier - 1 & 4), bool(modifier - 1 & 2)
        enhanced = bool(self.board.keyboard.kitty_flags or self.board.keyboard.modify_other_keys)
        display, escape = self.board.display, constants.ESC if alt else ""
        if base[0] == "f" and base[1:].isdigit():
            display.input_fkey(int(base[1:]), modifier)
        elif base == "tab" and "shift" in names:
            display.input(f"{constants.ESC}[Z")
        elif base == "delete":
            display.input(f"{constants.ESC}[3{f';{modifier}' if modifier > 1 else ''}~")
        elif base == "backspace" and not control:
            display.input(escape + (constants.BS if self.board.modes.backarrow_key_sends_bs else constants.DEL))
        elif control and base in _CONTROL and not enhanced:
            display.input(escape + _CONTROL[base])
        elif printable and not control and not alt:
            display.input_key(printable)
        elif (char := character(base)) is None:
            display.input_key(base, modifier)
        elif alt and not control and not enhanced:
            display.input(escape + (char.upper() if "shift" in names else char))
        else:
            display.input_key(char.upper() if "shift" in names else char, modifier if control or alt else 1)
