"""Owns what one check says: its status, and what was expected, found, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended. ERROR is the examiner's failure to look and never costs the candidate."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Where:
    """The place that a result speaks of: a file on the node, its line (1-based), the field's path in it."""

    file: str
    line: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found.

    `knowable` is False where nobody could know the answer from this evidence (`live.probe` for a directory):
    such a skip has no possible points. A skip because another check failed stays knowable and scores 0.
    """

    status: Status
    expected: str
    found: str
    where: Where | None = None
    why: str = ""
    fix: str = ""
    warnings: tuple[str, ...] = ()
    knowable: bool = True


def blocked(expected: str, by: str, found: str = "") -> CheckResult:
    """Return the skip of a check that another one's failure explains; its points are not earned."""
    return CheckResult(Status.SKIP, expected, found or f"{by} has to pass first", fix=f"mend {by}, then grade again")
