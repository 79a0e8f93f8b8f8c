"""Owns what `kubeadm init` does once a real API server answers: the administrators' rights, and kube-system's objects.

The lite API server starts with them. What a real one makes by itself (namespaces, its own roles, the service
`kubernetes`) is not made here, and the node is its kubelet's.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from ...errors import LabError
from ..base import ApiAccess, ApiResponse
from .lite.bootstrap import Cluster, fresh_cluster
from .lite.border import Json

_PLACES = {
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ConfigMap": ("api/v1", "configmaps"),
    "DaemonSet": ("apis/apps/v1", "daemonsets"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Pod": ("api/v1", "pods"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
}
_MERGE = "application/merge-patch+json"
_TIMEOUT = 30.0
_NOT_YET = (403, 404, 409, 429, 500, 503)
"""What a server says of namespaces, priority classes and accounts that it is about to make."""
_LOOK_AGAIN = 0.05


def finish(api: ApiAccess, node: str, address: str, version: str) -> None:
    """Make what is missing; `api` is one that nobody refuses anything. Raises LabError."""
    for each in fresh_cluster(Cluster(node=node, address=address, version=version), datetime.now(UTC)):
        kind = each["kind"]
        if kind == "Node":
            kept = {"labels": each["metadata"]["labels"], "annotations": each["metadata"]["annotations"]}
            _send(api, "PATCH", f"/api/v1/nodes/{node}", {"metadata": kept, "spec": each["spec"]}, (200,))
        elif kind in _PLACES and _is_kubeadms(each):
            _make(api, each)


def _is_kubeadms(each: Json) -> bool:
    name = each["metadata"]["name"]
    if each["kind"] in ("ClusterRole", "ClusterRoleBinding"):
        return str(name).startswith("kubeadm:") or name == "system:coredns"
    return name not in ("kubernetes", "extension-apiserver-authentication")


def _make(api: ApiAccess, each: Json) -> None:
    group, resource = _PLACES[each["kind"]]
    namespace = each["metadata"].get("namespace")
    folder = f"/{group}/" + (f"namespaces/{namespace}/" if namespace else "") + resource
    # One that is there already is from a start that was cut off.
    _send(api, "POST", folder, each, (201, 409))
    if "status" in each:
        name = each["metadata"]["name"]
        _send(api, "PATCH", f"{folder}/{name}/status", {"status": each["status"]}, (200,))


def _send(api: ApiAccess, method: str, path: str, body: Json, good: tuple[int, ...]) -> ApiResponse:
    kind = _MERGE if method == "PATCH" else "application/json"
    headers = {"Content-Type": kind, "Accept": "application/json", "User-Agent": "kubeadm"}
    deadline = time.monotonic() + _TIMEOUT
    while True:
        answer = api.request(method, path, body=json.dumps(body).encode(), headers=headers, timeout=_TIMEOUT)
        if answer.status in good:
            return answer
        if answer.status not in _NOT_YET or time.monotonic() > deadline:
            said = answer.body.decode("utf-8", "replace")[:500]
            raise LabError(f"the API server refused {method} {path} ({answer.status}): {said}", "cks-lab doctor")
        time.sleep(_LOOK_AGAIN)
