"""A session without nodes, drivers or a store: what it has and says is set by the test, down to the time of day.

It has the methods of lab.session.Session that the screens use, with the same shapes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from checkers.evidence import FileKind, FileStat, Missing, NotAFile, Unreadable
from checkers.grade import Line, NodeName, Report
from checkers.result import CheckResult, Status, Where
from checkers.wants import Scored, Wants
from lab.attempts import AttemptRow
from lab.drivers.base import ApiResponse, DriverInfo, Lab, Step
from lab.errors import LabError
from lab.procs import Completed
from lab.session import Graded, Hint

NOW = datetime(2026, 11, 24, 9, 30, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=7, seconds=41)
POLICY_FILE = "/etc/kubernetes/audit/policy.yaml"
LOG_FILE = "/var/log/audit/audit.log"

POLICY = b"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
  - RequestReceived
rules:
  - level: Metadata
  - level: Request
    resources:
      - group: ""
        resources: ["configmaps"]
"""

TASK = """# Audit logs

There is a policy at `/etc/kubernetes/audit/policy.yaml`. Extend it so that audit logs contain **metadata for all
resources** and, in addition, the **request body for configmaps**.

Configure the kube-apiserver to use it and to write to `/var/log/audit/audit.log`.
"""

CHECKS = (
    Scored("policy.valid", "The policy is where the task says and loads", 1),
    Scored("policy.metadata-everywhere", "Every request for a resource is recorded", 3),
    Scored("policy.configmaps-body", "Writes to configmaps are recorded with their body", 3),
    Scored("flags.policy-file", "The API server is told to use the policy", 1),
    Scored("mounts.log", "The log of the container lies on the node", 1),
    Scored("live.probe", "Requests sent just now are recorded as asked", 2),
)


@dataclass(frozen=True)
class FakeScenario:
    """What the screens read of a scenario."""

    id: str = "audit-log"
    title: str = "Audit logs"
    minutes: int = 10
    points: int = 11
    task: str = TASK
    checks: tuple[Scored, ...] = CHECKS
    wants: Wants = field(default_factory=lambda: Wants(POLICY_FILE, LOG_FILE, {}))


def report(*, perfect: bool = False) -> Report:
    """Return the grade of the widely published wrong answer; `perfect`: of the right one."""
    wrong = {
        "policy.configmaps-body": CheckResult(
            Status.FAIL,
            expected="create configmaps is recorded at Request or above",
            found="Metadata, by rule 0 (line 6): `- level: Metadata` matches every request first",
            where=Where(POLICY_FILE, 6, "rules[0]"),
            why="Without the body the log says that a configmap changed, and not into what.",
            fix="Put the rule for configmaps above the rule for everything.\n"
            "See it: kubectl create configmap seen --from-literal=a=b && tail -1 /var/log/audit/audit.log",
        ),
        "mounts.log": CheckResult(
            Status.FAIL,
            expected="/var/log/audit of the node is mounted into the container, writable",
            found="no volume is mounted there",
            where=Where("/etc/kubernetes/manifests/kube-apiserver.yaml", 61, "spec.containers[0].volumeMounts"),
            why="What a container writes outside its mounts is gone with the container.",
            fix="Add a hostPath volume for /var/log/audit and a volumeMounts entry with the same name.",
        ),
        "live.probe": CheckResult(Status.SKIP, expected="requests are recorded", found="the log is not on the node"),
    }
    lines = []
    for check in CHECKS:
        result = CheckResult(Status.PASS, expected="as asked", found="as asked", why="It is what the task asks for.")
        if not perfect:
            result = wrong.get(check.id, result)
        earned = check.points if result.status is Status.PASS else 0
        lines.append(Line(check.id, check.title, earned, check.points, result))
    node = NodeName("sandbox", "cks-control-plane", "lite v1.34")
    return Report("0.1.0", "audit-log", {"seed": None}, node, tuple(lines), None, None)


