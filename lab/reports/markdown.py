"""The report for a pull request, as GitHub and GitLab show Markdown: a table, and a fold for what there is to say.

All that comes from a node stands in code, where @mentions and #references mean nothing: in a block whose fence is
longer than any run of backticks in it, or in a <code> with punctuation as entities, which no syntax can be made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from checkers.result import Status

from . import PLAIN, Entry, Style
from .harmless import one_line
from .text import fold
from .words import WORDS, first_line, lost, points, score, subject, tally, totals, verdict

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_MARKS = {Status.PASS: "✅", Status.FAIL: "❌", Status.SKIP: "➖", Status.ERROR: "⚠️"}
_WIDTH = 88
"""Of the lines in a fold, in characters: what a pull request shows without scrolling."""
# A full stop and a comma are left: they mean something only after `www`.
_PUNCTUATION = re.compile(r"[!-+:-@\[-`{-~]|(?i:(?<=www)\.)")


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the verdict, the table of the checks, and the folds."""
    rows = []
    for line in report.lines:
        mark, check, title = _mark(line.result.status, style), _code(line.id, style), _prose(line.title, style)
        rows.append(f"| {mark} | {check} | {points(line)} | {title} |")
    parts = [
        f"### {_verdict(report, style)}",
        _code(subject(report), style),
        "\n".join(["| | check | points | |", "|:-:|---|--:|---|", *rows]),
        *(_fold(line, style) for line in report.lines if fold(line)),
        tally(line.result.status for line in report.lines),
    ]
    return "\n\n".join(parts) + "\n"


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield the totals, a table with a row for each, and a fold for each that did not pass."""
    yield f"### {totals(entries)}\n\n| | bundle | points | % | lost |\n|:-:|---|--:|--:|---|\n"
    for entry in entries:
        mark, source = _mark(verdict(entry), style), _code(entry.source, style)
        if entry.report is None:
            yield f"| {mark} | {source} | | | {_code(first_line(entry.error), style)} |\n"
            continue
        gone = ", ".join(_code(check, style) for check in lost(entry.report))
        score = f"{entry.report.points}/{entry.report.possible}"
        yield f"| {mark} | {source} | {score} | {entry.report.percent} | {gone} |\n"
    for entry in entries:
        if entry.report is not None and lost(entry.report):
            heading = f"{_verdict(entry.report, style)}: {_code(entry.source, style)}"
            folds = [_fold(line, style) for line in entry.report.lines if line.id in lost(entry.report)]
            about = _code(subject(entry.report), style)
            yield "\n" + "\n\n".join([_opening(heading), about, *folds, "</details>"]) + "\n"


def _verdict(report: Report, style: Style) -> str:
    erred = sum(line.result.status is Status.ERROR for line in report.lines)
    unjudged = f"; {tally([Status.ERROR] * erred)}" if erred else ""
    return f"{_mark(report.verdict, style)} {WORDS[report.verdict]}: {score(report)}{unjudged}".replace("  ", " ")


def _fold(line: Line, style: Style) -> str:
    """Return a fold with what is said of a check."""
    text = fold(line, Style(width=_WIDTH, symbols=style.symbols))
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    heading = f"{_mark(line.result.status, style)} {_code(line.id, style)} {_prose(line.title, style)}"
    return f"{_opening(heading)}\n\n{fence}text\n{text}\n{fence}\n\n</details>"


def _opening(heading: str) -> str:
    return f"<details>\n<summary>{heading}</summary>"


def _mark(status: Status, style: Style) -> str:
    return _MARKS[status] if style.symbols else WORDS[status]


def _prose(text: str, style: Style) -> str:
    return _PUNCTUATION.sub(_entity, one_line(text, style.symbols))


def _code(text: str, style: Style) -> str:
    return f"<code>{_prose(text, style)}</code>"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
