"""The line between the panel and the terminal: dragged with the mouse, moved by keys."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


class Divider(Widget):
    """A vertical line that says where it is dragged to."""

    DEFAULT_CSS = """
    Divider {
        width: 1;
        height: 100%;
        color: $foreground-muted;
        background: $background;
        pointer: ew-resize;
        &:hover, &.-dragged { color: $accent; text-style: bold; }
    }
    """

    @dataclass
    class Moved(Message):
        """The divider was dragged to this column of the screen."""

        column: int

    def render_line(self, y: int) -> Strip:
        """Return one row of the line."""
        from rich.segment import Segment

        return Strip([Segment("│", self.rich_style)], 1)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag."""
        self.capture_mouse()
        self.add_class("-dragged")
        event.stop()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Leave the line where it is."""
        self.release_mouse()
        self.remove_class("-dragged")
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Follow the mouse while dragged."""
        if self.has_class("-dragged"):
            self.post_message(self.Moved(int(event.screen_x)))
            event.stop()
