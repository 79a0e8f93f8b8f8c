"""Learns what only a live node can say: its containers, its API server's health, and what a probe of now records.

Everything is asked with what every node has: crictl, journalctl and the API. Nobody is asked what kind of node it is.
"""

import contextlib
import datetime
import json
import re
import secrets
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

if __package__:  # In the one file that is sent to nodes, what this needs stands above.
    from .host import Host, Missing, NoAccess, NoAnswer, Unreadable

_RUN_TIMEOUT = 15.0
_API_TIMEOUT = 3.0
_POLL = 0.05
_BLOCKING_WAIT = 1.0
_BATCH_WAIT = 4.0
_KUBELET_LINES = 400
_LOG_LINES = 20
_MAPS = "/api/v1/namespaces/{}/configmaps"


def live_facts(host: Host, task: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the live facts: `containers`, `kubelet_log`, `apiserver`, `probe`.

    null: not to be had; then `unknown` says why, by the fact's name.
    """
    unknown: Dict[str, str] = {}
    facts: Dict[str, Any] = {"probe": None, "apiserver": None, "containers": None, "kubelet_log": None}
    try:
        facts["apiserver"] = _apiserver(host)
        if facts["apiserver"]["readyz"].get("status") == 200 and not task.get("look"):
            facts["probe"] = _probe(host, task["log_file"])
    except NoAccess as error:
        unknown["apiserver"] = str(error)
    try:
        facts["containers"] = containers(host)
    except NoAnswer as error:
        unknown["containers"] = str(error)
        found = processes(host)
        # That it does not run is known only where nothing answers either.
        facts["containers"] = None if not found and _answers(facts["apiserver"]) else found
    try:
        facts["kubelet_log"] = _kubelet_log(host)
    except NoAnswer as error:
        unknown["kubelet_log"] = str(error)
    return dict(facts, unknown=unknown)


def _answers(apiserver: Optional[Dict[str, Any]]) -> bool:
    return apiserver is None or "status" in apiserver["readyz"]


def containers(host: Host, newest_only: bool = False) -> List[Dict[str, Any]]:
    """Return the API server's containers, or only the newest, newest first. Raises NoAnswer.

    Each: id, name, pod, namespace, uid, state (running, exited, created, unknown), attempt, created, started,
    finished (RFC 3339 or null), exit_code, argv (null: not known), mounts [{host, container, read_only}], last_lines.
    """
    listed = _json(host, ["crictl", "ps", "-a", "-o", "json"])
    found = []
    items = sorted(listed.get("containers") or [], key=lambda item: str(item.get("createdAt")), reverse=True)
    for item in items:
        labels = item.get("labels") or {}
        name = (item.get("metadata") or {}).get("name", "")
        pod = labels.get("io.kubernetes.pod.name", "")
        if "apiserver" not in name and "apiserver" not in pod:
            continue
        found.append(_container(host, item, name, pod, labels))
        if newest_only:
            break
    return sorted(found, key=lambda c: (c["created"] or "", c["attempt"]), reverse=True)


def _json(host: Host, argv: Sequence[str]) -> Dict[str, Any]:
    answer = host.run(argv, _RUN_TIMEOUT)
    try:
        said = json.loads(answer.stdout.decode("utf-8", "replace"))
    except ValueError:
        # crictl may warn first; of the rest the first line says what is wrong.
        words = [line for line in answer.stderr.decode("utf-8", "replace").splitlines() if "level=warn" not in line]
        raise NoAnswer(f"{argv[0]} did not answer: {words[0] if words else 'no JSON'}") from None
    if not isinstance(said, dict):
        raise NoAnswer(f"{argv[0]} did not answer with an object")
    return said


def _container(host: Host, item: Mapping[str, Any], name: str, pod: str, labels: Mapping[str, str]) -> Dict[str, Any]:
    said: Dict[str, Any] = {}
    try:
        said = _json(host, ["crictl", "inspect", item["id"]])
    except NoAnswer:
        # Between the two questions the container may have gone: what the list said still holds.
        said = {}
    status = said.get("status") or {}
    process = (((said.get("info") or {}).get("runtimeSpec") or {}).get("process")) or {}
    state = str(status.get("state") or item.get("state", ""))
    return {
        "id": item["id"],
        "name": name,
        "pod": pod,
        "namespace": labels.get("io.kubernetes.pod.namespace", ""),
        "uid": labels.get("io.kubernetes.pod.uid", ""),
        "state": (state[len("CONTAINER_") :] if state.startswith("CONTAINER_") else state).lower(),
        "attempt": (item.get("metadata") or {}).get("attempt", 0),
        "created": _moment(status.get("createdAt")),
        "started": _moment(status.get("startedAt")),
        "finished": _moment(status.get("finishedAt")),
        "exit_code": status.get("exitCode"),
        "argv": process.get("args"),
        "mounts": [
            {"host": m.get("hostPath"), "container": m.get("containerPath"), "read_only": bool(m.get("readonly"))}
            for m in status.get("mounts") or []
        ],
        "last_lines": _last_lines(host, status.get("logPath")),
    }


_FIND = """for each in /proc/[0-9]*/comm; do
    if read -r name < "$each" && [ "$name" = kube-apiserver ]; then echo "${each%/comm}"; fi
done 2>/dev/null"""
_TICKS = 100
"""The unit of times in /proc/PID/stat: USER_HZ, a hundredth of a second on every Linux."""


def processes(host: Host) -> List[Dict[str, Any]]:
    """Return the API servers that run, as `containers` does, by /proc: for a node whose crictl does not answer.

    The container's `name` is not known then (null), nor its pod; `host` of a mount is its place in its file system.
    """
    found = []
    with contextlib.suppress(NoAnswer):
        for folder in host.run(["sh", "-c", _FIND], _RUN_TIMEOUT).stdout.decode("ascii", "replace").split():
            with contextlib.suppress(Missing, Unreadable, ValueError, LookupError):
                found.append(_process(host, folder))
    return sorted(found, key=lambda c: c["started"], reverse=True)


def _process(host: Host, folder: str) -> Dict[str, Any]:
    line = host.read(folder + "/cmdline", 1 << 20).decode("utf-8", "replace").rstrip("\0")
    # A process that named itself, as the lite server does, has one string there.
    words = line.split("\0" if "\0" in line else " ")
    # The name before it, in parentheses, may hold blanks.
    ticks = int(host.read(folder + "/stat", 1 << 16).rpartition(b")")[2].split()[19])
    booted = int(next(x for x in host.read("/proc/stat", 1 << 20).splitlines() if x.startswith(b"btime ")).split()[1])
    since = datetime.timedelta(seconds=booted + ticks / _TICKS)
    started = (datetime.datetime(1970, 1, 1) + since).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    mounts = []
    for line in host.read(folder + "/mountinfo", 1 << 20).decode("utf-8", "replace").splitlines():
        root, point, options = (re.sub(r"\\([0-7]{3})", _byte, field) for field in line.split()[3:6])
        mounts.append({"host": root, "container": point, "read_only": "ro" in options.split(",")})
    return {
        "id": "process " + folder.rpartition("/")[2],
        "name": None,
        "pod": "",
        "namespace": "",
        "uid": "",
        "state": "running",
        "attempt": 0,
        "created": started,
        "started": started,
        "finished": None,
        "exit_code": None,
        "argv": words,
        "mounts": mounts,
        "last_lines": [],
    }


def _byte(match: "re.Match[str]") -> str:
    return chr(int(match.group(1), 8))


def _moment(value: object) -> Optional[str]:
    """Return crictl's time (RFC 3339; the zero time means never) or None."""
    return value if isinstance(value, str) and not value.startswith(("0001-", "1970-")) else None


def _last_lines(host: Host, path: object) -> List[str]:
    if not isinstance(path, str) or not path:
        return []
    try:
        tail = host.tail(path, 1 << 16) if host.stat(path).size > 1 << 20 else host.read(path, 1 << 20)
    except (Missing, Unreadable, NoAnswer):
        return []
    lines = tail.decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return [line.split(" ", 3)[3] if line.count(" ") >= 3 else line for line in lines]


def _kubelet_log(host: Host) -> List[str]:
    argv = ["journalctl", "-u", "kubelet", "-n", str(_KUBELET_LINES), "--no-pager", "-o", "cat"]
    said = host.run(argv, _RUN_TIMEOUT).stdout.decode("utf-8", "replace")
    return [line for line in said.splitlines() if "manifest" in line or "apiserver" in line][-60:]


def _apiserver(host: Host) -> Dict[str, Any]:
    """Ask the API server for its version and health; what does not answer says so in `error`. Raises NoAccess."""
    facts: Dict[str, Any] = {"version": None, "readyz": {}}
    try:
        status, _ = host.request("GET", "/readyz", None, {}, _API_TIMEOUT)
        facts["readyz"] = {"status": status}
        status, body = host.request("GET", "/version", None, {}, _API_TIMEOUT)
        facts["version"] = json.loads(body.decode("utf-8")).get("gitVersion") if status == 200 else None
    except (NoAnswer, ValueError) as error:
        facts["readyz"] = facts["readyz"] or {"error": str(error)}
    return facts


def _probe(host: Host, log: str) -> Dict[str, Any]:
    """Send requests that nobody could foresee and wait until the log had the time to hold them."""
    nonce = secrets.token_hex(8)
    sent: List[Dict[str, Any]] = []
    trouble: Optional[str] = None
    removed = True
    for number, request in enumerate(_requests(nonce)):
        audit_id = f"cks-lab-{nonce}-{number}"
        headers = {"Audit-ID": audit_id, "Content-Type": request.pop("content_type"), "Accept": "application/json"}
        body = request.pop("body")
        method, path = request.pop("method"), request.pop("path")
        try:
            status, _ = host.request(method, path, None if body is None else json.dumps(body).encode(), headers, 5.0)
        except (NoAnswer, NoAccess) as error:
            trouble = str(error)
            break
        sent.append(dict(request, audit_id=audit_id, method=method, path=path, code=status))
        if number == 0:
            removed = status >= 300
        elif request["verb"] == "delete":
            removed = True
        if status in (401, 403):
            trouble = f"the API server does not let its administrator {method} {path}: {status}"
            break
    if not removed:
        with contextlib.suppress(NoAnswer, NoAccess):
            host.request("DELETE", _MAPS.format("default") + "/cks-lab-probe-" + nonce, None, {}, 5.0)
    if trouble is None:
        _wait_for(host, log, sent[-1]["audit_id"])
    return {"nonce": nonce, "requests": sent, "error": trouble}


def _requests(nonce: str) -> List[Dict[str, Any]]:
    """Return the probe: writes with a body in three namespaces, and reads of other resources in three API groups.

    The third namespace has a name that no policy can hold; it does not exist, which the server says after it has read
    (and recorded) the body.
    """
    name = "cks-lab-probe-" + nonce
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"nonce": nonce}}
    dry = _MAPS + "?dryRun=All"
    merge = "application/merge-patch+json"

    def ask(verb: str, method: str, path: str, resource: str, **more: Any) -> Dict[str, Any]:
        request = {"verb": verb, "method": method, "path": path, "resource": resource, "group": "", "namespace": ""}
        return dict(request, **dict({"name": "", "body": None, "content_type": "application/json"}, **more))

    def write(verb: str, method: str, path: str, namespace: str = "default", **more: Any) -> Dict[str, Any]:
        return ask(verb, method, path, "configmaps", namespace=namespace, name=name, **more)

    own = _MAPS.format("default") + "/" + name
    new = "cks-lab-" + nonce
    coordination, rbac = "coordination.k8s.io", "rbac.authorization.k8s.io"
    leases = f"/apis/{coordination}/v1/namespaces/kube-system/leases?limit=1"
    return [
        write("create", "POST", _MAPS.format("default"), body=thing),
        write("update", "PUT", own, body=thing),
        write("patch", "PATCH", own, body={"data": {"patched": nonce}}, content_type=merge),
        write("delete", "DELETE", own),
        write("create", "POST", dry.format("kube-system"), "kube-system", body=thing),
        write("create", "POST", dry.format(new), new, body=thing),
        ask("list", "GET", "/api/v1/namespaces/default/secrets?limit=1", "secrets", namespace="default"),
        ask("get", "GET", "/api/v1/namespaces/kube-system", "namespaces", namespace="kube-system", name="kube-system"),
        ask("list", "GET", leases, "leases", group=coordination, namespace="kube-system"),
        ask("list", "GET", f"/apis/{rbac}/v1/clusterroles?limit=1", "clusterroles", group=rbac),
    ]


def _wait_for(host: Host, log: str, audit_id: str) -> None:
    """Wait until the log holds the last request's completion; a log that grows without it is waited for longer."""
    mark = audit_id.encode()
    began = time.monotonic()
    size = -1
    limit = _BLOCKING_WAIT
    while time.monotonic() - began < limit:
        try:
            now = host.stat(log).size
            if now != size:
                tail = host.tail(log, 1 << 18)
                if mark in tail:
                    return
                limit = _BATCH_WAIT if mark.rpartition(b"-")[0] in tail else limit
                size = now
        except (Missing, Unreadable, NoAnswer):
            return
        time.sleep(_POLL)
