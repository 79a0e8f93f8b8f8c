"""Nodes as directories: kubeadm's manifests with an answer laid over them, and a log where one is wanted."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from checkers.grade import Report
from checkers.result import Status
from lab.catalog import Scenario, load
from lab.drivers.sandbox.manifests import make
from lab.grading import grade_directory
from lab.overlay import MANIFEST, Overlay

POLICY = "etc/kubernetes/audit/policy.yaml"
LOG = "var/log/audit/audit.log"
NAME = "cks-control-plane"


def audit_log() -> Scenario:
    """Return the first task."""
    return load("audit-log")


def lay(root: Path, answer: Overlay) -> Path:
    """Make a node's files under a directory, with an answer laid over them."""
    for path, file in make(NAME, "172.30.0.2").items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.content if isinstance(file.content, str) else file.content.decode())
    (root / "var/log").mkdir(parents=True, exist_ok=True)
    original = (root / MANIFEST.lstrip("/")).read_text()
    with tarfile.open(fileobj=io.BytesIO(answer.tar(original))) as tar:
        tar.extractall(root, filter="data")
    return root


def event(
    verb: str, resource: str, level: str, *, body: bool = False, stage: str = "ResponseComplete", **more: object
) -> str:
    """Return one line of an audit log."""
    reference = {"resource": resource, "namespace": "default", "name": "x", "apiVersion": "v1"}
    line: dict[str, object] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level,
        "auditID": "a",
        "stage": stage,
        "requestURI": f"/api/v1/namespaces/default/{resource}/x",
        "verb": verb,
        "user": {"username": "kubernetes-admin", "groups": ["system:authenticated"]},
        "objectRef": reference,
        "responseStatus": {"metadata": {}, "code": 200},
    }
    if body:
        line["requestObject"] = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "b"}}
    line |= {"requestReceivedTimestamp": "2026-11-23T02:26:42.934150Z", "stageTimestamp": "2026-11-23T02:26:42.934150Z"}
    return json.dumps(line | more, separators=(",", ":"))


GOOD_LOG = (event("create", "configmaps", "Request", body=True), event("get", "pods", "Metadata"))


def write_log(root: Path, lines: Iterable[str] = GOOD_LOG) -> Path:
    """Write the node's log."""
    (root / LOG).parent.mkdir(parents=True, exist_ok=True)
    (root / LOG).write_text("".join(line + "\n" for line in lines))
    return root


def grade(root: Path) -> Report:
    """Grade the directory."""
    return grade_directory(root, "audit-log")


def of(report: Report, status: Status = Status.FAIL) -> list[str]:
    """Return the ids of one status, in the task's order."""
    return [line.id for line in report.lines if line.result.status is status]


def told(report: Report) -> str:
    """Return the report for a failing assertion."""
    return "\n".join(f"{line.id} {line.result.status}: {line.result.found}" for line in report.lines)
