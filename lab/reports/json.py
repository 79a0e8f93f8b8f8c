"""The report for scripts: schema cks-lab/report/v1, the same bytes for the same evidence. Several make an array.

What it holds is said in `report.schema.json`, and of several in `reports.schema.json`, both beside this file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from checkers.grade import SCHEMA
from checkers.result import Status

from .. import __version__
from . import PLAIN, Entry, Style
from .harmless import UNSAFE

if TYPE_CHECKING:
    from checkers.grade import Report

_SURROGATES = re.compile(r"[\ud800-\udfff]")


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
    """Return JSON that no terminal acts on and every parser takes: half a surrogate pair becomes U+FFFD."""
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, indent=2, ensure_ascii=False))
    if not style.symbols:
        return json.dumps(json.loads(text), indent=2)
    return UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}" if ord(found[0]) < 0x10000 else json.dumps(found[0])[1:-1]
