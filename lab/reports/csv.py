"""The report as a table for a spreadsheet: RFC 4180, a header always, one row a report, a column a check.

A spreadsheet takes a cell that starts with `=` for a formula, and a learner names the files: such cells get a `'`
before (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from checkers.result import Status

from . import PLAIN, Entry, Style
from .harmless import safe

if TYPE_CHECKING:
    from checkers.grade import Report

COLUMNS = (
    "bundle", "scenario", "seed", "driver", "node", "apiserver", "verdict", "points", "possible", "percent", "started",
    "finished",
)  # fmt: skip
"""The columns before the checks'; the last one is `error`."""

# A spreadsheet of another language splits at semicolons or tabs, so a formula may start there too. A number is none.
_FORMULA = re.compile(r"(^|[;|\t])(\s*)(?=[=+@＝＋－＠]|-(?!\d+(?:\.\d+)?$))")


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the header and the report's row; the node's name is in the place of a bundle's."""
    return "".join(render_many([Entry(report.node.name, report)], style))


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield the header and a row for each. The checks are in the order in which they first appear.

    A row without a grade has the verdict `error`, no points, and says why in its last cell; percent is empty where
    nothing could be earned, so that a mean over the column leaves it out.
    """
    checks = list({line.id: None for entry in entries if entry.report is not None for line in entry.report.lines})
    yield _row((*COLUMNS, *checks, "error"), style)
    for entry in entries:
        yield _row(_cells(entry, checks), style)


def _cells(entry: Entry, checks: Sequence[str]) -> Iterator[str | int]:
    report = entry.report
    yield entry.source
    if report is None:
        yield from ("", "", "", "", "", str(Status.ERROR), 0, 0, "", "", "")
        yield from ("" for _ in checks)
        yield entry.error
        return
    node, seed = report.node, report.variant.get("seed")
    yield from (report.scenario, "" if seed is None else str(seed), node.driver, node.name, node.apiserver or "")
    yield from (str(report.verdict), report.points, report.possible, report.percent if report.possible else "")
    yield from (report.started or "", report.finished or "")
    statuses = {line.id: str(line.result.status) for line in report.lines}
    yield from (statuses.get(check, "") for check in checks)
    yield ""


def _row(cells: Sequence[str | int] | Iterator[str | int], style: Style) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cell if isinstance(cell, int) else _harmless(cell, style) for cell in cells)
    return line.getvalue()


def _harmless(cell: str, style: Style) -> str:
    return _FORMULA.sub(r"\1\2'", safe(cell, style.symbols).replace("\n", " "))
