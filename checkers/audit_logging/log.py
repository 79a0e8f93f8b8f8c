"""The checks log.* and live.probe: what the log holds, and what became of the requests that were sent while grading.

What the log says before the API server's last start belongs to an older configuration: it neither helps nor hurts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from checkers.evidence import Evidence, Missing, NotAFile
from checkers.kube.audit_log import (
    EventClass,
    FullEvent,
    LogStatistics,
    is_of,
    log_names,
    normal_time,
    read_logs,
    unpacked,
)
from checkers.kube.audit_policy import Attributes, Level, evaluate
from checkers.kube.logs.files import rotated_at
from checkers.node_picture import NodePicture, picture
from checkers.registry import outcome
from checkers.result import CheckResult, Status, Where
from checkers.wants import Wants

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


@dataclass(frozen=True, slots=True)
class _Log:
    """A log and the rotated ones beside it: their paths, the oldest first, what is in them, and what is no longer.

    `damaged` says of each gzip that is not whole what is wrong with it; `lost` is the first of them that can have held
    events from after the API server's last start.
    """

    paths: tuple[str, ...]
    statistics: LogStatistics
    damaged: Mapping[str, str]
    lost: str | None

    def where(self, line: int) -> Where:
        """Return the place of a line; lines are counted through all files."""
        index, number = self.statistics.place(line)
        return Where(self.paths[index], number)


def log_written(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether the log is on the node and holds a completed request since the API server's last start."""
    expected = f"{wants.log_file} holds events of completed requests"
    seen = picture(evidence, wants)
    log = _log(seen)
    if log is None:
        if not seen.facts and not seen.has_folder("/var/log"):
            return CheckResult(Status.SKIP, expected, "the files do not reach to /var/log", knowable=False)
        return _caused(expected, f"{wants.log_file} is not there", evidence, wants)
    statistics = log.statistics
    completed = statistics.count(lambda kind: kind.completed)
    warnings = _warnings(log)
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
    failed = _caused(expected, found, evidence, wants)
    if log.lost is not None and failed.status is Status.FAIL:
        return _unknowable(expected, found, log)
    return replace(failed, warnings=_damage(log))


