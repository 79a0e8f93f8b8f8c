"""The help: the keys and how the screen works, made from the table of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Markdown, Static

from ..lab_keys import LAB_KEYS, MORE_KEYS, PREFIX_SHOWN
from .dialog import Dialog

HOME_KEYS = (
    ("Enter", "start the chosen task, or go on with the lab that is there"),
    ("Tab, arrows", "move between the tasks and your labs"),
    ("s", "stop the chosen lab and remove its node (asks first)"),
    ("F4", "menu: everything that can be done, and the colours"),
    ("F10, q", "quit; labs go on, and are here when you come back"),
)
HOME_TEXT = """
A lab is a node of a cluster on this machine. You get a root shell on it, do the task with the real files and the real
kubectl, and F5 grades it as often as you like.

The same from the command line: `cks-lab --help`.
"""
LAB_TEXT = f"""
**The terminal has the keyboard.** Every other key goes to the shell: Esc, Tab, Ctrl-C, Ctrl-W and the arrows are vim's
and bash's. {PREFIX_SHOWN} is Ctrl and ] (Ctrl and 5 on keyboards without it).

**A panel** (F2, F7, F8) opens beside the terminal. The same key again gives it the keyboard, so that it scrolls; Esc
gives the keyboard back. A click does both. On a narrow terminal the panel takes the place of the shell until Esc.

**After F5** the checks that failed stand first, and the shell keeps the keyboard: F2, then Enter, says why one failed.
On a narrow terminal Enter is enough. The line above the checks says which keys it takes.

**The line between** panel and terminal moves with the mouse, or with {PREFIX_SHOWN} and the arrows.

**Leaving** with F10 keeps the lab and its shell: choose it on the start page to come back. After quitting the program
the lab is still there, with a new shell. `exit` ends the shell; Enter opens another.

**What has scrolled out** of the terminal: Shift-PageUp, or the wheel.

**Text** selected with the mouse is copied. To select with your own terminal, hold Shift.
"""


class HelpScreen(Dialog[str]):
    """The keys in rows, and a text below them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "close", show=False)]

    DEFAULT_CSS = """
    HelpScreen Markdown { margin: 1 0 0 0; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]], text: str) -> None:
        super().__init__("Help")
        self._keys, self._text = tuple(keys), text

    def body(self) -> Sequence[Widget]:
        """Return the rows and the text."""
        width = max(len(key) for key, _ in self._keys) + 2
        rows = [Content.assemble((f"{key:<{width}}", "bold $text-accent"), about) for key, about in self._keys]
        return [Static(Content("\n").join(rows)), Markdown(self._text, open_links=False)]


def home_help() -> HelpScreen:
    """Return the help of the start page."""
    return HelpScreen(HOME_KEYS, HOME_TEXT)


def lab_help() -> HelpScreen:
    """Return the help of the lab screen."""
    arrows = {"left": "←", "right": "→"}
    rows = [
        (f"{key.key.upper():<4}{PREFIX_SHOWN} {arrows.get(key.letter, key.letter)}", key.about)
        for key in (*LAB_KEYS, *MORE_KEYS)
    ]
    return HelpScreen([*rows, (f"    {PREFIX_SHOWN} {PREFIX_SHOWN}", f"Send {PREFIX_SHOWN} to the shell")], LAB_TEXT)
