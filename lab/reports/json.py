"""The report for scripts: schema cks-lab/report/v1, the same bytes for the same evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from . import PLAIN, Style

if TYPE_CHECKING:
    from checkers.grade import Report


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the report as JSON, two spaces deep."""
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=not style.symbols) + "\n"
