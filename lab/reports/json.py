"""The report for scripts: schema cks-lab/report/v1, the same bytes for the same evidence. Several make an array.

What it holds is said in `report.schema.json`, and of several in `reports.schema.json`, both beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from checkers.grade import SCHEMA
from checkers.result import Status

from .. import __version__
from . import PLAIN, Entry, Style

if TYPE_CHECKING:
    from checkers.grade import Report


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the report as JSON, two spaces deep."""
    return _text(report.to_dict(), style) + "\n"


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield an array, an element at a time: the report's own object, the bundle before it and an error after it."""
    between = "[\n"
    for entry in entries:
        yield between + "  " + _text(_element(entry), style).replace("\n", "\n  ")
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def _element(entry: Entry) -> dict[str, Any]:
    if entry.report is not None:
        return {"bundle": entry.source, **entry.report.to_dict(), "error": None}
    return {
        "bundle": entry.source,
        "schema": SCHEMA,
        "version": __version__,
        "scenario": None,
        "variant": {},
        "node": None,
        "verdict": str(Status.ERROR),
        "score": {"points": 0, "possible": 0, "percent": 0},
        "checks": [],
        "started": None,
        "finished": None,
        "error": entry.error,
    }


def _text(value: object, style: Style) -> str:
    return json.dumps(value, indent=2, ensure_ascii=not style.symbols)
