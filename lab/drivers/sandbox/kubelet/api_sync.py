"""Owns the kubelet's side of the API: node, lease, mirror pods and their statuses, one request at a time.

What could not be told is told later. Source: kubelet 1.34, kubelet_node_status.go, mirror_client.go,
status_manager.go and the lease controller.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from . import node_object, pod_status
from .api_client import DEADLINE, ApiClient, Json, Need
from .clock import Clock
from .config import Config
from .http_exchange import Answer, Exchange
from .log import Klog, quoted
from .pod_status import MIRROR
from .pod_worker import Worker
from .pod_workers import PodWorkers
from .probes import Prober

_LEASE_PERIOD = 10.0
_NODE_PERIOD = 300.0
_WATCH_SECONDS = 480
_WATCH_RETRY = 1.0
_MERGE = "application/strategic-merge-patch+json"


@dataclass(slots=True)
class _Mirror:
    """A pod of this node as the API server has it."""

    namespace: str
    name: str
    hash: str
    uid: str
    sent: Json | None = None


class ApiSync:
    """Tells the API server what is so. `answered`: whether it has answered since the kubelet's start."""

    def __init__(self, config: Config, clock: Clock, klog: Klog, workers: PodWorkers, prober: Prober) -> None:
        self._config = config
        self._clock = clock
        self._klog = klog
        self._workers = workers
        self._prober = prober
        self._client = ApiClient(config, clock, klog)
        self._node_uid = ""
        self._registers = False
        self._since = clock.wall()
        self._lease: Json | None = None
        self._due = {"node": 0.0, "lease": 0.0, "list": 0.0}
        self._mirrors: dict[str, _Mirror] = {}
        self._doomed: dict[str, str] = {}
        """Pods of this node that nobody runs and somebody deleted: uid -> path."""
        self._watch: Exchange | None = None
        self._watched = bytearray()
        self._version = ""

    @property
    def answered(self) -> bool:
        """Whether the API server has answered since the kubelet's start."""
        return self._client.answered

    def exchanges(self) -> list[Exchange]:
        """Return the connections that are open: one for requests, one for the watch."""
        return [exchange for exchange in (self._client.exchange, self._watch) if exchange is not None]

    def close(self) -> None:
        """Drop what is under way."""
        self._client.close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def tick(self) -> float | None:
        """Send what is due and return the monotonic moment of the next wake-up."""
        if self._config.kubeconfig is None:
            return None
        now = self._clock.monotonic()
        if self._watch is not None and now >= self._watch.deadline:
            self._watch.expire("context deadline exceeded")
        for _ in range(3):
            wake = self._client.busy_until()
            if wake is not None:
                return wake
            need = self._need(now)
            if need is None:
                return min(moment for moment in self._due.values() if moment > now)
            self._client.send(need)
        return now

    # What is needed, the most urgent first

    def _need(self, now: float) -> Need | None:
        if not self._node_uid:
            return self._register() if self._registers else self._find_node()
        if now >= self._due["node"]:
            return self._report_node()
        if now >= self._due["lease"]:
            return self._renew_lease()
        if now >= self._due["list"]:
            return self._list_pods()
        return self._let_go() if self._doomed else self._pods_need()

    @property
    def _node_path(self) -> str:
        return f"/api/v1/nodes/{self._config.node_name}"

    def _find_node(self) -> Need:
        def done(answer: Answer) -> None:
            if answer.status == 404:
                self._registers = True
                self._klog.info("kubelet_node_status.go:75", "Attempting to register node", node=self._config.node_name)
            else:
                self._took_node(answer)

        return Need(
            "GET",
            f"{self._node_path}?resourceVersion=0&timeout=10s",
            done,
            expected=(200, 404),
            failure=("kubelet_node_status.go:548", "Error updating node status, will retry"),
            prefix=f"error getting node {quoted(self._config.node_name)}: ",
        )

    def _register(self) -> Need:
        def done(answer: Answer) -> None:
            self._registers = False
            if answer.status == 201:
                self._took_node(answer)
                name = self._config.node_name
                self._klog.info("kubelet_node_status.go:78", "Successfully registered node", node=name)

        return Need(
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

    def _report_node(self) -> Need:
        status = node_object.node_status(self._config, self._clock.wall(), self._since)

        def done(answer: Answer) -> None:
            if answer.status == 404:
                self._node_uid = ""
            else:
                self._due["node"] = self._clock.monotonic() + _NODE_PERIOD

        return Need(
            "PATCH",
            f"{self._node_path}/status?timeout=10s",
            done,
            body={"status": status},
            content_type=_MERGE,
            expected=(200, 404),
            failure=("kubelet_node_status.go:548", "Error updating node status, will retry"),
        )

    def _renew_lease(self) -> Need:
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
            return Need("GET", path, found, expected=(200, 404), failure=failure, values=values)
        fresh = node_object.lease(self._config, self._node_uid, self._clock.wall())
        if not self._lease:
            return Need("POST", f"{folder}?timeout=10s", took, body=fresh, expected=(201, 409), failure=failure)
        body = {**self._lease, "spec": fresh["spec"]}
        failure = ("controller.go:195", "Failed to update lease")
        return Need("PUT", path, took, body=body, expected=(200, 404, 409), failure=failure)

    def _list_pods(self) -> Need:
        def done(answer: Answer) -> None:
            found = _json(answer)
            self._take_list(found)
            self._open_watch(str(found.get("metadata", {}).get("resourceVersion", "0")))

        path = f"/api/v1/pods?{self._selector}&limit=500&resourceVersion=0"
        failure = ("reflector.go:205", "Failed to watch")
        values: dict[str, object] = {"reflector": "k8s.io/client-go/informers/factory.go:160", "type": "*v1.Pod"}
        return Need("GET", path, done, failure=failure, values=values, expected=(200,))

    @property
    def _selector(self) -> str:
        return f"fieldSelector=spec.nodeName%3D{self._config.node_name}"

    def _open_watch(self, version: str) -> None:
        """Watch the pods of this node: what somebody does to a mirror pod is put right at once."""
        if self._watch is not None:
            self._watch.close()
        path = f"/api/v1/pods?allowWatchBookmarks=true&{self._selector}&resourceVersion={version}"
        path += f"&timeoutSeconds={_WATCH_SECONDS}&watch=true"
        # A list is due again when the watch has ended, for whatever reason.
        deadline = self._due["list"] = self._clock.monotonic() + _WATCH_SECONDS + DEADLINE
        self._watched.clear()
        self._watch = self._client.stream(path, deadline, self._watch_ended, self._watch_chunk)

    def _watch_ended(self, answer: Answer) -> None:
        self._watch = None
        self._due["list"] = self._clock.monotonic() + (_WATCH_RETRY if not answer.status else 0.0)

    def _watch_chunk(self, chunk: bytes) -> None:
        self._watched += chunk
        *lines, rest = bytes(self._watched).split(b"\n")
        self._watched[:] = rest
        for line in lines:
            try:
                event = json.loads(line)
                self._take_event(str(event["type"]), event["object"])
            except (ValueError, KeyError, TypeError):
                self._due["list"] = self._clock.monotonic()

    def _take_event(self, kind: str, pod: Json) -> None:
        metadata = pod.get("metadata", {})
        self._doom(metadata, kind != "DELETED")
        mirror = self._mirrors.get(f"{metadata.get('name')}_{metadata.get('namespace')}")
        ends = kind == "DELETED" or bool(metadata.get("deletionTimestamp"))
        if kind == "ERROR" or (ends and mirror is not None and mirror.uid == metadata.get("uid")):
            self._due["list"] = self._clock.monotonic()

    def _take_list(self, answer: Json) -> None:
        before, self._mirrors = self._mirrors, {}
        self._doomed.clear()
        for item in answer.get("items") or ():
            metadata = item.get("metadata", {})
            self._doom(metadata, True)
            digest = (metadata.get("annotations") or {}).get(MIRROR)
            if not digest or metadata.get("deletionTimestamp"):
                continue
            mirror = _Mirror(metadata.get("namespace", ""), metadata.get("name", ""), digest, metadata.get("uid", ""))
            key = f"{mirror.name}_{mirror.namespace}"
            old = before.get(key)
            if old is not None and old.uid == mirror.uid:
                mirror.sent = old.sent
            self._mirrors[key] = mirror

    def _doom(self, metadata: Json, there: bool) -> None:
        uid = str(metadata.get("uid", ""))
        own = MIRROR in (metadata.get("annotations") or {})
        if there and metadata.get("deletionTimestamp") and not own:
            self._doomed[uid] = f"/api/v1/namespaces/{metadata.get('namespace')}/pods/{metadata.get('name')}"
        else:
            self._doomed.pop(uid, None)

    def _let_go(self) -> Need:
        """Say that a deleted pod has ended, as nothing of it runs."""
        uid, path = next(iter(self._doomed.items()))
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        options["preconditions"] = {"uid": uid}

        def done(answer: Answer) -> None:
            self._doomed.pop(uid, None)

        failure = ("status_manager.go:918", "Failed to delete status for pod")
        return Need("DELETE", path, done, body=options, expected=(200, 404, 409), failure=failure)

    def _pods_need(self) -> Need | None:
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
        """Return the pods that are to be seen, of each name one: one that waits for the end of another is not."""
        phases = ("waiting", "terminating", "rejected", "running")
        order = sorted(self._workers.workers.values(), key=lambda worker: phases.index(worker.phase))
        return list({worker.pod.full_name: worker for worker in order if worker.pod.file}.values())

    def _delete(self, key: str, mirror: _Mirror, worker: Worker | None) -> Need:
        reference = f"{mirror.namespace}/{mirror.name}"
        if self._client.news(f"delete {mirror.uid}"):
            self._klog.info("kubelet.go:3203", "Trying to delete pod", pod=reference, podUID=mirror.uid)
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        if mirror.uid:
            options["preconditions"] = {"uid": mirror.uid}

        def done(answer: Answer) -> None:
            self._mirrors.pop(key, None)
            if worker is not None:
                words = "Deleted mirror pod as it didn't match the static Pod"
                self._klog.info("kubelet.go:3209", words, pod=reference)

        return Need(
            "DELETE",
            f"/api/v1/namespaces/{mirror.namespace}/pods/{mirror.name}",
            done,
            body=options,
            expected=(200, 404, 409),
            failure=("mirror_client.go:139", "Failed deleting a mirror pod"),
            values={"pod": reference},
        )

    def _create(self, key: str, worker: Worker) -> Need:
        pod = worker.pod
        if self._client.news(f"create {pod.uid}"):
            self._klog.info("kubelet.go:3220", "Creating a mirror pod for static pod", pod=pod.reference)

        def done(answer: Answer) -> None:
            if answer.status == 201:
                uid = _json(answer).get("metadata", {}).get("uid", "")
                self._mirrors[key] = _Mirror(pod.namespace, pod.name, pod.uid, uid)
            else:
                # Something of that name is there: it goes, if it is a pod that claims to be on this node.
                self._mirrors[key] = _Mirror(pod.namespace, pod.name, "", "")

        return Need(
            "POST",
            f"/api/v1/namespaces/{pod.namespace}/pods",
            done,
            body=pod_status.mirror(pod, self._config.node_name, self._node_uid),
            expected=(201, 409),
            failure=("kubelet.go:3222", "Failed creating a mirror pod for"),
            values={"pod": pod.reference},
        )

    def _report_pod(self, mirror: _Mirror, worker: Worker, status: Json) -> Need:
        def done(answer: Answer) -> None:
            if answer.status == 200:
                mirror.sent = status
            else:
                self._due["list"] = 0.0

        return Need(
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