def event(number: int, resource: str = "pods", verb: str = "get", level: str = "Metadata", **more: Any) -> bytes:
    """Return one line of an audit log."""
    stamp = (NOW + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    content = {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": level, "auditID": f"id-{number}",
        "stage": "ResponseComplete", "requestURI": f"/api/v1/namespaces/default/{resource}/x", "verb": verb,
        "user": {"username": "kubernetes-admin", "groups": ["kubeadm:cluster-admins", "system:authenticated"]},
        "objectRef": {"resource": resource, "namespace": "default", "name": f"x{number}", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200}, "stageTimestamp": stamp, **more,
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":")).encode()


class FakeFiles:
    """Files by path, in memory; `broken` holds paths that cannot be read, and why."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {POLICY_FILE: POLICY}
        self.content["/etc/kubernetes/manifests/kube-apiserver.yaml"] = b"kind: Pod\n" * 70
        self.broken: dict[str, str] = {}
        self.changes = 0
        self.gone: LabError | None = None

    def write(self, path: str, content: bytes) -> None:
        """Save a file."""
        self.changes += 1
        self.content[path] = content

    def read(self, path: str, limit: int = 10 << 20) -> bytes:
        self.stat(path)
        return self.content[path][:limit]

    def stat(self, path: str) -> FileStat:
        if self.gone is not None:
            raise self.gone
        if path in self.broken:
            raise Unreadable(path, self.broken[path])
        if path not in self.content:
            raise Missing(path)
        return FileStat(FileKind.FILE, 0o644, 0, 0, len(self.content[path]), self.changes)

    def list(self, path: str) -> list[str]:
        raise NotAFile(path, FileKind.FILE)

    def stream(self, path: str) -> Iterator[bytes]:
        yield self.read(path)


class FakeNode:
    """A node of files in memory. Its shell is a program that shows a prompt and repeats what is typed."""

    name = "cks-control-plane"

    def __init__(self) -> None:
        self.files = FakeFiles()
        self.api: FakeNode | None = self
        self.containers = [container()]
        self.last_words = ""
        self.kubelet = ""
        self.answers = True
        self.crictl_works = True
        self.inode = 1
        self.shell = ["sh", "-c", "printf 'root@cks-control-plane:~# '; exec cat"]

    def shell_argv(self) -> list[str]:
        if self.files.gone is not None:
            raise self.files.gone
        return self.shell

    def request(self, method: str, path: str, **_: Any) -> ApiResponse:
        if not self.answers:
            raise LabError("the API server does not answer")
        return ApiResponse(200, {}, b"ok")

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> Completed:
        if self.files.gone is not None:
            raise self.files.gone
        out = b""
        if argv[0] == "sh":
            path, start, limit = argv[4], int(argv[5]), int(argv[6])
            out = f"{self.inode}\n".encode() + self.files.content[path][start - 1 :][:limit]
        elif argv[0] == "crictl" and not self.crictl_works:
            return Completed(tuple(argv), 1, b"", b"validate service connection: connection refused\n")
        elif argv[:2] == ["crictl", "ps"]:
            out = json.dumps({"containers": self.containers}).encode()
        elif argv[:2] == ["crictl", "logs"]:
            out = self.last_words.encode()
        elif argv[0] == "journalctl":
            out = self.kubelet.encode()
        return Completed(tuple(argv), 0, out, b"")


def container(state: str = "CONTAINER_RUNNING", attempt: int = 0, id: str = "4f1c") -> dict[str, Any]:
    """Return the API server's container as crictl lists it."""
    meta = {"name": "kube-apiserver", "attempt": attempt}
    return {"id": f"{id}{attempt}", "metadata": meta, "state": state, "createdAt": str(10**18 + attempt)}


def lab(name: str = "audit-log", **more: Any) -> Lab:
    """Return a running lab."""
    made = Lab(name, "sandbox", "audit-log", None, "cks-control-plane", "lite v1.34", "running", STARTED)
    return replace(made, **more)


