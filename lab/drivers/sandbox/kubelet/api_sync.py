"""Owns the kubelet's side of the API: node, lease, mirror pods and their statuses, one request at a time.

An API server that is down, hangs or refuses never holds up the node: every request is an `Exchange` in init's loop with
a deadline, and what could not be told is told later. Source: kubelet 1.34, kubelet_node_status.go, mirror_client.go,
status_manager.go and the lease controller.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import kubeconfig, node_object, pod_status
from .clock import Clock
from .config import Config
from .http_exchange import Answer, Exchange, request
from .log import Klog, quoted
from .pod_status import MIRROR
from .pod_worker import Worker
from .pod_workers import PodWorkers
from .probes import Prober

Json = dict[str, Any]
_DEADLINE = 5.0
_LEASE_PERIOD = 10.0
_NODE_PERIOD = 300.0
_LIST_PERIOD = 10.0
_RETRY_FIRST, _RETRY_MOST = 0.1, 2.0
_SAID_AGAIN = 7.0
_MERGE = "application/strategic-merge-patch+json"


@dataclass(slots=True)
class _Mirror:
    """A pod of this node as the API server has it."""

    namespace: str
    name: str
    hash: str
    uid: str
    sent: Json | None = None


@dataclass(slots=True)
class _Need:
    """A request to send: what is logged when it fails, and what is done with a good answer."""

    method: str
    path: str
    done: Callable[[Answer], None]
    body: Json | None = None
    content_type: str = "application/json"
    failure: tuple[str, str] = ("", "")
    values: dict[str, object] = field(default_factory=dict)
    expected: tuple[int, ...] = (200, 201)
    prefix: str = ""


class ApiSync:
    """Tells the API server what is so. `answered`: whether it has answered since the kubelet's start."""

    def __init__(self, config: Config, clock: Clock, klog: Klog, workers: PodWorkers, prober: Prober) -> None:
        self._config = config
        self._clock = clock
        self._klog = klog
        self._workers = workers
        self._prober = prober
        self._access: kubeconfig.Access | None = None
        self._exchange: Exchange | None = None
        self._not_before = 0.0
        self._retry = _RETRY_FIRST
        self._said: dict[str, float] = {}
        self._node_uid = ""
        self._registers = False
        self._since = clock.wall()
        self._lease: Json | None = None
        self._due = {"node": 0.0, "lease": 0.0, "list": 0.0}
        self._mirrors: dict[str, _Mirror] = {}
        self._listed = False
        self.answered = False

    def exchanges(self) -> list[Exchange]:
        """Return the connection that is open, if one is."""
        return [] if self._exchange is None else [self._exchange]

    def close(self) -> None:
        """Drop what is under way."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def tick(self) -> float | None:
        """Send what is due and return the monotonic moment of the next wake-up."""
        if self._config.kubeconfig is None:
            return None
        now = self._clock.monotonic()
        if self._exchange is not None and now >= self._exchange.deadline:
            self._exchange.expire(f"context deadline exceeded (deadline {_DEADLINE:g}s)")
        if self._exchange is not None:
            return self._exchange.deadline
        if now < self._not_before:
            return self._not_before
        need = self._need(now)
        if need is None:
            return min(self._due.values())
        self._send(need)
        return self._not_before if self._exchange is None else self._exchange.deadline

    def _send(self, need: _Need) -> None:
        now = self._clock.monotonic()
        try:
            access = self._access = self._access or kubeconfig.load(self._config.kubeconfig or "", self._config.root)
        except (OSError, ValueError) as error:
            self._say("kubeconfig", "server.go:280", "Failed to load kubeconfig", str(error), {})
            self._not_before = now + _RETRY_MOST
            return
        headers = {
            "User-Agent": f"kubelet/{self._config.version} (linux/{node_object.architecture()}) kubernetes/lite",
            "Accept": "application/json",
        }
        body = b""
        if need.body is not None:
            body = json.dumps(need.body, separators=(",", ":")).encode()
            headers["Content-Type"] = need.content_type
        address = (access.host, access.port)
        data = request(need.method, need.path, f"{access.host}:{access.port}", headers, body)
        exchange = Exchange(address, data, access.context, now + _DEADLINE, lambda answer: self._answer(need, answer))
        self._exchange = None if exchange.ended else exchange

    def _answer(self, need: _Need, answer: Answer) -> None:
        self._exchange = None
        now = self._clock.monotonic()
        if answer.status:
            self.answered = True
        if answer.status in need.expected:
            self._retry = _RETRY_FIRST
            need.done(answer)
            return
        self._not_before = now + self._retry
        self._retry = min(self._retry * 2, _RETRY_MOST)
        if answer.status == 401 or not answer.status:
            # New certificates may lie there by the next time.
            self._access = self._access if not answer.status else None
        where, message = need.failure
        if where:
            self._say(f"{where}{need.values}", where, message, need.prefix + self._words(need, answer), need.values)

    def _words(self, need: _Need, answer: Answer) -> str:
        if answer.status:
            try:
                return str(json.loads(answer.body)["message"])
            except (ValueError, LookupError, TypeError):
                return f"the server responded with the status code {answer.status}"
        url = f"{self._access.url if self._access else ''}{need.path}"
        return f"{need.method.capitalize()} {quoted(url)}: {answer.error}"

    def _say(self, key: str, where: str, message: str, error: str, values: dict[str, object]) -> None:
        if self._news(key):
            self._klog.error(where, message, error, **values)

    def _news(self, key: str) -> bool:
        """Return whether it is time to say this (again): a server that is down would fill the journal."""
        now = self._clock.monotonic()
        if now - self._said.get(key, -_SAID_AGAIN) < _SAID_AGAIN:
            return False
        self._said[key] = now
        return True

    # What is needed, the most urgent first

    def _need(self, now: float) -> _Need | None:
        if not self._node_uid:
            return self._register() if self._registers else self._find_node()
        if now >= self._due["node"]:
            return self._report_node()
        if now >= self._due["lease"]:
            return self._renew_lease()
        if now >= self._due["list"]:
            return self._list_pods()
        return self._pods_need()

    @property
    def _node_path(self) -> str:
        return f"/api/v1/nodes/{self._config.node_name}"

    def _find_node(self) -> _Need:
        def done(answer: Answer) -> None:
            if answer.status == 404:
                self._registers = True
                self._klog.info("kubelet_node_status.go:75", "Attempting to register node", node=self._config.node_name)
            else:
                self._took_node(answer)

        return _Need(
            "GET",
            f"{self._node_path}?resourceVersion=0&timeout=10s",
            done,
            expected=(200, 404),
            failure=("kubelet_node_status.go:548", "Error updating node status, will retry"),
            prefix=f"error getting node {quoted(self._config.node_name)}: ",
        )

    def _register(self) -> _Need:
        def done(answer: Answer) -> None:
            self._registers = False
            if answer.status == 201:
                self._took_node(answer)
                name = self._config.node_name
                self._klog.info("kubelet_node_status.go:78", "Successfully registered node", node=name)

        return _Need(
            "POST",
            "/api/v1/nodes",
            done,
            body=node_object.node(self._config),
            expected=(201, 409),
            failure=("kubelet_node_status.go:107", "Unable to register node with API server"),
            values={"node": self._config.node_name},
        )

    def _took_node(self, answer: Answer) -> None:
        self._node_uid = str(_json(answer).get("metadata", {}).get("uid", ""))

    def _report_node(self) -> _Need:
        status = node_object.node_status(self._config, self._clock.wall(), self._since)

        def done(answer: Answer) -> None:
            if answer.status == 404:
                self._node_uid = ""
            else:
                self._due["node"] = self._clock.monotonic() + _NODE_PERIOD

        return _Need(
            "PATCH",
            f"{self._node_path}/status?timeout=10s",
            done,
            body={"status": status},
            content_type=_MERGE,
            expected=(200, 404),
            failure=("kubelet_node_status.go:548", "Error updating node status, will retry"),
        )

    def _renew_lease(self) -> _Need:
        folder = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        path = f"{folder}/{self._config.node_name}?timeout=10s"
        failure = ("controller.go:145", "Failed to ensure lease exists, will retry")

        def took(answer: Answer) -> None:
            found = _json(answer)
            self._lease = found if answer.status in (200, 201) else None
            if answer.status in (200, 201):
                self._due["lease"] = self._clock.monotonic() + _LEASE_PERIOD

        def found(answer: Answer) -> None:
            self._lease = _json(answer) if answer.status == 200 else {}

        if self._lease is None:
            values: dict[str, object] = {"interval": "200ms"}
            return _Need("GET", path, found, expected=(200, 404), failure=failure, values=values)
        fresh = node_object.lease(self._config, self._node_uid, self._clock.wall())
        if not self._lease:
            return _Need("POST", f"{folder}?timeout=10s", took, body=fresh, expected=(201, 409), failure=failure)
        body = {**self._lease, "spec": fresh["spec"]}
        failure = ("controller.go:195", "Failed to update lease")
        return _Need("PUT", path, took, body=body, expected=(200, 404, 409), failure=failure)

    def _list_pods(self) -> _Need:
        def done(answer: Answer) -> None:
            self._due["list"] = self._clock.monotonic() + _LIST_PERIOD
            self._take_list(_json(answer))

        path = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self._config.node_name}&limit=500&resourceVersion=0"
        failure = ("reflector.go:205", "Failed to watch")
        values: dict[str, object] = {"reflector": "k8s.io/client-go/informers/factory.go:160", "type": "*v1.Pod"}
        return _Need("GET", path, done, failure=failure, values=values, expected=(200,))

    def _take_list(self, answer: Json) -> None:
        before, self._mirrors = self._mirrors, {}
        for item in answer.get("items") or ():
            metadata = item.get("metadata", {})
            digest = (metadata.get("annotations") or {}).get(MIRROR)
            if not digest or metadata.get("deletionTimestamp"):
                continue
            mirror = _Mirror(metadata.get("namespace", ""), metadata.get("name", ""), digest, metadata.get("uid", ""))
            key = f"{mirror.name}_{mirror.namespace}"
            old = before.get(key)
            if old is not None and old.uid == mirror.uid:
                mirror.sent = old.sent
            self._mirrors[key] = mirror

    def _pods_need(self) -> _Need | None:
        workers = {worker.pod.full_name: worker for worker in self._shown()}
        for key, mirror in self._mirrors.items():
            worker = workers.get(key)
            if worker is None or worker.pod.uid != mirror.hash:
                return self._delete(key, mirror, worker)
        statuses = None
        for key, worker in workers.items():
            mirror_there = self._mirrors.get(key)
            if mirror_there is None:
                return self._create(key, worker)
            statuses = statuses if statuses is not None else self._workers.statuses()
            mine = statuses.get(worker.pod.uid, {})
            status = pod_status.status(worker, mine, self._prober, self._config.node_ip)
            status = pod_status.stamp(status, mirror_there.sent, self._clock.wall())
            if status != mirror_there.sent:
                return self._report_pod(mirror_there, worker, status)
        return None

    def _shown(self) -> list[Worker]:
        """Return the pods that are to be seen: of each name one, the one that ends only if no other is there."""
        order = sorted(self._workers.workers.values(), key=lambda worker: worker.phase != "terminating")
        return list({worker.pod.full_name: worker for worker in order if worker.pod.file}.values())

    def _delete(self, key: str, mirror: _Mirror, worker: Worker | None) -> _Need:
        reference = f"{mirror.namespace}/{mirror.name}"
        if self._news(f"delete {mirror.uid}"):
            self._klog.info("kubelet.go:3203", "Trying to delete pod", pod=reference, podUID=mirror.uid)
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        if mirror.uid:
            options["preconditions"] = {"uid": mirror.uid}

        def done(answer: Answer) -> None:
            self._mirrors.pop(key, None)
            if worker is not None:
                words = "Deleted mirror pod as it didn't match the static Pod"
                self._klog.info("kubelet.go:3209", words, pod=reference)

        return _Need(
            "DELETE",
            f"/api/v1/namespaces/{mirror.namespace}/pods/{mirror.name}",
            done,
            body=options,
            expected=(200, 404, 409),
            failure=("mirror_client.go:139", "Failed deleting a mirror pod"),
            values={"pod": reference},
        )

    def _create(self, key: str, worker: Worker) -> _Need:
        pod = worker.pod
        if self._news(f"create {pod.uid}"):
            self._klog.info("kubelet.go:3220", "Creating a mirror pod for static pod", pod=pod.reference)

        def done(answer: Answer) -> None:
            if answer.status == 201:
                uid = _json(answer).get("metadata", {}).get("uid", "")
                self._mirrors[key] = _Mirror(pod.namespace, pod.name, pod.uid, uid)
            else:
                # Something of that name is there: it goes, if it is a pod that claims to be on this node.
                self._mirrors[key] = _Mirror(pod.namespace, pod.name, "", "")

        return _Need(
            "POST",
            f"/api/v1/namespaces/{pod.namespace}/pods",
            done,
            body=pod_status.mirror(pod, self._config.node_name, self._node_uid),
            expected=(201, 409),
            failure=("kubelet.go:3222", "Failed creating a mirror pod for"),
            values={"pod": pod.reference},
        )

    def _report_pod(self, mirror: _Mirror, worker: Worker, status: Json) -> _Need:
        def done(answer: Answer) -> None:
            if answer.status == 200:
                mirror.sent = status
            else:
                self._due["list"] = 0.0

        return _Need(
            "PATCH",
            f"/api/v1/namespaces/{mirror.namespace}/pods/{mirror.name}/status",
            done,
            body={"metadata": {"uid": mirror.uid}, "status": status},
            content_type=_MERGE,
            expected=(200, 404, 409),
            failure=("status_manager.go:895", "Failed to get status for pod"),
            values={"podUID": worker.pod.uid, "pod": worker.pod.reference},
        )


def _json(answer: Answer) -> Json:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
