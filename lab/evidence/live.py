"""Learns what only a live node can say: its containers, its API server's health, and what a probe of now records.

Everything is asked with what every node has: crictl, journalctl and the API. No driver is asked who it is.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from checkers.evidence import Missing, NodeFiles, NotAFile, Unreadable
from checkers.wants import Wants

from ..errors import LabError
from ..procs import Completed

_RUN_TIMEOUT = 15.0
_API_TIMEOUT = 3.0
_POLL = 0.05
_BLOCKING_WAIT = 1.0
_BATCH_WAIT = 4.0
_KUBELET_LINES = 400
_LOG_LINES = 20


class Response(Protocol):
    """What an API server answered."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


class Api(Protocol):
    """The part of a driver's ApiAccess that evidence needs."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ...,
    ) -> Response: ...


class Node(Protocol):
    """The part of a driver's NodeHandle that evidence needs."""

    @property
    def files(self) -> NodeFiles: ...

    @property
    def api(self) -> Api | None: ...

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> Completed: ...


def live_facts(node: Node, wants: Wants) -> dict[str, Any]:
    """Return the live facts: `containers`, `kubelet_log`, `apiserver`, `probe`; null: not to be had."""
    apiserver = _apiserver(node)
    ready = apiserver["readyz"].get("status") == 200
    return {
        "probe": _probe(node, wants) if ready and node.api else None,
        "apiserver": apiserver,
        "containers": containers(node),
        "kubelet_log": _kubelet_log(node),
    }


def containers(node: Node, *, newest_only: bool = False) -> list[dict[str, Any]] | None:
    """Return the API server's containers, or only the newest, newest first; None where crictl does not answer.

    Each: id, name, pod, namespace, uid, state (running, exited, created, unknown), attempt, created, started,
    finished (RFC 3339 or null), exit_code, argv (null: not known), mounts [{host, container, read_only}], last_lines.
    """
    try:
        listed = json.loads(node.run(["crictl", "ps", "-a", "-o", "json"], timeout=_RUN_TIMEOUT).stdout)
    except (LabError, ValueError):
        return None
    found = []
    items = sorted(listed.get("containers") or [], key=lambda item: str(item.get("createdAt")), reverse=True)
    for item in items:
        labels = item.get("labels") or {}
        name = (item.get("metadata") or {}).get("name", "")
        pod = labels.get("io.kubernetes.pod.name", "")
        if "apiserver" not in name and "apiserver" not in pod:
            continue
        found.append(_container(node, item, name, pod, labels))
        if newest_only:
            break
    return sorted(found, key=lambda c: (c["created"] or "", c["attempt"]), reverse=True)


