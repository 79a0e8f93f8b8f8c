"""A file of the node with one line marked, to read; a button opens it in vi in the shell."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Button

from ...reports.harmless import safe

READ_LIMIT = 1 << 20
"""Bytes of a file that are shown at most."""


class NumberedLines(ScrollView, can_focus=True):
    """The lines of a text with their numbers; one is marked (1-based; None: none)."""

    DEFAULT_CSS = """
    NumberedLines { height: 1fr; background: $surface; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    """

    def __init__(self, text: str, line: int | None, *, numbers: bool = True) -> None:
        super().__init__()
        self._numbers = numbers
        self._lines = [safe(part.expandtabs(8)) for part in text.split("\n")]
        if len(self._lines) > 1 and not self._lines[-1]:
            self._lines.pop()
        self.line = line

    def on_mount(self) -> None:
        """Bring the marked line into the middle."""
        self.virtual_size = Size(max(map(len, self._lines)) + 8, len(self._lines))
        self.call_after_refresh(self._centre)

    def _centre(self) -> None:
        if not self._numbers:
            self.scroll_end(animate=False)
        elif self.line:
            self.scroll_to(y=max(0, self.line - 1 - self.size.height // 2), animate=False)

    def render_line(self, y: int) -> Strip:
        """Return one row of what is visible."""
        at = self.scroll_offset.y + y
        width = self.size.width
        base = self.rich_style
        if at >= len(self._lines):
            return Strip.blank(width, base)
        marked = at + 1 == self.line
        if not self._numbers:
            return Strip([Segment(self._lines[at], base)]).crop_extend(
                self.scroll_offset.x, self.scroll_offset.x + width, base
            )
        style = base.chain(base.__class__(reverse=True)) if marked else base
        number = Segment(f"{'▸' if marked else ' '}{at + 1:>5} ", base + base.__class__(dim=not marked, bold=marked))
        strip = Strip([number, Segment(self._lines[at].ljust(width), style)])
        return strip.crop_extend(self.scroll_offset.x, self.scroll_offset.x + width, base)


class Viewer(ModalScreen[str]):
    """The file at a line. Answers `vi` for the button that opens it in the shell."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "close", id="viewer.close", tooltip="Close the file"),
        Binding("v", "vi", "open in vi", id="viewer.vi", tooltip="Open the file in vi, in the shell, at this line"),
    ]

    DEFAULT_CSS = """
    Viewer {
        align: center middle;
        & > #frame { width: 96%; height: 92%; border: round $accent; background: $surface; border-title-style: bold; }
        #buttons { height: 1; align-horizontal: right; }
        #buttons Button { margin-left: 2; }
    }
    """

    def __init__(self, path: str, text: str, line: int | None) -> None:
        super().__init__()
        self._path, self._text, self._line = path, text, line

    def compose(self) -> ComposeResult:
        """Lay out the file above the buttons."""
        with Vertical(id="frame") as frame:
            frame.border_title = self._path
            yield NumberedLines(self._text, self._line)
            with Horizontal(id="buttons"):
                yield Button("Open in vi (v)", id="vi", compact=True, variant="primary")
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Give the text the keyboard, so that it scrolls."""
        self.query_one(NumberedLines).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss("vi" if event.button.id == "vi" else None)

    def action_vi(self) -> None:
        """Open it in vi."""
        self.dismiss("vi")

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)


class Scrollback(ModalScreen[None]):
    """What has scrolled out of the terminal, to read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "close", id="scrollback.close", show=False)]

    DEFAULT_CSS = """
    Scrollback {
        background: $background;
        & > NumberedLines { border: round $accent; border-title-style: bold; }
    }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        lines = NumberedLines(self._text, None, numbers=False)
        lines.border_title = "Scrolled out · Esc goes back to the shell"
        yield lines

    def on_mount(self) -> None:
        """Give the text the keyboard."""
        self.query_one(NumberedLines).focus()

    def action_close(self) -> None:
        """Go back to the shell."""
        self.dismiss(None)