def log_metadata(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether a completed event of another resource is there since the last start."""
    body = wants.body_resource
    expected = f"the log holds completed events of resources other than {body}"
    written = outcome("log.written", evidence, wants)
    log = _log(picture(evidence, wants))
    if log is None or written.status is not Status.PASS:
        return _blocked(expected, written)
    number = log.statistics.completed_of_others(body, wants.body_group)
    where = Where(wants.log_file)
    if number:
        return CheckResult(Status.PASS, expected, f"{number} of them", where, warnings=_damage(log))
    if log.lost is not None:
        return _unknowable(expected, "none since the API server started", log)
    fix = f"kubectl get pods -A; grep -c ResponseComplete {wants.log_file}"
    return CheckResult(
        Status.FAIL, expected, "none since the API server started", where, fix=fix, warnings=_damage(log)
    )


def log_configmaps_body(evidence: Evidence, wants: Wants) -> CheckResult:
    """Say whether every recorded write of the asked resource has its requestObject, and there is one at least."""
    resource, verbs = wants.body_resource, wants.body_verbs
    expected = f"the log holds writes of {resource}, each with its requestObject"
    written = outcome("log.written", evidence, wants)
    seen = picture(evidence, wants)
    log = _log(seen)
    if log is None or written.status is not Status.PASS:
        return _blocked(expected, written)
    statistics, warnings = log.statistics, _damage(log)

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
        return CheckResult(Status.FAIL, expected, found, log.where(line), fix=fix, warnings=warnings)
    good = statistics.count(lambda kind: write(kind) and kind.has_request_object)
    if good:
        found = f"{good} writes, each with its body"
        return CheckResult(Status.PASS, expected, found, Where(wants.log_file), warnings=warnings)
    if log.lost is not None:
        return _unknowable(expected, f"no write of {resource} since the API server started", log)
    probe = seen.facts.get("probe")
    if isinstance(probe, dict) and probe.get("requests"):
        found = f"{resource} were written while grading, and the log holds no write of one"
        return CheckResult(Status.FAIL, expected, found, Where(wants.log_file), fix=fix, warnings=warnings)
    found = f"nobody wrote {resource} since the API server started"
    return CheckResult(Status.SKIP, expected, found, warnings=warnings, knowable=False)


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
    log = _log(seen)
    assert log is not None
    events: dict[str, list[FullEvent]] = {}
    for event in log.statistics.found:
        events.setdefault(event.audit_id, []).append(event)
    for request in probe["requests"]:
        recorded = events.get(str(request.get("audit_id")), [])
        problem = _probe_problem(request, recorded, wants) or _stale(request, recorded, seen)
        if problem:
            shown = f"grep {request.get('audit_id')} {wants.log_file}"
            result = CheckResult(
                Status.FAIL, expected, problem, Where(wants.log_file), fix=shown, warnings=_edited_since(seen)
            )
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


def _log(seen: NodePicture) -> _Log | None:
    """Read the log and the rotated ones beside it, once; None where there is none. Raises Unreadable."""
    kept = seen.evidence.memo.get(_Log)
    if kept is None:
        kept = seen.evidence.memo[_Log] = (_read(seen),)
    found = kept[0]
    return found if isinstance(found, _Log) else None


def _read(seen: NodePicture) -> _Log | None:
    path = seen.wants.log_file
    folder, _, name = path.rpartition("/")
    files = seen.evidence.files
    try:
        names = log_names(files.list(folder), name)
    except (Missing, NotAFile):
        return None
    if not names:
        return None
    paths = tuple(f"{folder}/{each}" for each in names)
    damaged: dict[str, str] = {}

    def chunks(each: str) -> Iterator[bytes]:
        source = unpacked(files.stream(each))
        size = 0
        try:
            for chunk in source:
                size += len(chunk)
                yield chunk
        except (Missing, NotAFile):
            # A dangling link, a folder in the place of the log: nothing is written there.
            return
        if source.damaged is not None:
            damaged[each] = source.damaged
        elif not size and each.endswith(".gz"):
            damaged[each] = "the gzip is cut: the file is empty"

    probe = seen.facts.get("probe")
    nonce = str(probe.get("nonce")) if isinstance(probe, dict) else ""
    nonces = (f"cks-lab-{nonce}-",) if nonce else ()
    statistics = read_logs((chunks(each) for each in paths), started(seen), nonces)
    start = statistics.started or ""
    lost = next((each for each in damaged if rotated_at(each, path) >= start), None)
    return _Log(paths, statistics, damaged, lost)


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


def _warnings(log: _Log) -> tuple[str, ...]:
    statistics = log.statistics
    found = []
    if statistics.legacy:
        found.append(f"{_lines(statistics.legacy)} in the legacy format, which holds no bodies")
    if statistics.first_broken is not None:
        first = log.where(statistics.first_broken)
        events = "event" if statistics.broken == 1 else "events"
        place = f"line {first.line}" + (f" of {first.file}" if len(log.paths) > 1 else "")
        found.append(f"{_lines(statistics.broken)} no audit {events}; the first is {place}")
    return (*found, *_damage(log))


def _lines(number: int) -> str:
    return "1 line is" if number == 1 else f"{number} lines are"


def _damage(log: _Log) -> tuple[str, ...]:
    """Return a warning for each file that could not be read to its end."""
    return tuple(f"{path}: {damage}" for path, damage in log.damaged.items())


def _unknowable(expected: str, found: str, log: _Log) -> CheckResult:
    """Return the skip of a check whose answer may have stood in what is damaged: nobody is to lose points by that."""
    assert log.lost is not None
    said = f"{found}, as far as it can be read: {log.lost}: {log.damaged[log.lost]}"
    return CheckResult(Status.SKIP, expected, said, Where(log.lost), warnings=_damage(log), knowable=False)


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
