"""The line at the top: what this is, which node it runs on, how long it has been going."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


class LabHeader(Widget):
    """One line: the name of the program, what is open, and at the right the time. `late` marks a time that is over."""

    DEFAULT_CSS = """
    LabHeader {
        dock: top;
        height: 1;
        background: $primary;
        color: $text;
        text-style: bold;
    }
    """

    title = reactive("")
    clock = reactive("")
    late = reactive(False)

    def __init__(self, title: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(LabHeader.title, title)

    def render(self) -> Text:
        """Return the line, the title cut where there is no room."""
        right = f" {self.clock} " if self.clock else " "
        if self.late:
            right = f" time over · {self.clock} "
        room = max(0, self.size.width - cell_len(right))
        left = f" CKS Lab · {self.title}" if self.title else " CKS Lab"
        if cell_len(left) > room:
            left = set_cell_size(left, max(0, room - 1)) + "…"
        text = Text(set_cell_size(left, room), no_wrap=True, end="")
        text.append(right, style="reverse" if self.late else "")
        return text
