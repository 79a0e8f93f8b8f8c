"""The checks log.* and live.probe: what the log holds, and what became of the requests that were sent while grading.

What the log says before the API server's last start belongs to an older configuration: it neither helps nor hurts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..evidence import Evidence, Missing, NotAFile
from ..kube.audit_log import EventClass, FullEvent, LogStatistics, is_of, log_names, normal_time, read_log, unpacked
from ..kube.audit_policy import Attributes, Level, evaluate
from ..node_picture import NodePicture, picture
from ..registry import outcome
from ..result import CheckResult, Status, Where
from ..wants import Wants

_UPSTREAM = (
    "policy.valid",
    "manifest.valid",
    "manifest.single",
    "flags.policy-file",
    "flags.log-path",
    "mounts.policy",
    "mounts.log",
    "apiserver.running",
)
_POD_LOGS = "/var/log/pods"


def log_written(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the log is on the node and holds a completed request since the API server's last start."""
    expected = f"{wants.log_file} holds events of completed requests"
    seen = picture(evidence, wants)
    statistics = _statistics(seen)
    if statistics is None:
        if not seen.facts and not seen.has_folder("/var/log"):
            return CheckResult(Status.SKIP, expected, "the files do not reach to /var/log", knowable=False)
        return _caused(expected, f"{wants.log_file} is not there", evidence, wants)
    completed = statistics.count(lambda kind: kind.completed)
    warnings = _warnings(statistics)
    where = Where(wants.log_file)
    if completed or statistics.legacy:
        found = f"{completed} completed requests since the API server started"
        return CheckResult(Status.PASS, expected, found, where, warnings=warnings)
    if not statistics.events:
        found = f"{wants.log_file} is empty" if not statistics.size else f"{wants.log_file} holds no audit event"
    elif statistics.older == statistics.events:
        found = f"all {statistics.events} events are from before the API server's last start"
    else:
        found = f"none of its {statistics.events - statistics.older} events is of the stage ResponseComplete"
    return _caused(expected, found, evidence, wants)