def _container(node: Node, item: Mapping[str, Any], name: str, pod: str, labels: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    try:
        said = json.loads(node.run(["crictl", "inspect", item["id"]], timeout=_RUN_TIMEOUT).stdout)
    except (LabError, ValueError):
        # Between the two questions the container may have gone: what the list said still holds.
        said = {}
    status = said.get("status") or {}
    process = (((said.get("info") or {}).get("runtimeSpec") or {}).get("process")) or {}
    return {
        "id": item["id"],
        "name": name,
        "pod": pod,
        "namespace": labels.get("io.kubernetes.pod.namespace", ""),
        "uid": labels.get("io.kubernetes.pod.uid", ""),
        "state": str(status.get("state") or item.get("state", "")).removeprefix("CONTAINER_").lower(),
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
        "last_lines": _last_lines(node, status.get("logPath")),
    }


def _moment(value: object) -> str | None:
    """Return crictl's time (RFC 3339; the zero time means never) or None."""
    return value if isinstance(value, str) and not value.startswith(("0001-", "1970-")) else None


def _last_lines(node: Node, path: object) -> list[str]:
    if not isinstance(path, str) or not path:
        return []
    try:
        size = node.files.stat(path).size
        if size > 1 << 20:
            tail = node.run(["tail", "-c", "65536", path], timeout=_RUN_TIMEOUT).stdout
        else:
            tail = node.files.read(path)
    except (Missing, NotAFile, Unreadable, LabError):
        return []
    lines = tail.decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return [line.split(" ", 3)[3] if line.count(" ") >= 3 else line for line in lines]


def _kubelet_log(node: Node) -> list[str] | None:
    argv = ["journalctl", "-u", "kubelet", "-n", str(_KUBELET_LINES), "--no-pager", "-o", "cat"]
    try:
        said = node.run(argv, timeout=_RUN_TIMEOUT)
    except LabError:
        return None
    return [line for line in said.text.splitlines() if "manifest" in line or "apiserver" in line][-60:]


def _apiserver(node: Node) -> dict[str, Any]:
    """Ask the API server for its version and health; what does not answer says so in `error`."""
    facts: dict[str, Any] = {"version": None, "readyz": {}}
    if node.api is None:
        return facts | {"readyz": {"error": "no access to the API"}}
    try:
        ready = node.api.request("GET", "/readyz", timeout=_API_TIMEOUT)
        facts["readyz"] = {"status": ready.status}
        answer = node.api.request("GET", "/version", timeout=_API_TIMEOUT)
        facts["version"] = json.loads(answer.body).get("gitVersion") if answer.status == 200 else None
    except (LabError, ValueError) as error:
        facts["readyz"] = facts["readyz"] or {"error": error.message if isinstance(error, LabError) else str(error)}
    return facts


def _probe(node: Node, wants: Wants) -> dict[str, Any] | None:
    """Send requests that nobody could foresee and wait until the log had the time to hold them."""
    assert node.api is not None
    nonce = secrets.token_hex(8)
    sent: list[dict[str, Any]] = []
    for number, request in enumerate(_requests(nonce, wants)):
        audit_id = f"cks-lab-{nonce}-{number}"
        headers = {"Audit-ID": audit_id, "Content-Type": request.pop("content_type"), "Accept": "application/json"}
        body = request.pop("body")
        method, path = request.pop("method"), request.pop("path")
        try:
            answer = node.api.request(
                method, path, body=json.dumps(body).encode() if body is not None else None, headers=headers
            )
        except LabError as error:
            return {"nonce": nonce, "requests": sent, "error": error.message}
        sent.append({"audit_id": audit_id, "method": method, "path": path, "code": answer.status, **request})
    _wait_for(node, wants.log_file, sent[-1]["audit_id"])
    return {"nonce": nonce, "requests": sent, "error": None}


def _requests(nonce: str, wants: Wants) -> list[dict[str, Any]]:
    """Return the probe: writes with a body in three namespaces, and reads of other resources in three API groups.

    The third namespace has a name that no policy can hold; it does not exist, which the server says after it has read
    (and recorded) the body.
    """
    name = f"cks-lab-probe-{nonce}"
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"nonce": nonce}}
    maps = "/api/v1/namespaces/{}/configmaps"

    def ask(verb: str, method: str, path: str, resource: str, **more: Any) -> dict[str, Any]:
        request = {"verb": verb, "method": method, "path": path, "resource": resource, "group": "", "namespace": ""}
        return request | {"name": "", "body": None, "content_type": "application/json"} | more

    own: dict[str, Any] = {"resource": "configmaps", "namespace": "default", "name": name}
    return [
        ask("create", "POST", maps.format("default"), body=thing, **own),
        ask("update", "PUT", f"{maps.format('default')}/{name}", body=thing, **own),
        ask(
            "patch",
            "PATCH",
            f"{maps.format('default')}/{name}",
            body={"data": {"patched": nonce}},
            **own | {"content_type": "application/merge-patch+json"},
        ),
        ask("delete", "DELETE", f"{maps.format('default')}/{name}", **own),
        ask(
            "create",
            "POST",
            f"{maps.format('kube-system')}?dryRun=All",
            body=thing,
            **own | {"namespace": "kube-system"},
        ),
        ask(
            "create",
            "POST",
            f"{maps.format(f'cks-lab-{nonce}')}?dryRun=All",
            body=thing,
            **own | {"namespace": f"cks-lab-{nonce}"},
        ),
        ask("list", "GET", "/api/v1/namespaces/default/secrets?limit=1", "secrets", namespace="default"),
        ask("get", "GET", "/api/v1/namespaces/kube-system", "namespaces", namespace="kube-system", name="kube-system"),
        ask(
            "list",
            "GET",
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?limit=1",
            "leases",
            group="coordination.k8s.io",
            namespace="kube-system",
        ),
        ask(
            "list",
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles?limit=1",
            "clusterroles",
            group="rbac.authorization.k8s.io",
        ),
    ]


def _wait_for(node: Node, log: str, audit_id: str) -> None:
    """Wait until the log holds the last request's completion; a log that grows without it is waited for longer."""
    mark = audit_id.encode()
    began = time.monotonic()
    size = -1
    limit = _BLOCKING_WAIT
    while time.monotonic() - began < limit:
        try:
            now = node.files.stat(log).size
            if now != size:
                tail = node.run(["tail", "-c", "262144", log], timeout=_RUN_TIMEOUT).stdout
                if mark in tail:
                    return
                limit = _BATCH_WAIT if mark.rpartition(b"-")[0] in tail else limit
                size = now
        except (Missing, NotAFile, Unreadable, LabError):
            return
        time.sleep(_POLL)
