"""Owns what the API server is told about a static pod: its mirror and its status.

Source: kubelet 1.34, pkg/kubelet/pod/mirror_client.go and kubelet_pods.go.
"""

from __future__ import annotations

import copy
from typing import Any

from ..runtime import ContainerStatus
from .clock import rfc3339
from .pod_spec import Container, StaticPod
from .pod_worker import Statuses, Worker, image_id
from .probes import Prober

MIRROR = "kubernetes.io/config.mirror"
Json = dict[str, Any]


def mirror(pod: StaticPod, node: str, node_uid: str) -> Json:
    """Return the object that stands for the pod in the API."""
    metadata = pod.raw.get("metadata") or {}
    annotations = {
        **(metadata.get("annotations") or {}),
        "kubernetes.io/config.hash": pod.uid,
        MIRROR: pod.uid,
        "kubernetes.io/config.seen": rfc3339_local(pod.seen),
        "kubernetes.io/config.source": "file",
    }
    spec = copy.deepcopy(dict(pod.raw.get("spec") or {}))
    spec["nodeName"] = node
    spec["tolerations"] = [{"effect": "NoExecute", "operator": "Exists"}, *(spec.get("tolerations") or ())]
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid, "controller": True}
    kept: Json = {"name": pod.name, "namespace": pod.namespace, "annotations": annotations}
    if metadata.get("labels"):
        kept["labels"] = dict(metadata["labels"])
    kept["ownerReferences"] = [owner]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": kept, "spec": spec}


def rfc3339_local(epoch: float) -> str:
    """Return a moment as the kubelet writes it in annotations: nine decimals."""
    return rfc3339(epoch)[:-1] + f".{int(epoch % 1 * 1e9):09d}Z"


def status(worker: Worker, statuses: Statuses, prober: Prober, node_ip: str) -> Json:
    """Return the pod's status, without the times of condition changes (see `stamp`)."""
    pod = worker.pod
    if worker.refusal is not None:
        return {
            "phase": "Failed",
            "reason": worker.refusal.reason,
            "message": f"Pod was rejected: {worker.refusal.message}",
            "startTime": rfc3339(worker.start_time or 0),
        }
    containers = [_container(worker, item, statuses, prober) for item in pod.containers]
    initial = [_container(worker, item, statuses, prober) for item in pod.init_containers]
    initialized = all(
        item["started"] if container.sidecar else item["state"].get("terminated", {}).get("exitCode") == 0
        for item, container in zip(initial, pod.init_containers, strict=True)
    )
    ready = initialized and all(item["ready"] for item in containers)
    unready = [item["name"] for item in containers if not item["ready"]]
    why: Json = {}
    if not ready:
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    found: Json = {
        "phase": _phase(pod, containers, initialized),
        "conditions": [
            _condition("PodReadyToStartContainers", worker.sandbox is not None),
            _condition("Initialized", initialized),
            {**_condition("Ready", ready), **why},
            {**_condition("ContainersReady", ready), **why},
            _condition("PodScheduled", True),
        ],
        "hostIP": node_ip,
        "hostIPs": [{"ip": node_ip}],
        "podIP": node_ip,
        "podIPs": [{"ip": node_ip}],
        "containerStatuses": containers,
        "qosClass": "Burstable" if any(c.cpu_request for c in pod.containers) else "BestEffort",
    }
    if worker.start_time is not None:
        found["startTime"] = rfc3339(worker.start_time)
    if initial:
        found["initContainerStatuses"] = initial
    return found


def stamp(status: Json, before: Json | None, now: float) -> Json:
    """Return the status with the time of each condition's last change, taken from the status sent before."""
    known = {c["type"]: c for c in (before or {}).get("conditions", ())}
    conditions = []
    for condition in status.get("conditions", ()):
        old = known.get(condition["type"])
        moment = old["lastTransitionTime"] if old and old["status"] == condition["status"] else rfc3339(now)
        conditions.append({**condition, "lastProbeTime": None, "lastTransitionTime": moment})
    return {**status, "conditions": conditions} if conditions else status


def _condition(kind: str, holds: bool) -> Json:
    return {"type": kind, "status": "True" if holds else "False"}


def _phase(pod: StaticPod, containers: list[Json], initialized: bool) -> str:
    if not initialized:
        return "Pending"
    ended = [item["state"]["terminated"] for item in containers if "terminated" in item["state"]]
    if pod.restart_policy != "Always" and len(ended) == len(containers):
        return "Succeeded" if all(end["exitCode"] == 0 for end in ended) else "Failed"
    started = [item for item in containers if "waiting" not in item["state"] or item["lastState"]]
    return "Running" if len(started) == len(containers) else "Pending"


def _container(worker: Worker, container: Container, statuses: Statuses, prober: Prober) -> Json:
    group = statuses.get(container.name, ())
    newest = group[0] if group else None
    running = newest is not None and newest.state == "running"
    waiting = worker.waiting.get(container.name)
    found: Json = {
        "name": container.name,
        "state": {},
        "lastState": {},
        "ready": running and newest is not None and prober.ready(newest.id),
        "restartCount": newest.spec.attempt if newest else 0,
        "image": container.image,
        "imageID": image_id(container.image, worker.host.version) if newest else "",
        "started": running and newest is not None and prober.started(newest.id),
    }
    if newest is None:
        reason = "ContainerCreating" if not worker.pod.init_containers else "PodInitializing"
        found["state"] = _waiting(waiting.reason, waiting.message) if waiting else _waiting(reason)
        return found
    found["containerID"] = f"containerd://{newest.id}"
    if newest.state == "running":
        found["state"] = {"running": {"startedAt": rfc3339(newest.started or newest.created)}}
        if len(group) > 1 and group[1].state == "exited":
            found["lastState"] = {"terminated": terminated(group[1])}
    elif newest.state == "exited":
        if waiting:
            found["state"] = _waiting(waiting.reason, waiting.message)
            found["lastState"] = {"terminated": terminated(newest)}
        else:
            found["state"] = {"terminated": terminated(newest)}
            if len(group) > 1:
                found["lastState"] = {"terminated": terminated(group[1])}
    else:
        found["state"] = _waiting("ContainerCreating")
    return found


def _waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def terminated(status: ContainerStatus) -> Json:
    """Return how a container ended, as the API tells it."""
    code = status.exit_code or 0
    found: Json = {
        "exitCode": code,
        "reason": status.reason or ("Error" if code else "Completed"),
        "startedAt": rfc3339(status.started) if status.started else "1970-01-01T00:00:00Z",
        "finishedAt": rfc3339(status.finished or status.created),
        "containerID": f"containerd://{status.id}",
    }
    if status.message:
        found["message"] = status.message
    return found
