"""Reports for the tests of what is made from them: a check in every state, all passed, all wrong, and hostile ones."""

from __future__ import annotations

from checkers.grade import Line, NodeName, Report
from checkers.result import CheckResult, Status, Where
from lab.reports import Entry

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


MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> ]]> --> {{ 7*7 }} {% raw %} &amp; \x1b]0;title\x07\x1b[2J\x9b31m"
    "\x00\x08\x7f \u202eright to left\u2066 zero\u200bwidth \u2028 \ufeff \uffff \udc80 \U000e0041 @octocat #1 `code` ```` | a | \r\n"
    '::error file=/etc/passwd::forged\n##[error]forged\n=HYPERLINK("http://evil.example","x")\n# heading\n\n</summary></details>'
    "<h1>out</h1>\n```\n[link](http://evil.example) http://evil.example www.evil.example Zoë 日本語 é; =1+1"
)


def passing() -> Report:
    """Return a report of everything proven."""
    return _report(
        Line("policy.valid", "The policy loads", 1, 1, CheckResult(Status.PASS, "it loads", "it loads, with 2 rules")),
        Line("log.written", "The log is there", 2, 2, CheckResult(Status.PASS, "events", "12 completed requests")),
        apiserver="v1.34.4",
        seed=7,
    )


def erring() -> Report:
    """Return a report of a node that could not be looked at, with one skip behind."""
    return _report(
        Line(
            "policy.valid",
            "The policy loads",
            0,
            0,
            CheckResult(
                Status.ERROR, "the node can be looked at", "/etc/kubernetes: permission denied", fix="sudo cks-lab"
            ),
        ),
        Line(
            "log.written",
            "The log is there",
            0,
            2,
            CheckResult(Status.SKIP, "events", "policy.valid has to pass first"),
        ),
    )


def hostile() -> Report:
    """Return a report whose every free text is hostile, one of them very long."""
    where = Where(f"/etc/{HOSTILE}", 3, HOSTILE)
    long = "x" * 5_000 + " " + "word " * 1_000
    return _report(
        Line("policy.valid", "The policy loads", 0, 1, CheckResult(Status.FAIL, HOSTILE, HOSTILE, where, fix=HOSTILE)),
        Line("log.written", "The log is there", 0, 0, CheckResult(Status.ERROR, HOSTILE, HOSTILE, warnings=(HOSTILE,))),
        Line("live.probe", "It answers", 0, 2, CheckResult(Status.SKIP, "", HOSTILE)),
        Line("mounts.log", "It is mounted", 1, 1, CheckResult(Status.PASS, long, long, warnings=(long, HOSTILE))),
        name=HOSTILE,
        apiserver=HOSTILE,
        started=HOSTILE,
    )


def _report(
    *lines: Line,
    name: str = "cks-control-plane",
    apiserver: str | None = None,
    seed: int | None = None,
    started: str = "",
) -> Report:
    begun = started or "2026-11-23T10:00:00.000000Z"
    node = NodeName("directory" if apiserver is None else "bundle", name, apiserver)
    return Report("0.1.0", "audit-log", {"seed": seed}, node, lines, begun, "2026-11-23T10:00:01.500000Z")


SAMPLES = {"mixed": sample, "passing": passing, "erring": erring, "hostile": hostile}


def several() -> list[Entry]:
    """Return bundles as a class hands them in: one broken, one with a name that is an attack."""
    return [
        Entry("class/anna.tar.gz", passing()),
        Entry("class/ben.tar.gz", sample()),
        Entry(
            "class/carl.tar.gz",
            None,
            "class/carl.tar.gz is not a bundle: it ends in the middle",
            "cks-lab collect -o FILE",
        ),
        Entry(f"class/{HOSTILE}.tar.gz", hostile()),
        Entry("=cmd|' /C calc'!A0", None, HOSTILE, HOSTILE),
    ]
