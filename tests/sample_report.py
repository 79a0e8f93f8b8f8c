"""A report with a check in every state, for the tests of what is made from reports."""

from __future__ import annotations

from checkers.grade import Line, NodeName, Report
from checkers.result import CheckResult, Status, Where

POLICY = "/etc/kubernetes/audit/policy.yaml"


def sample() -> Report:
    """Return a failed report: 7 of 14 points."""
    lines = (
        Line(
            "policy.valid",
            "The policy is where the task says and loads",
            1,
            1,
            CheckResult(
                Status.PASS,
                "a policy that loads",
                "it loads",
                Where(POLICY),
                why="An API server that cannot load its policy does not start.",
                warnings=('unknown field "rules[0].resource"',),
            ),
        ),
        Line(
            "policy.configmaps-body",
            "Writes to configmaps are recorded with their body",
            0,
            3,
            CheckResult(
                Status.FAIL,
                "Request or above",
                "create configmaps in namespace default by anyone: Metadata, by rule 1",
                Where(POLICY, 9, "rules[1]"),
                why="Without the body the log says that a configmap changed, and not into what.",
                fix="put the configmaps rule before the catch-all; see it with:\n"
                "  kubectl create configmap probe --from-literal=a=b",
            ),
        ),
        Line(
            "log.written",
            "The log is on the node",
            0,
            1,
            CheckResult(Status.SKIP, "a log with events", "blocked by policy.valid", why="No log, no proof."),
        ),
        Line(
            "live.probe",
            "Requests sent just now",
            0,
            0,
            CheckResult(Status.SKIP, "they are recorded", "nobody runs here", knowable=False),
        ),
        Line(
            "apiserver.running",
            "The API server runs as the manifest says",
            0,
            0,
            CheckResult(Status.ERROR, "crictl answers", "no answer from crictl", fix="cks-lab doctor"),
        ),
        Line(
            "policy.metadata-everywhere",
            "Every request for a resource is recorded",
            6,
            9,
            CheckResult(Status.PASS, "Metadata or above", "Metadata or above for all 812 classes of requests"),
        ),
    )
    return Report(
        version="0.1.0",
        scenario="audit-log",
        variant={"seed": None},
        node=NodeName("sandbox", "cks-control-plane", "lite v1.34"),
        lines=lines,
        started="2026-11-23T10:00:00.000000Z",
        finished="2026-11-23T10:00:01.000000Z",
    )
