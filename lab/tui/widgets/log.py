"""The audit log as it grows: one line an event, each with the rule that wrote it; only what is visible is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static

from ...reports.harmless import safe
from ..colours import theme_style
from ..events import LogEvent, LogLines, rule_of

if TYPE_CHECKING:
    from checkers.kube.audit_policy import Policy

_SHORT = {"None": "N", "Metadata": "M", "Request": "R", "RequestResponse": "RR"}
_COLOURS = {"Metadata": "text-primary", "Request": "text-warning", "RequestResponse": "text-error"}


class EventList(ScrollView, can_focus=True):
    """The events, newest last. It follows the end of the log as long as the last line is the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "edge(-1)", "first", show=False),
        Binding("end,G", "edge(1)", "last", show=False),
        Binding("enter", "open", "open", id="log.open", show=False, tooltip="Show the event as JSON"),
        Binding(
            "slash",
            "filter",
            "filter",
            id="log.filter",
            show=False,
            tooltip="Show only the events that hold some words",
        ),
    ]

    DEFAULT_CSS = """
    EventList { height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    @dataclass
    class Opened(Message):
        """An event is to be shown as JSON."""

        event: LogEvent

    class FilterWanted(Message):
        """The person wants to type a filter."""

    def __init__(self, lines: LogLines, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines
        self._rules: dict[int, str] = {}
        self.policy: Policy | None = None
        self.chosen = 0
        self.following = True

    def lines_changed(self) -> None:
        """Draw anew after the lines or the filter have changed."""
        count = len(self._lines.shown)
        if self.following:
            self.chosen = max(0, count - 1)
        self.chosen = min(self.chosen, max(0, count - 1))
        if len(self._rules) > 2 * max(count, 1_000):
            self._rules.clear()
        self.virtual_size = Size(self.size.width, count)
        if self.following:
            self.scroll_end(animate=False, immediate=True)
        self.refresh()

    def on_resize(self) -> None:
        """Keep to the end of the log where it is followed: what is not shown has no size to scroll by."""
        self.lines_changed()

    def policy_changed(self, policy: Policy | None) -> None:
        """Say anew of each event which rule wrote it."""
        self.policy = policy
        self._rules.clear()
        self.refresh()

    def rule(self, event: LogEvent) -> str:
        """Return the number of the rule that wrote the event."""
        if event.number not in self._rules:
            self._rules[event.number] = rule_of(event, self.policy)
        return self._rules[event.number]

    def render_line(self, y: int) -> Strip:
        """Return one row of what is visible."""
        at = self.scroll_offset.y + y
        width = self.size.width
        if at >= len(self._lines.shown):
            return Strip.blank(width, self.rich_style)
        event = self._lines.shown[at]
        base = self.rich_style
        if at == self.chosen:
            base += Style(reverse=True) if self.has_focus else Style(bold=True)
        if not event.fields:
            return Strip([Segment(set_cell_size(_in_a_row(event.text()[: width * 2]), width), base)])
        level = base if at == self.chosen else base + theme_style(self.app, _COLOURS.get(event.level, ""))
        rule = self.rule(event)
        head = f"{event.time} "
        mark = f"{_SHORT.get(event.level, event.level[:2]):<2} {rule and '#' + rule:<4}"
        rest = f"{event.verb:<7}{event.target}  {event.user} {event.code}"
        if event.stage != "ResponseComplete":
            rest += f" ({event.stage})"
        strip = Strip([Segment(_in_a_row(text), style) for text, style in ((head, base), (mark, level), (rest, base))])
        return strip.adjust_cell_length(width, base)

    def action_move(self, by: int) -> None:
        """Choose another line."""
        self._choose(self.chosen + by)

    def action_page(self, by: int) -> None:
        """Choose the line a page away."""
        self._choose(self.chosen + by * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        """Choose the first or the last line."""
        self._choose(0 if end < 0 else len(self._lines.shown) - 1)

    def _choose(self, line: int) -> None:
        last = max(0, len(self._lines.shown) - 1)
        self.chosen = max(0, min(line, last))
        self.following = self.chosen == last
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.chosen < top:
            self.scroll_to(y=self.chosen, animate=False, immediate=True)
        elif self.chosen >= top + height:
            self.scroll_to(y=self.chosen - height + 1, animate=False, immediate=True)
        self.refresh()

    def action_open(self) -> None:
        """Show the chosen event as JSON."""
        if self._lines.shown:
            self.post_message(self.Opened(self._lines.shown[self.chosen]))

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.post_message(self.FilterWanted())

    def on_click(self, event: events.Click) -> None:
        """Choose the line that was clicked; open it at the second click."""
        again = self.scroll_offset.y + event.y == self.chosen and event.chain > 1
        self._choose(self.scroll_offset.y + event.y)
        if again:
            self.action_open()

    def on_mouse_scroll_up(self) -> None:
        """Stop following the end."""
        self.following = False


class AuditLog(Vertical):
    """The log with its title and its filter."""

    DEFAULT_CSS = """
    AuditLog {
        & > #log-title { height: auto; padding: 0 1; background: $panel; color: $text; text-style: bold; }
        & > Input { height: 1; border: none; padding: 0 1; display: none; }
        & > #log-note { height: auto; padding: 0 1; color: $text-warning; }
    }
    """

    def __init__(self, path: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._path = path
        self.lines = LogLines()

    def compose(self) -> ComposeResult:
        """Lay out the title, a note, the events and the filter."""
        yield Static(id="log-title", markup=False)
        yield Static("looking for the log …", id="log-note", markup=False)
        yield EventList(self.lines, id="log-events")
        yield Input(placeholder="words to look for; Enter keeps, Esc clears", id="log-filter", compact=True)

    def on_mount(self) -> None:
        """Show the title."""
        self._title()

    def grow(self, lines: list[bytes], fresh: bool) -> None:
        """Add lines; `fresh` says that the file is another one than before."""
        if fresh:
            self.lines.clear()
            self.query_one(EventList).policy_changed(self.query_one(EventList).policy)
        self.lines.add(lines)
        self.query_one("#log-note").display = not self.lines.total
        self.query_one("#log-note", Static).update("the log is there and empty: the policy has recorded nothing yet")
        self._changed()

    def absent(self, reason: str) -> None:
        """Say why there is no log."""
        self.lines.clear()
        self.query_one("#log-note", Static).update(reason)
        self.query_one("#log-note").display = True
        self._changed()

    def policy_changed(self, policy: Policy | None) -> None:
        """Take the policy by which the rules are told."""
        self.query_one(EventList).policy_changed(policy)

    def _changed(self) -> None:
        self.query_one(EventList).lines_changed()
        self._title()

    def _title(self) -> None:
        shown, total = len(self.lines.shown), self.lines.total
        count = f"{total} events" if not self.lines.needle else f"{shown} with “{self.lines.needle}”"
        self.query_one("#log-title", Static).update(f"Log · {count} · / filters · #n is the rule")

    def on_event_list_filter_wanted(self) -> None:
        """Show the filter and give it the keyboard."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        event.stop()
        self.lines.filter(event.value)
        self._changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the events."""
        event.stop()
        self.query_one(Input).display = bool(event.value)
        self.query_one(EventList).focus()

    def on_key(self, event: events.Key) -> None:
        """Clear the filter at Esc."""
        field = self.query_one(Input)
        if event.key == "escape" and field.has_focus:
            event.stop()
            field.value = ""
            field.display = False
            self.query_one(EventList).focus()


def _in_a_row(text: str) -> str:
    """Return text that takes one row and does nothing to the terminal: a log may hold anything."""
    return safe(text).replace("\n", "\\n").replace("\t", " ")