def log_metadata(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether a completed event of another resource is there since the last start."""
    body = wants.body_resource
    expected = f"the log holds completed events of resources other than {body}"
    written = outcome("log.written", evidence, wants)
    statistics = _statistics(picture(evidence, wants))
    if statistics is None or written.status is not Status.PASS:
        return _blocked(expected, written)
    number = statistics.completed_of_others(body, wants.body_group)
    where = Where(wants.log_file)
    if number:
        return CheckResult(Status.PASS, expected, f"{number} of them", where)
    fix = f"kubectl get pods -A; grep -c ResponseComplete {wants.log_file}"
    return CheckResult(Status.FAIL, expected, "none since the API server started", where, fix=fix)


def log_configmaps_body(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether every recorded write of the asked resource has its requestObject, and there is one at least."""
    resource, verbs = wants.body_resource, wants.body_verbs
    expected = f"the log holds writes of {resource}, each with its requestObject"
    written = outcome("log.written", evidence, wants)
    seen = picture(evidence, wants)
    statistics = _statistics(seen)
    if statistics is None or written.status is not Status.PASS:
        return _blocked(expected, written)

    def write(kind: EventClass) -> bool:
        return (
            kind.completed and kind.verb in verbs and not kind.subresource and is_of(kind, resource, wants.body_group)
        )

    def without(kind: EventClass) -> bool:
        # A request that was refused before it was decoded has no body to record: its level tells what was meant.
        return write(kind) and Level.parse(kind.level) < Level.REQUEST

    fix = f'kubectl create configmap seen --from-literal=a=b; grep \'"name":"seen"\' {wants.log_file} | tail -1'
    bad = statistics.first(without)
    if bad is not None:
        kind, line = bad
        found = f"a {kind.verb} of {resource} in {kind.namespace} is recorded at {kind.level}, without its body"
        return CheckResult(Status.FAIL, expected, found, Where(wants.log_file, line), fix=fix)
    good = statistics.count(lambda kind: write(kind) and kind.has_request_object)
    if good:
        return CheckResult(Status.PASS, expected, f"{good} writes, each with its body", Where(wants.log_file))
    probe = seen.facts.get("probe")
    if isinstance(probe, dict) and probe.get("requests"):
        found = f"{resource} were written while grading, and the log holds no write of one"
        return CheckResult(Status.FAIL, expected, found, Where(wants.log_file), fix=fix)
    return CheckResult(Status.SKIP, expected, f"nobody wrote {resource} since the API server started", knowable=False)


def live_probe(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the requests that were sent while grading are in the log as asked."""
    expected = "requests sent while grading are recorded as asked"
    seen = picture(evidence, wants)
    if not seen.facts:
        return CheckResult(Status.SKIP, expected, "files alone cannot be asked", knowable=False)
    if outcome("log.written", evidence, wants).status is not Status.PASS:
        return _blocked(expected, outcome("log.written", evidence, wants))
    probe = seen.facts.get("probe")
    if not isinstance(probe, dict) or probe.get("error") or not probe.get("requests"):
        running = outcome("apiserver.running", evidence, wants)
        if running.status is not Status.FAIL and not isinstance(seen.facts.get("apiserver"), dict):
            found = f"nobody could ask the API server: {seen.unknown('apiserver')}"
            return CheckResult(Status.SKIP, expected, found, knowable=False)
        if running.status is not Status.PASS:
            known = running.status is not Status.ERROR
            found = "apiserver.running has to pass first"
            return CheckResult(Status.SKIP, expected, found, fix=running.fix, knowable=known)
        said = probe.get("error") if isinstance(probe, dict) else "no request could be sent"
        return CheckResult(Status.ERROR, expected, str(said), fix="grade again; if it stays: cks-lab doctor")
    statistics = _statistics(seen)
    assert statistics is not None
    events: dict[str, list[FullEvent]] = {}
    for event in statistics.found:
        events.setdefault(event.auditID, []).append(event)
    for request in probe["requests"]:
        recorded = events.get(str(request.get("audit_id")), [])
        problem = _probe_problem(request, recorded, wants) or _stale(request, recorded, seen)
        if problem:
            shown = f"grep {request.get('audit_id')} {wants.log_file}"
            result = CheckResult(Status.FAIL, expected, problem, Where(wants.log_file), fix=shown)
            return _unless_blocked(result, evidence, wants)
    found = f"all {len(probe['requests'])} of them"
    return CheckResult(Status.PASS, expected, found, Where(wants.log_file), warnings=_edited_since(seen))


def _attributes(request: Mapping[str, Any], event: FullEvent | None = None) -> Attributes:
    """Return what a policy sees of a request that was sent, by whom the log says, else by the administrator."""
    return Attributes(
        user=event.user.username if event else "kubernetes-admin",
        groups=event.user.groups if event else ("kubeadm:cluster-admins", "system:authenticated"),
        verb=str(request.get("verb")),
        group=str(request.get("group")),
        resource=str(request.get("resource")),
        namespace=str(request.get("namespace")),
        name="" if request.get("verb") == "create" else str(request.get("name")),
    )


def _what(attributes: Attributes) -> str:
    """Name a request that was sent while grading."""
    place = f" in {attributes.namespace}" if attributes.namespace else ""
    return f"the {attributes.verb} of {attributes.resource}{place} that was sent just now"


def _probe_problem(request: Mapping[str, Any], recorded: Sequence[FullEvent], wants: Wants) -> str | None:
    """Return what is wrong with the record of one request that was sent, None where it is as asked."""
    event = next((event for event in recorded if event.stage == "ResponseComplete"), None)
    attributes = _attributes(request, event)
    least = Level.NONE
    for wishes in wants.wishes.values():
        wish = next((wish for wish in wishes if wish.select.matches(attributes)), None)
        if wish is not None and wish.least is not None:
            least = max(least, wish.least)
    if least is Level.NONE:
        return None
    if event is None:
        return f"{_what(attributes)} is not in the log"
    if Level.parse(event.level) < least:
        return f"{_what(attributes)} is recorded at {event.level}, {least} is asked"
    has_body = request.get("verb") in ("create", "update", "patch")
    if least >= Level.REQUEST and has_body and not event.has_request_object:
        return f"{_what(attributes)} is recorded without its body"
    return None


def _stale(request: Mapping[str, Any], recorded: Sequence[FullEvent], seen: NodePicture) -> str | None:
    """Return what shows that the running API server has loaded another policy than the file holds now."""
    policy = seen.policy_file.policy
    if policy is None or not recorded:
        return None
    attributes = _attributes(request, recorded[0])
    decision = evaluate(policy, attributes)
    again = "the API server has loaded an older policy: it reads the file only when it starts"
    wrong = next((event for event in recorded if event.level != str(decision.level)), None)
    if wrong is not None:
        return f"{_what(attributes)} is recorded at {wrong.level}, the policy says {decision.level}: {again}"
    received = any(event.stage == "RequestReceived" for event in recorded)
    if received != ("RequestReceived" in decision.stages):
        does = "has" if received else "lacks"
        return f"{_what(attributes)} {does} the stage RequestReceived, against the policy: {again}"
    return None


def _edited_since(seen: NodePicture) -> tuple[str, ...]:
    """Return a warning where the policy was saved after the API server had started: nobody can see what it loaded."""
    start = started(seen)
    path = seen.wants.policy_file
    if start is None:
        return ()
    try:
        saved = datetime.fromtimestamp(seen.evidence.files.stat(path).mtime // 1_000_000_000, UTC)
    except (Missing, NotAFile, ValueError, OverflowError):
        return ()
    moment = normal_time(start)
    if moment is None or saved.strftime("%Y-%m-%dT%H:%M:%S") <= moment[:19]:
        return ()
    return (f"{path} was saved after the API server started; it reads the policy only then: restart it to be sure",)


def _statistics(seen: NodePicture) -> LogStatistics | None:
    """Read the log and the rotated ones beside it, once; None where there is none. Raises Unreadable."""
    kept = seen.evidence.memo.get(LogStatistics)
    if kept is None:
        kept = seen.evidence.memo[LogStatistics] = (_read(seen),)
    found = kept[0]
    return found if isinstance(found, LogStatistics) else None


def _read(seen: NodePicture) -> LogStatistics | None:
    path = seen.wants.log_file
    folder, _, name = path.rpartition("/")
    files = seen.evidence.files
    try:
        names = log_names(files.list(folder), name)
    except (Missing, NotAFile):
        return None
    if not names:
        return None

    def chunks() -> Iterator[bytes]:
        for each in names:
            try:
                yield from unpacked(files.stream(f"{folder}/{each}"))
            except (Missing, NotAFile):
                # A dangling link, a folder in the place of the log: nothing is written there.
                continue

    probe = seen.facts.get("probe")
    nonce = str(probe.get("nonce")) if isinstance(probe, dict) else ""
    return read_log(chunks(), started(seen), (f"cks-lab-{nonce}-",) if nonce else ())


def started(seen: NodePicture) -> str | None:
    """Return when the API server was last started (RFC 3339): by its container, else by the kubelet's log of it."""
    containers = seen.facts.get("containers")
    if isinstance(containers, list):
        times = [str(c["started"]) for c in containers if isinstance(c, dict) and c.get("started")]
        return max(times, default=None)
    files = seen.evidence.files
    times = []
    try:
        for pod in files.list(_POD_LOGS):
            if "kube-apiserver" not in pod:
                continue
            for container in files.list(f"{_POD_LOGS}/{pod}"):
                for log in files.list(f"{_POD_LOGS}/{pod}/{container}"):
                    first = files.read(f"{_POD_LOGS}/{pod}/{container}/{log}", 64).split(b" ", 1)[0]
                    times.append(first.decode("ascii", "replace"))
    except (Missing, NotAFile):
        return None
    return max((time for time in times if time[:2] == "20"), default=None)


def _warnings(statistics: LogStatistics) -> tuple[str, ...]:
    found = []
    if statistics.legacy:
        found.append(f"{statistics.legacy} lines are in the legacy format, which holds no bodies")
    if statistics.broken:
        found.append(f"{statistics.broken} lines are no audit events; the first is line {statistics.first_broken}")
    return tuple(found)


def _caused(expected: str, found: str, evidence: Evidence, wants: Wants) -> CheckResult:
    fix = f"ls -l {wants.log_file.rpartition('/')[0]}; crictl ps -a"
    return _unless_blocked(CheckResult(Status.FAIL, expected, found, Where(wants.log_file), fix=fix), evidence, wants)


def _unless_blocked(result: CheckResult, evidence: Evidence, wants: Wants) -> CheckResult:
    """Return a failure as it is, or as a skip where another check's failure explains it."""
    for check_id in _UPSTREAM:
        if outcome(check_id, evidence, wants).status is Status.FAIL:
            fix = f"mend {check_id}, then grade again"
            return CheckResult(Status.SKIP, result.expected, result.found, result.where, fix=fix)
    return result


def _blocked(expected: str, written: CheckResult) -> CheckResult:
    fix = "mend log.written, then grade again" if written.status is Status.FAIL else written.fix
    return CheckResult(Status.SKIP, expected, "log.written has to pass first", fix=fix, knowable=written.knowable)
