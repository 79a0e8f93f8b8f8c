"""The report for a person at a terminal: verdict first, each check with a mark, what to do about the failed ones."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from checkers.result import Status, Where

from . import PLAIN, Style

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_MARKS = {Status.PASS: "✓", Status.FAIL: "✗", Status.SKIP: "–", Status.ERROR: "!"}
_ASCII = {Status.PASS: "+", Status.FAIL: "x", Status.SKIP: "-", Status.ERROR: "!"}
_COLOURS = {Status.PASS: "32", Status.FAIL: "31", Status.SKIP: "2", Status.ERROR: "33"}
_WORDS = {Status.PASS: "PASS", Status.FAIL: "FAIL", Status.ERROR: "ERROR"}
_NARROWEST, _WIDEST = 24, 120
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the report as text. Lines are folded at the style's width, commands and paths stay whole."""
    page = _Page(style)
    page.heading(report)
    for line in report.lines:
        page.check(line)
    page.ending(report)
    text = "\n".join(page.lines) + "\n"
    return text if style.symbols else text.encode("ascii", "replace").decode()


def headline(report: Report) -> str:
    """Return the verdict with the score, in one line; one that is ERROR with the first reason."""
    word = _WORDS[report.verdict]
    score = f"{report.points} of {report.possible} points"
    if report.verdict is not Status.ERROR:
        return f"{word}  {score}, {report.percent} %"
    erred = [line.result for line in report.lines if line.result.status is Status.ERROR]
    reasons = [result.found for result in erred or [line.result for line in report.lines]]
    reason = next((_safe(part.strip()) for text in reasons for part in text.splitlines() if part.strip()), "")
    why = f": {reason}" if reason else ""
    if not any(line.result.status is Status.PASS for line in report.lines):
        return f"{word}  nothing could be judged{why}"
    checks = "1 check" if len(erred) == 1 else f"{len(erred)} checks"
    return f"{word}  {checks} could not be judged{why}; the others: {score}"


class _Page:
    def __init__(self, style: Style) -> None:
        self.style = style
        self.width = max(_NARROWEST, min(style.width, _WIDEST))
        self.marks = _MARKS if style.symbols else _ASCII
        self.lines: list[str] = []

    def heading(self, report: Report) -> None:
        node = report.node
        server = f", kube-apiserver {node.apiserver}" if node.apiserver else ""
        seed = report.variant.get("seed")
        variant = f", seed {seed}" if seed is not None else ""
        word = _WORDS[report.verdict]
        self._fold(headline(report), "", "  ")
        self.lines[0] = self.lines[0].replace(word, self._paint(word, f"1;{_COLOURS[report.verdict]}"), 1)
        self._fold(f"{report.scenario}{variant} on {node.driver} {node.name}{server}", "", "  ")
        self.lines.append("")

    def check(self, line: Line) -> None:
        result = line.result
        mark = self._paint(self.marks[result.status], _COLOURS[result.status])
        points = f"{line.points}/{line.possible}" if line.possible else ""
        first = f"{line.id}  {points}".rstrip()
        room = self.width - len(first) - 5
        if len(line.title) <= room:
            self.lines.append(f"{mark} {first}   {line.title}")
        else:
            self.lines.append(f"{mark} {first}")
            self._fold(line.title, "    ", "    ")
        if result.status in (Status.FAIL, Status.ERROR):
            self._field("expected", result.expected)
            self._field("found", result.found)
            self._field("where", _place(result.where))
            self._field("why", result.why)
            self._field("fix", result.fix)
        elif result.status is Status.SKIP:
            self._field("skipped", result.found)
        elif line.points < line.possible:
            self._field("note", "an untouched node passes this too: its points come with the work")
        for warning in result.warnings:
            self._field("warning", warning, "33")

    def ending(self, report: Report) -> None:
        self.lines.append("")
        counts = [
            (sum(line.result.status is status for line in report.lines), word)
            for status, word in (
                (Status.PASS, "passed"),
                (Status.FAIL, "failed"),
                (Status.SKIP, "skipped"),
                (Status.ERROR, "could not be judged"),
            )
        ]
        self._fold(", ".join(f"{count} {word}" for count, word in counts if count), "", "")

    def _field(self, name: str, text: str, colour: str = "2") -> None:
        """Write one field under a check; the lines of the text stay lines, each folded on its own."""
        if not text:
            return
        label = f"    {name}: "
        start = len(self.lines)
        for number, part in enumerate(_safe(text).splitlines() or [""]):
            self._fold(part, label if number == 0 else "      ", "      ")
        self.lines[start] = self.lines[start].replace(label, f"    {self._paint(f'{name}:', colour)} ", 1)

    def _fold(self, text: str, first: str, rest: str) -> None:
        """Add a text, folded; one that is indented is a command or a quotation and stays as it is."""
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
        return f"\x1b[{colour}m{text}\x1b[0m" if self.style.colour else text


def _place(where: Where | None) -> str:
    if where is None:
        return ""
    at = where.file if where.line is None else f"{where.file}:{where.line}"
    return f"{at}, {where.path}" if where.path else at


def _safe(text: str) -> str:
    """Return what came from a learner's file without the bytes that would act on the terminal."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
