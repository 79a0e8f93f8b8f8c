"""The report as a page to hand out: one file, no network, no script; light and dark, on a screen and on paper.

The templates escape all that they are given, and what is given is made harmless first.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from checkers.result import Status

from .. import __version__
from . import PLAIN, Entry, Style
from .harmless import safe
from .words import MARKS, fields, first_line, lost, moment, outcome, points, tally, totals, verdict

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_WORDS = {Status.PASS: "Passed", Status.FAIL: "Failed", Status.SKIP: "Skipped", Status.ERROR: "Not judged"}
_PIECE = 256
"""Of what several reports are yielded in: this many outputs of the template."""


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the page of one report: what failed is open, the rest is folded."""
    return _written(_templates().get_template("report.html").render(report=report), style)


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield a page with an overview of all, and each report folded behind its name."""
    stream = _templates().get_template("reports.html").stream(entries=entries, checks=_by_check(entries))
    stream.enable_buffering(_PIECE)
    for piece in stream:
        yield _written(piece, style)


def _written(text: str, style: Style) -> str:
    return text if style.symbols else text.encode("ascii", "xmlcharrefreplace").decode()


def _by_check(entries: Sequence[Entry]) -> Mapping[str, Counter[Status]]:
    """Return how often each check ended how."""
    found: dict[str, Counter[Status]] = {}
    for entry in entries:
        for line in entry.report.lines if entry.report is not None else ():
            found.setdefault(line.id, Counter())[line.result.status] += 1
    return found


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("lab.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_harmless,
        auto_reload=False,
    )
    templates.globals.update(
        version=__version__,
        words=_WORDS,
        marks=MARKS,
        fields=_all_fields,
        blocks=_blocks,
        points=points,
        remark=_remark,
        shown_time=_shown_time,
        verdict=verdict,
        totals=totals,
        outcome=outcome,
        lost=lost,
        first_line=first_line,
    )
    return templates


def _harmless(value: Any) -> Any:
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _all_fields(line: Line) -> list[tuple[str, str]]:
    return fields(line, whole=True)


def _remark(report: Report) -> str:
    """Return what there is to know beside the points."""
    counts = tally(line.result.status for line in report.lines)
    erred = [line.id for line in report.lines if line.result.status is Status.ERROR]
    percent = f"{report.percent} %: " if report.possible else ""
    return f"{percent}{counts}." + (f" What could not be judged costs nothing: {', '.join(erred)}." if erred else "")


def _shown_time(time: str | None) -> str:
    at = moment(time)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else time or "not known"


def _blocks(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the paragraphs of a text, and whether each is a command or a quotation: lines that are indented."""
    kept: list[str] = []
    for line in [*text.split("\n"), ""]:
        is_quoted = line.startswith(" ")
        if kept and (kept[0].startswith(" ") != is_quoted or not is_quoted):
            yield kept[0].startswith(" "), textwrap.dedent("\n".join(kept))
            kept = []
        if line.strip():
            kept.append(line)
