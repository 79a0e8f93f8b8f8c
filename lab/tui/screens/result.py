"""One check's result: what was expected, what was found and where, why it matters, how to put it right and see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ...reports.harmless import safe
from ..widgets.checks import MARKS, STYLES
from .dialog import Dialog

if TYPE_CHECKING:
    from checkers.grade import Line

_WORDS = {"pass": "passed", "fail": "failed", "error": "could not be looked at", "skip": "skipped"}


class ResultScreen(Dialog[str]):
    """A result. Answers `place` for the button that shows the place in the file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "place", "show the place", id="result.place", tooltip="Show the file at the line")
    ]

    DEFAULT_CSS = """
    ResultScreen #status { text-style: bold; }
    ResultScreen .label { color: $text-accent; text-style: bold; margin-top: 1; }
    """

    def __init__(self, line: Line) -> None:
        where = line.result.where
        place = [("Show the place (v)", "place")] if where is not None else []
        super().__init__(line.title, [*place, ("Close", None)])
        self._line = line

    def body(self) -> Sequence[Widget]:
        """Return the parts of the result that there are."""
        line, result = self._line, self._line.result
        status = str(result.status)
        points = f"   {line.points} of {line.possible} points   {line.id}"
        head = Content.assemble((f"{MARKS[status]} {_WORDS[status]}", STYLES[status]), (points, "$text-muted"))
        parts: list[Widget] = [Static(head, id="status")]
        where = result.where
        place = ""
        if where is not None:
            place = f"{where.file}, line {where.line}" if where.line else where.file
            place += f": {where.path}" if where.path else ""
        for label, text in (
            ("Expected", result.expected),
            ("Found", result.found),
            ("Where", place),
            ("Warnings" if len(result.warnings) > 1 else "Warning", "\n".join(f"• {text}" for text in result.warnings)),
            ("Why it matters", result.why),
            ("What to do", result.fix),
        ):
            if text:
                parts += [Static(label, classes="label"), Static(safe(text), markup=False)]
        return parts

    def action_place(self) -> None:
        """Show the place in the file."""
        if self._line.result.where is not None:
            self.dismiss("place")