def attempt(percent: int, **more: Any) -> AttemptRow:
    """Return an attempt that reached so many percent."""
    fields: dict[str, Any] = {
        "id": 1, "lab": "audit-log", "driver": "sandbox", "scenario": "audit-log", "seed": None, "started": STARTED,
        "ended": None, "gradings": 1, "verdict": "fail", "graded": NOW, "points": 4, "possible": 11,
        "percent": percent, "hints": 0, "solution": False, "resets": 0, **more,
    }  # fmt: skip
    return AttemptRow(**fields)


class FakeSession:
    """What a test makes of it."""

    def __init__(self, labs: Sequence[Lab] = ()) -> None:
        self._labs = list(labs)
        self.unreachable: dict[str, str] = {}
        self.unrecorded: list[str] = []
        self.rows: list[AttemptRow] = []
        self.the_node = FakeNode()
        self.steps = [
            Step(1, 4, "Making the node", "namespaces and files"),
            Step(2, 4, "Laying the task's files"),
            Step(3, 4, "Starting the kubelet"),
            Step(4, 4, "Waiting for the API server"),
        ]
        self.start_error: Exception | None = None
        self.grade_error: Exception | None = None
        self.choose_error: LabError | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.stopped: list[str] = []
        self.resets = 0
        self.solutions = 0
        self.hints = ("The API server is a static pod.", "The first rule that matches decides.", "Mount both.")
        self.taken = 0
        self.report: Report | None = None
        self.next_report = report()
        self.driver = ("sandbox", "namespaces of this machine, no Docker needed")

    def scenarios(self) -> list[Any]:
        return [FakeScenario()]

    def scenario(self, scenario_id: str, seed: int | None = None) -> Any:
        return FakeScenario()

    def probes(self) -> list[DriverInfo]:
        return [
            DriverInfo("kind", False, "there is no kind on the PATH", "https://kind.sigs.k8s.io/"),
            DriverInfo("sandbox", True, self.driver[1]),
        ]

    def choose(self, on: str = "auto") -> tuple[str, str]:
        if self.choose_error is not None:
            raise self.choose_error
        return self.driver

    def labs(self) -> list[Lab]:
        return list(self._labs)

    def node(self, lab: Lab) -> FakeNode:
        return self.the_node

    def start(self, scenario_id: str, *, progress: Callable[[Step], None], **_: Any) -> Lab:
        for step in self.steps:
            progress(step)
            if step.number == 3:
                self.hold.wait(20)
                progress(step)
        if self.start_error is not None:
            raise self.start_error
        self._labs = [lab()]
        return self._labs[0]

    def stop(self, lab: Lab) -> None:
        self.stopped.append(lab.name)
        self._labs = [other for other in self._labs if other.name != lab.name]

    def reset(self, lab: Lab, progress: Callable[[Step], None]) -> Path:
        progress(Step(1, 2, "Keeping a copy of your files"))
        self.resets += 1
        return Path("/home/me/.local/share/cks-lab/backups/audit-log-1")

    def grade(self, lab: Lab, *, progress: Callable[[Step], None]) -> Graded:
        progress(Step(1, 3, "Waiting for the API server to settle"))
        self.hold.wait(20)
        if self.grade_error is not None:
            raise self.grade_error
        self.report = self.next_report
        return Graded(self.report, None, 1)

    def hints_seen(self, lab: Lab) -> list[Hint]:
        return [Hint(n + 1, len(self.hints), text) for n, text in enumerate(self.hints[: self.taken])]

    def next_hint(self, lab: Lab) -> Hint | None:
        if self.taken >= len(self.hints):
            return None
        self.taken += 1
        return Hint(self.taken, len(self.hints), self.hints[self.taken - 1])

    def solution(self, lab: Lab) -> str:
        self.solutions += 1
        return "**1. The policy.** The rule for configmaps goes first.\n\n```yaml\n- level: Request\n```\n"

    def history(self) -> list[AttemptRow]:
        return self.rows

    def last_report(self, lab: Lab) -> Report | None:
        return self.report
