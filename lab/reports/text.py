"""The report for a person at a terminal: verdict first, each check with a mark, what to do about the failed ones."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from checkers.result import Status

from . import PLAIN, Entry, Style
from .harmless import one_line, safe
from .words import (
    ASCII_MARKS,
    MARKS,
    WORDS,
    columns,
    fields,
    first_line,
    headline,
    lost,
    points,
    subject,
    tally,
    totals,
    verdict,
)

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_COLOURS = {Status.PASS: "32", Status.FAIL: "31", Status.SKIP: "2", Status.ERROR: "33"}
_NARROWEST, _WIDEST = 24, 120
_HEAD = ("verdict", " points", "  %", "bundle")
_BEFORE = 7 + 1 + 7 + 1 + 4 + 2
"""The columns of the table that come before the bundle's name."""


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the report as text. Lines are folded at the style's width, commands and paths stay whole."""
    page = _Page(style)
    page.heading(report)
    for line in report.lines:
        page.check(line)
    page.lines.append("")
    page.fold(tally(line.result.status for line in report.lines), "", "")
    return "\n".join(page.lines) + "\n"


def fold(line: Line, style: Style = PLAIN) -> str:
    """Return what is said below a check's own line, its fields, as lines; nothing for one of which all is said."""
    page = _Page(style)
    page.fields(line)
    return textwrap.dedent("\n".join(page.lines))


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield a table with a line for each, what was lost or why there is no grade behind it, and the totals."""
    width = _width(style)
    longest = max((columns(one_line(entry.source, style.symbols)) for entry in entries), default=0)
    name = max(len(_HEAD[3]), min(longest, (width - _BEFORE) // 2))
    heading = "{} {} {:>4}  {}".format(*_HEAD)
    yield _paint(heading, "1", style) + "\n"
    for entry in entries:
        yield _row(entry, name, width - _BEFORE - name - 2, style) + "\n"
    yield "\n" + "\n".join(textwrap.wrap(totals(entries), width)) + "\n"


def _row(entry: Entry, name: int, room: int, style: Style) -> str:
    report = entry.report
    status = verdict(entry)
    score = f"{report.points}/{report.possible}" if report is not None and report.possible else ""
    percent = str(report.percent) if score and report is not None else ""
    source = _end(one_line(entry.source, style.symbols), name, style)
    if report is None:
        rest = safe(first_line(entry.error), style.symbols)
    else:
        rest = ", ".join(lost(report)) or (safe(headline(report), style.symbols) if status is Status.ERROR else "")
    word = _paint(f"{WORDS[status]:<7}", _COLOURS[status], style)
    pad = " " * (name - columns(source))
    return f"{word} {score:>7} {percent:>4}  {source}{pad}  {_start(rest, room, style)}".rstrip()


def _start(text: str, room: int, style: Style) -> str:
    """Return a text cut at its end to the columns that there are."""
    if columns(text[: room + 1]) <= room and len(text) <= room:
        return text
    dots = "…" if style.symbols else "..."
    kept = text[: room - len(dots)]
    while columns(kept) + len(dots) > room and kept:
        kept = kept[:-1]
    return kept + dots


def _end(text: str, room: int, style: Style) -> str:
    """Return a path cut at its start: its end tells more."""
    return _start(text[::-1], room, style)[::-1]


class _Page:
    def __init__(self, style: Style) -> None:
        self.style = style
        self.width = _width(style)
        self.marks = MARKS if style.symbols else ASCII_MARKS
        self.lines: list[str] = []

    def heading(self, report: Report) -> None:
        word = WORDS[report.verdict]
        self.fold(headline(report), "", "  ")
        self.lines[0] = self.lines[0].replace(word, self._paint(word, f"1;{_COLOURS[report.verdict]}"), 1)
        self.fold(subject(report), "", "  ")
        self.lines.append("")

    def check(self, line: Line) -> None:
        status = line.result.status
        mark = self._paint(self.marks[status], _COLOURS[status])
        first = f"{line.id}  {points(line)}".rstrip()
        title = safe(line.title, self.style.symbols)
        if len(title) <= self.width - len(first) - 5:
            self.lines.append(f"{mark} {first}   {title}")
        else:
            self.lines.append(f"{mark} {first}")
            self.fold(title, "    ", "    ")
        self.fields(line)

    def fields(self, line: Line) -> None:
        for name, text in fields(line):
            self._field(name, text, "33" if name == "warning" else "2")

    def _field(self, name: str, text: str, colour: str) -> None:
        """Write one field under a check; the lines of the text stay lines, each folded on its own."""
        label = f"    {name}: "
        start = len(self.lines)
        for number, part in enumerate(text.split("\n")):
            self.fold(part, label if number == 0 else "      ", "      ")
        self.lines[start] = self.lines[start].replace(label, f"    {self._paint(f'{name}:', colour)} ", 1)

    def fold(self, text: str, first: str, rest: str) -> None:
        """Add a text, folded; one that is indented is a command or a quotation and stays as it is."""
        text = safe(text, self.style.symbols)
        if text.startswith(" "):
            self.lines.append(first + text)
            return
        self.lines += textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]

    def _paint(self, text: str, colour: str) -> str:
        return _paint(text, colour, self.style)


def _paint(text: str, colour: str, style: Style) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if style.colour else text


def _width(style: Style) -> int:
    return max(_NARROWEST, min(style.width, _WIDEST))
