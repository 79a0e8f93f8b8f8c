"""The report as GitHub's workflow commands: an annotation for each failure and warning, a notice with the score.

Source: actions/runner, src/Runner.Common/ActionCommand.cs: `::command key=value,key=value::message`, with `%`, CR and
LF written as %25, %0D and %0A, and in a value `:` and `,` as %3A and %2C. GitHub shows ten annotations of a kind for a
step: errors come first.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from checkers.result import Status

from . import PLAIN, Entry, Style
from .harmless import one_line, safe
from .words import TALLIED, fields, first_line, headline, subject, totals

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_LONGEST_TITLE = 200


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the commands, one a line. Files are named by their path below a graded directory, else as on the node."""
    lines = list(_annotations(report, "", style))
    told = [headline(report), subject(report)]
    for status, word in TALLIED.items():
        ids = [line.id for line in report.lines if line.result.status is status]
        if ids:
            told.append(f"{word}: {', '.join(ids)}")
    lines.append(_command("notice", f"cks-lab {report.scenario}", "\n".join(told), style))
    return "".join(lines)


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield the annotations of each, its name in their titles, and one notice with the totals."""
    for entry in entries:
        if entry.report is None:
            message = entry.error + (f"\n{entry.hint}" if entry.hint else "")
            yield _command("error", f"{entry.source} could not be graded", message, style)
        else:
            yield from _annotations(entry.report, f"{entry.source}: ", style)
    yield _command("notice", "cks-lab", totals(entries), style)


def _annotations(report: Report, before: str, style: Style) -> Iterator[str]:
    for line in report.lines:
        if line.result.status in (Status.FAIL, Status.ERROR):
            title = f"{before}{line.id}" + (" could not be judged" if line.result.status is Status.ERROR else "")
            body = "\n".join(f"{name}: {text}" for name, text in fields(line) if name not in ("where", "warning"))
            yield _command("error", title, f"{line.title}\n{body}", style, _place(report, line))
    for line in report.lines:
        for name, text in fields(line):
            if name == "warning":
                yield _command("warning", f"{before}{line.id}", text, style, _place(report, line, text))


def _place(report: Report, line: Line, warning: str = "") -> dict[str, str]:
    """Return where a line's annotation stands; a warning that starts with a line of the file stands there."""
    where = line.result.where
    if where is None:
        return {}
    file, number = where.file, where.line
    if told := re.match(rf"{re.escape(file)}:([0-9]+): ", warning):
        number = int(told[1])
    if report.node.driver == "directory":
        file = posixpath.join(report.node.name, file.lstrip("/"))
    return {"file": file} | ({"line": str(number)} if number is not None else {})


def _command(kind: str, title: str, message: str, style: Style, place: dict[str, str] | None = None) -> str:
    title = first_line(title)[:_LONGEST_TITLE]
    values = {**(place or {}), "title": title}
    written = ",".join(f"{key}={_value(one_line(value, style.symbols))}" for key, value in values.items())
    return f"::{kind} {written}::{_escaped(safe(message, style.symbols))}\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
