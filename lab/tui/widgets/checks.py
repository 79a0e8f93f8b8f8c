"""The list of a task's checks with what the last grade said of each, and the score."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checkers.grade import Line, Report
    from checkers.wants import Scored

MARKS = {"pass": "✓", "fail": "✗", "error": "!", "skip": "–"}
STYLES = {"pass": "$text-success", "fail": "bold $text-error", "error": "bold $text-warning", "skip": "$text-muted"}
_ORDER = {"fail": 0, "error": 1, "skip": 2, "pass": 3}


def place(line: Line) -> str:
    """Return where a result points to, short: the file's name and the line."""
    where = line.result.where
    if where is None:
        return ""
    name = where.file.rsplit("/", 1)[-1]
    return f"{name}:{where.line}" if where.line else name


class Checks(Vertical):
    """The checks, those that failed first; Enter or a click opens one."""

    DEFAULT_CSS = """
    Checks {
        height: auto;
        & > #score { height: 1; padding: 0 1; text-style: bold; background: $panel; color: $text; }
        & > #score.-right { background: $success-muted; color: $text-success; }
        & > OptionList {
            height: auto; max-height: 100%; border: none; padding: 0; background: $background;
            scrollbar-size-vertical: 1;
        }
    }
    """

    @dataclass
    class Opened(Message):
        """A check's result is to be shown."""

        line: Line

    def __init__(self, checks: Sequence[Scored], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._checks = checks
        self.report: Report | None = None
        self._width = 0

    def compose(self) -> ComposeResult:
        """Lay out the score above the list."""
        yield Static(id="score")
        yield OptionList(id="list", compact=True, markup=False)

    def on_mount(self) -> None:
        """Show the checks before any grade; what opens a result depends on where the keyboard is."""
        self._draw()
        self.watch(self.screen, "focused", self._draw_score, init=False)

    def show(self, report: Report | None) -> None:
        """Show what a grade said."""
        self.report = report
        self._draw()

    def _draw(self) -> None:
        self._draw_score()
        options = self.query_one(OptionList)
        chosen = options.highlighted_option.id if options.highlighted_option else None
        options.clear_options()
        if self.report is None:
            options.add_options(Option(self._prompt("·", check.title, "", "$text-muted")) for check in self._checks)
            return
        ordered = sorted(self.report.lines, key=lambda line: _ORDER[line.result.status])
        for line in ordered:
            status = str(line.result.status)
            detail = f"→ {place(line)}" if status in ("fail", "error") and place(line) else ""
            if count := len(line.result.warnings):
                warned = f"{count} {'warning' if count == 1 else 'warnings'}"
                detail = f"{detail} · {warned}" if detail else f"! {warned}"
            options.add_option(Option(self._prompt(MARKS[status], line.title, detail, STYLES[status]), id=line.id))
        ids = [line.id for line in ordered]
        options.highlighted = (ids.index(chosen) if chosen in ids else 0) if ids else None

    def _draw_score(self) -> None:
        report = self.report
        if report is None:
            points = sum(check.points for check in self._checks)
            score, right = f"{len(self._checks)} · {points} points · F5 grades", False
        else:
            passed = sum(line.result.status == "pass" for line in report.lines)
            right = report.verdict == "pass"
            score = f"{passed}/{len(report.lines)} · {report.points} of {report.possible} points · "
            score += "all right" if right else f"{self._way_to_list()}: why"
        line = self.query_one("#score", Static)
        line.update(f"Checks  {score}")
        line.set_class(right, "-right")

    def _way_to_list(self) -> str:
        """Return the keys that open the chosen result from where the keyboard is."""
        focused, panel = self.screen.focused, self.parent
        if focused is not None and focused is self.query_one(OptionList):
            return "Enter"
        within = focused is not None and panel in focused.ancestors
        return "Tab, Enter" if within else "F2, Enter"

    def _prompt(self, mark: str, title: str, detail: str, style: str) -> Content:
        room = max(10, self._width - 5)
        first, *more = wrap(title, room) or [""]
        text = "\n".join([first, *(f"\u00a0\u00a0{line}" for line in more)])
        row = Content.assemble((f"{mark} ", style), (text, "" if detail.startswith("→") else style))
        return row.append(Content.styled(f"\n\u00a0\u00a0{detail}", "bold")) if detail else row

    def on_resize(self, event: events.Resize) -> None:
        """Wrap the titles anew. Behind another panel the list has no width: it keeps the one it was seen with."""
        if event.size.width not in (0, self._width):
            self._width = event.size.width
            self._draw()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the result of the check."""
        event.stop()
        if self.report is not None:
            self.post_message(self.Opened(next(line for line in self.report.lines if line.id == event.option_id)))
