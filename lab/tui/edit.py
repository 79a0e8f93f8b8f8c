"""The lab's own editor, for hosts that have none: `python -m lab.tui.edit FILE`. Opens, saves, quits, loses nothing.

It saves as vim does: to a file beside the old one which then takes its place, with the old one's owner and mode, so
that the kubelet never sees half a manifest. What cannot be replaced so (a file mounted alone) is written in place.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static, TextArea

from .keyboard import KeyDriver
from .screens.dialog import Dialog, TextDialog

LIMIT = 5 << 20
"""Bytes of a file that is opened at most."""
_COULD_NOT = 2


def save(path: Path, content: bytes) -> None:
    """Write a file so that nobody sees half of it; links are followed. Raises OSError."""
    target = path.resolve()
    try:
        old = target.stat()
    except FileNotFoundError:
        old = None
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(old.st_mode & 0o7777 if old else 0o644)
        if old is not None and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(fresh, old.st_uid, old.st_gid)
        fresh.replace(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        if old is None:
            raise
        target.write_bytes(content)


class _Unsaved(Dialog[str]):
    """Asks what becomes of changes that are not saved."""

    def __init__(self, name: str) -> None:
        super().__init__("Not saved", (("Save and quit", "save"), ("Quit without saving", "quit"), ("Go on", None)))
        self._name = name

    def body(self) -> Sequence[Static]:
        """Return the question."""
        return [Static(f"{self._name} has changes that are not saved.", markup=False)]


class Editor(App[int], inherit_bindings=False):
    """One file in a text area, with a line above that says what it is and one below that says the keys."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f2", "save", "save", id="edit.save", priority=True, tooltip="Save the file"),
        Binding("ctrl+q,f10,ctrl+x", "leave", "quit", id="edit.quit", priority=True, tooltip="Quit"),
    ]
    CSS = """
    #title, #keys { height: 1; background: $panel; color: $text; padding: 0 1; }
    #title { text-style: bold; }
    TextArea { height: 1fr; border: none; padding: 0; }
    """

    def __init__(self, path: Path, text: str, line: int = 1) -> None:
        super().__init__(driver_class=KeyDriver)
        self.path = path
        self._saved = text
        self._line = line
        self.theme = "textual-dark"

    def compose(self) -> ComposeResult:
        """Lay out the file between two lines."""
        yield Static(id="title", markup=False)
        yield TextArea(self._saved, show_line_numbers=True, tab_behavior="indent", soft_wrap=False, id="text")
        yield Static("^S F2 save   ^X F10 quit   ^Z undo   ^Y redo   Tab is blanks: YAML takes no tabs", id="keys")

    def on_mount(self) -> None:
        """Go to the line asked for."""
        area = self.query_one(TextArea)
        area.indent_width = 2
        area.focus()
        area.move_cursor((max(0, self._line - 1), 0), center=True)
        self._title()

    def on_text_area_changed(self) -> None:
        """Say whether there is something to save."""
        self._title()

    @property
    def changed(self) -> bool:
        """Whether there is something to save."""
        return self.query_one(TextArea).text != self._saved

    def _title(self, note: str = "") -> None:
        mark = " · not saved" if self.changed else ""
        self.query_one("#title", Static).update(f"{self.path}{mark}{' · ' + note if note else ''}")

    def action_save(self) -> None:
        """Save the file; say why not where that fails."""
        self._try_save()

    def _try_save(self) -> bool:
        text = self.query_one(TextArea).text
        try:
            save(self.path, text.encode())
        except OSError as error:
            why = f"{self.path} could not be saved: {error.strerror}\n\nThe text is still here."
            self.push_screen(TextDialog("Not saved", why, markdown=False))
            return False
        self._saved = text
        self._title("saved")
        return True

    def action_leave(self) -> None:
        """Quit; ask first where something is not saved."""
        if not self.changed:
            self.exit(0)
            return

        def answered(answer: str | None) -> None:
            if answer == "quit" or (answer == "save" and self._try_save()):
                self.exit(0)

        self.push_screen(_Unsaved(str(self.path)), answered)


def main(argv: Sequence[str]) -> int:
    """Edit the file named (`+LINE` before it goes to a line; other options, vim's own, are let be)."""
    line = next((int(word[1:]) for word in argv if word[:1] == "+" and word[1:].isdigit()), 1)
    files = [word for word in argv if word[:1] not in ("+", "-") or len(word) == 1]
    if len(files) != 1:
        print("one file at a time: vi [+LINE] FILE", file=sys.stderr)
        return _COULD_NOT
    path = Path(files[0])
    try:
        if path.is_dir():
            print(f"{path}: is a directory; name a file in it", file=sys.stderr)
            return _COULD_NOT
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return _COULD_NOT
    try:
        if len(content) > LIMIT or b"\0" in content:
            raise ValueError
        text = content.decode()
    except ValueError:
        print(f"{path}: no UTF-8 text of up to 5 MiB; look at it with: less {path}", file=sys.stderr)
        return _COULD_NOT
    return Editor(path, text, line).run() or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
