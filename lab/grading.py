"""Puts evidence, scenario and judge together. The only place that knows all three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checkers.evidence import Evidence
from checkers.grade import NodeName, Report, grade

from . import __version__
from .catalog import Scenario, load
from .errors import LabError
from .evidence.bundle import Bundle
from .evidence.capture import rfc3339, utcnow
from .evidence.directory import DirectoryFiles

LITE_SUFFIX = "-lite"


def grade_bundle(path: Path, scenario_id: str | None = None) -> Report:
    """Grade a bundle by the scenario that it names, or, for a bare tar, by the one given.

    The same bundle gives the same report: nothing but its content is looked at. Raises LabError.
    """
    bundle = Bundle.load(path)
    facts = bundle.facts
    named = facts.get("scenario")
    if scenario_id and named and named != scenario_id:
        raise LabError(f"{path} is of the task {named!r}, not {scenario_id!r}", f"cks-lab grade --bundle {path}")
    if not (named or scenario_id):
        raise LabError(f"{path} does not say which task it is of", f"cks-lab grade audit-log --bundle {path}")
    seed = _mapping(facts.get("variant")).get("seed")
    scenario = load(str(named or scenario_id), seed if isinstance(seed, int) else None)
    node = _mapping(facts.get("node"))
    made = node.get("apiserver")
    newest = rfc3339(datetime.fromtimestamp(bundle.newest / 1e9, UTC))
    # A server that is down cannot say what it is.
    server = apiserver(facts) or (made if isinstance(made, str) else None)
    return _report(
        scenario,
        Evidence(bundle.files, facts),
        NodeName(str(node.get("driver") or "bundle"), str(node.get("name") or path.name), server),
        str(facts.get("started") or newest),
        str(facts.get("finished") or newest),
    )


def grade_directory(
    root: Path, scenario_id: str, seed: int | None = None, *, now: Callable[[], datetime] = utcnow
) -> Report:
    """Grade a directory that holds a node's files (etc/kubernetes/…) by a scenario. Raises LabError."""
    started = rfc3339(now())
    evidence = Evidence(DirectoryFiles(root))
    report = _report(load(scenario_id, seed), evidence, NodeName("directory", str(root)), started, None)
    return Report(report.version, report.scenario, report.variant, report.node, report.lines, started, rfc3339(now()))


def apiserver(facts: Mapping[str, Any]) -> str | None:
    """Return the API server as reports name it: `v1.34.4`, or `lite v1.34`, or None where it is not known."""
    version = _mapping(facts.get("apiserver")).get("version")
    if not isinstance(version, str):
        return None
    if version.endswith(LITE_SUFFIX):
        return "lite " + ".".join(version.removesuffix(LITE_SUFFIX).split(".")[:2])
    return version


def _report(scenario: Scenario, evidence: Evidence, node: NodeName, started: str, finished: str | None) -> Report:
    return grade(
        evidence,
        scenario.checks,
        scenario.wants,
        version=__version__,
        scenario=scenario.id,
        node=node,
        started=started,
        finished=finished,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
