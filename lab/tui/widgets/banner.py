"""The line under the header that says what is going on when something is: waiting, broken, gone."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.widgets import Static

from ...reports.harmless import one_line, safe


class Banner(Static):
    """A message of up to three lines; not there while there is nothing to say."""

    DEFAULT_CSS = """
    Banner {
        height: auto;
        max-height: 3;
        padding: 0 1;
        display: none;
        &.-info { display: block; background: $surface; color: $text; }
        &.-warning { display: block; background: $warning-muted; color: $text-warning; }
        &.-error { display: block; background: $error-muted; color: $text-error; }
    }
    """

    _MARKS: ClassVar[dict[str, str]] = {"info": "…", "warning": "!", "error": "✗"}

    def say(self, kind: str, message: str, hint: str = "", detail: str = "") -> None:
        """Show a message: `kind` is info, warning or error; the hint is the next step; the detail a line of its own."""
        self.clear()
        self.add_class(f"-{kind}")
        text = Text(f"{self._MARKS[kind]} {safe(message)}")
        if hint:
            text.append(f"  → {hint}", style="bold")
        if detail:
            text.append(f"\n{one_line(detail)}")
        self.update(text)

    def clear(self) -> None:
        """Say nothing."""
        self.remove_class("-info", "-warning", "-error")
