"""Reads a report back from the form that `to_dict` gave it, as the record of attempts keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.grade import Line, NodeName, Report
from checkers.result import CheckResult, Status, Where


def report_of(kept: Mapping[str, Any]) -> Report:
    """Return the report. Whether a skipped check could be known is told by its possible points."""
    return Report(
        version=kept["version"],
        scenario=kept["scenario"],
        variant=kept["variant"],
        node=NodeName(**kept["node"]),
        lines=tuple(_line(check) for check in kept["checks"]),
        started=kept["started"],
        finished=kept["finished"],
    )


def _line(check: Mapping[str, Any]) -> Line:
    status = Status(check["status"])
    result = CheckResult(
        status=status,
        expected=check["expected"],
        found=check["found"],
        where=Where(**check["where"]) if check["where"] else None,
        why=check["why"],
        fix=check["fix"],
        warnings=tuple(check["warnings"]),
        knowable=status is not Status.SKIP or check["possible"] > 0,
    )
    return Line(check["id"], check["title"], check["points"], check["possible"], result)
