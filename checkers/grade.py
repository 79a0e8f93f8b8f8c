"""Runs the checks of a task over one piece of evidence and adds up the points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from checkers.evidence import Evidence, Unreadable
from checkers.kube.goyaml.nodes import TooBig
from checkers.registry import outcome
from checkers.result import CheckResult, Status
from checkers.wants import Scored, Wants

SCHEMA = "cks-lab/report/v1"


@dataclass(frozen=True, slots=True)
class NodeName:
    """Which node was graded: the driver (or `directory`, `bundle` …), its name, its API server (None: unknown)."""

    driver: str
    name: str
    apiserver: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A check's result with its points, as the report shows it."""

    id: str
    title: str
    points: int
    possible: int
    result: CheckResult


@dataclass(frozen=True, slots=True)
class Report:
    """A grade: the checks in the task's order. `started`, `finished`: the capture's, RFC 3339 in UTC."""

    version: str
    scenario: str
    variant: Mapping[str, object]
    node: NodeName
    lines: tuple[Line, ...]
    started: str | None
    finished: str | None

    @property
    def points(self) -> int:
        return sum(line.points for line in self.lines)

    @property
    def possible(self) -> int:
        return sum(line.possible for line in self.lines)

    @property
    def percent(self) -> int:
        """Whole percent, rounded down, so that 100 means everything."""
        return 100 * self.points // self.possible if self.possible else 0

    @property
    def verdict(self) -> Status:
        """FAIL if any check failed; else ERROR if any erred or nothing was judged; else PASS."""
        statuses = {line.result.status for line in self.lines}
        if Status.FAIL in statuses:
            return Status.FAIL
        if Status.ERROR in statuses or Status.PASS not in statuses:
            return Status.ERROR
        return Status.PASS

    def to_dict(self) -> dict[str, Any]:
        """Return the report in the form that scripts rely on (schema cks-lab/report/v1)."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "scenario": self.scenario,
            "variant": dict(self.variant),
            "node": asdict(self.node),
            "verdict": str(self.verdict),
            "score": {"points": self.points, "possible": self.possible, "percent": self.percent},
            "checks": [
                {
                    "id": line.id,
                    "title": line.title,
                    "status": str(line.result.status),
                    "points": line.points,
                    "possible": line.possible,
                    "expected": line.result.expected,
                    "found": line.result.found,
                    "where": asdict(line.result.where) if line.result.where else None,
                    "why": line.result.why,
                    "fix": line.result.fix,
                    "warnings": list(line.result.warnings),
                }
                for line in self.lines
            ],
            "started": self.started,
            "finished": self.finished,
        }


def grade(
    evidence: Evidence,
    checks: Sequence[Scored],
    wants: Wants,
    *,
    version: str,
    scenario: str,
    node: NodeName,
    started: str | None,
    finished: str | None,
) -> Report:
    """Judge the evidence by each check of the task, in the task's order."""
    results = {scored.id: _run(scored, evidence, wants) for scored in checks}
    passed = {check_id for check_id, result in results.items() if result.status is Status.PASS}
    return Report(
        version=version,
        scenario=scenario,
        variant=wants.variant,
        node=node,
        lines=tuple(_line(scored, results[scored.id], passed) for scored in checks),
        started=started,
        finished=finished,
    )


def _run(scored: Scored, evidence: Evidence, wants: Wants) -> CheckResult:
    try:
        result = outcome(scored.id, evidence, wants)
    except (Unreadable, TooBig) as error:
        return CheckResult(
            Status.ERROR,
            expected="the node can be looked at",
            found=str(error),
            fix="grade again; if it stays, run: cks-lab doctor",
        )
    return result if result.why else replace(result, why=scored.why)


def _line(scored: Scored, result: CheckResult, passed: set[str]) -> Line:
    counts = result.status in (Status.PASS, Status.FAIL) or (result.status is Status.SKIP and result.knowable)
    earned = result.status is Status.PASS and (not scored.needs or bool(passed.intersection(scored.needs)))
    return Line(scored.id, scored.title, scored.points if earned else 0, scored.points if counts else 0, result)
