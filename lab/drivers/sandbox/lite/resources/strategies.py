"""Owns what is done to an object after defaulting and before validation: status reset, admission, what is allotted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from ..border import Json
from ..convert import stamp
from ..status import failure
from ..store import Key, Store
from . import ResourceType

GENERATIONS = frozenset({
    "pods", "deployments", "replicasets", "statefulsets", "daemonsets", "replicationcontrollers", "jobs",
    "cronjobs", "ingresses", "networkpolicies", "poddisruptionbudgets", "customresourcedefinitions", "flowschemas",
    "prioritylevelconfigurations", "validatingadmissionpolicies", "endpointslices", "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
})  # fmt: skip
"""Resources whose metadata.generation counts changes of what is wanted."""

_RESET = frozenset({
    "deployments", "replicasets", "statefulsets", "daemonsets", "replicationcontrollers", "jobs", "cronjobs",
    "ingresses", "poddisruptionbudgets", "horizontalpodautoscalers", "resourcequotas", "services", "persistentvolumes",
    "persistentvolumeclaims", "namespaces", "pods", "certificatesigningrequests", "apiservices",
    "customresourcedefinitions", "flowschemas", "prioritylevelconfigurations",
})  # fmt: skip
_MIRROR = "kubernetes.io/config.mirror"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_PRIORITIES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Strategy:
    """What preparing an object may look at; `part` is the subresource that is written."""

    store: Store
    kind: ResourceType
    now: datetime
    part: str = ""


def prepare_create(strategy: Strategy, obj: Json) -> None:
    """Make a decoded object ready to be kept, in place. ApiError 403: admission refuses it."""
    kind = strategy.kind
    if kind.name in _RESET:
        obj["status"] = {}
    if kind.name == "namespaces":
        obj["status"] = {"phase": "Active"}
        spec = obj["spec"] = obj.get("spec") or {}
        spec["finalizers"] = list(dict.fromkeys([*(spec.get("finalizers") or []), "kubernetes"]))
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    elif kind.name == "pods":
        _admit_pod(strategy, obj)
    elif kind.name == "services":
        _allot_address(strategy, obj)
    elif kind.name == "persistentvolumes":
        obj["status"] = {"phase": "Pending"}
        obj["metadata"]["finalizers"] = [*(obj["metadata"].get("finalizers") or []), "kubernetes.io/pv-protection"]
    elif kind.name == "persistentvolumeclaims":
        obj["status"] = {"phase": "Pending"}
        obj["metadata"]["finalizers"] = [*(obj["metadata"].get("finalizers") or []), "kubernetes.io/pvc-protection"]
    elif kind.name == "jobs":
        _label_job(obj)
    elif kind.name == "horizontalpodautoscalers":
        obj["status"] = {"desiredReplicas": 0, "currentMetrics": None} if kind.version == "v2" else {}
    elif kind.name == "cronjobs" or kind.group == "apps":
        pass


def prepare_update(strategy: Strategy, obj: Json, old: Json) -> None:
    """Keep what a write to this part may not change, in place."""
    part = strategy.part
    if part in ("status", "approval"):
        status = obj.get("status")
        meta = {**old["metadata"], **{k: obj["metadata"][k] for k in ("resourceVersion",) if k in obj["metadata"]}}
        for name in ("labels", "annotations", "finalizers", "ownerReferences"):
            if name in obj["metadata"] and strategy.kind.name == "nodes":
                meta[name] = obj["metadata"][name]
        meta.pop("managedFields", None)
        for name in [k for k in obj if k not in ("kind", "apiVersion", "metadata")]:
            del obj[name]
        obj.update({k: v for k, v in old.items() if k not in ("metadata", "status")})
        obj["metadata"] = meta
        if status is not None:
            obj["status"] = status
        return
    if part == "" and strategy.kind.name in _RESET | {"nodes"} and "status" in old:
        obj["status"] = old["status"]
    if strategy.kind.name == "namespaces":
        if part != "finalize":
            obj["spec"] = old.get("spec", {})
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    if strategy.kind.name == "services" and part == "":
        _keep_address(strategy, obj, old)
    if strategy.kind.name == "serviceaccounts" and "secrets" in old and "secrets" not in obj:
        obj["secrets"] = old["secrets"]


def _suffix() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def _admit_pod(strategy: Strategy, obj: Json) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}
    mirror = _MIRROR in (meta.get("annotations") or {})
    class_name = spec.get("priorityClassName")
    if class_name:
        found = strategy.store.get(Key("scheduling.k8s.io/priorityclasses", "", class_name))
        value = found["value"] if found else _PRIORITIES.get(class_name)
        if value is None:
            raise _forbidden(meta, f"no PriorityClass with name {class_name} was found")
        spec["priority"] = value
        spec["preemptionPolicy"] = (found or {}).get("preemptionPolicy", "PreemptLowerPriority")
    elif not mirror:
        spec["priority"] = 0
        spec["preemptionPolicy"] = "PreemptLowerPriority"
    if mirror:
        return
    spec["serviceAccountName"] = spec["serviceAccount"] = spec.get("serviceAccountName") or "default"
    account = strategy.store.get(Key("/serviceaccounts", meta.get("namespace", ""), spec["serviceAccountName"]))
    if account is None:
        name, namespace = spec["serviceAccountName"], meta.get("namespace", "")
        text = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise _forbidden(meta, text)
    if spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
        _mount_token(spec)
    tolerations = spec["tolerations"] = spec.get("tolerations") or []
    for condition in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{condition}"
        if not any(t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def _forbidden(meta: Json, why: str) -> Exception:
    name = meta.get("name", "")
    return failure(403, "Forbidden", f'pods "{name}" is forbidden: {why}', {"name": name, "kind": "pods"})


def _mount_token(spec: Json) -> None:
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    bare = [c for c in containers if not any(m.get("mountPath") == _TOKENS for m in c.get("volumeMounts") or [])]
    if not bare:
        return
    name = f"kube-api-access-{_suffix()}"
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    spec["volumes"] = [
        *(spec.get("volumes") or []),
        {"name": name, "projected": {"sources": sources, "defaultMode": 420}},
    ]
    for container in bare:
        mount = {"name": name, "readOnly": True, "mountPath": _TOKENS}
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]


def quality_of_service(spec: Json) -> str:
    """Return a pod's QoS class."""
    asked = limited = False
    guaranteed = True
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        asked |= any(n in ("cpu", "memory") for n in requests)
        limited |= any(n in ("cpu", "memory") for n in limits)
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits.get(name)) != limits[name]:
                guaranteed = False
    if not asked and not limited:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _allot_address(strategy: Strategy, obj: Json) -> None:
    spec = obj["spec"]
    obj["status"] = {"loadBalancer": {}}
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _free_address(strategy.store)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        used = {p.get("nodePort") for s in strategy.store.objects("/services") for p in s["spec"].get("ports") or []}
        for port in spec.get("ports") or []:
            while not port.get("nodePort"):
                number = 30000 + secrets.randbelow(2768)
                if number not in used:
                    port["nodePort"] = number
                    used.add(number)


def _free_address(store: Store) -> str:
    used = {s["spec"].get("clusterIP") for s in store.objects("/services")}
    while True:
        address = f"10.96.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        if address not in used:
            return address


def _keep_address(strategy: Strategy, obj: Json, old: Json) -> None:
    spec, was = obj["spec"], old["spec"]
    if spec.get("type") == "ExternalName":
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not spec.get(name) and was.get(name):
            spec[name] = was[name]
    if not spec.get("clusterIP"):
        status = obj.get("status")
        _allot_address(strategy, obj)
        obj["status"] = status or {"loadBalancer": {}}
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        ports = {(p.get("port"), p.get("protocol")): p.get("nodePort") for p in was.get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = ports.get((port.get("port"), port.get("protocol"))) or 30000 + secrets.randbelow(
                    2768
                )


def _label_job(obj: Json) -> None:
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    labels = {
        "batch.kubernetes.io/controller-uid": meta["uid"], "batch.kubernetes.io/job-name": meta.get("name", ""),
        "controller-uid": meta["uid"], "job-name": meta.get("name", ""),
    }  # fmt: skip
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}


__all__ = ["GENERATIONS", "Strategy", "prepare_create", "prepare_update", "quality_of_service", "stamp"]
