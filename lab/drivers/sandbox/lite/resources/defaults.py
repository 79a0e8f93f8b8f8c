"""Owns defaulting: what the API server fills in as soon as it has decoded an object (Source: 1.34 recordings)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from ..border import Json
from . import ResourceType

_RBAC = "rbac.authorization.k8s.io"


def default(kind: ResourceType, obj: Json) -> None:
    """Fill in an object's defaults, in place."""
    obj.setdefault("metadata", {})
    filler = _FILLERS.get((kind.group, kind.name))
    if filler:
        filler(obj)


def _of(parent: Json, name: str) -> Json:
    """Return a part that is an object, making it where it is missing."""
    part = parent.get(name)
    if not isinstance(part, dict):
        part = parent[name] = {}
    return part


def _fill(part: Json, **values: Any) -> None:
    for name, value in values.items():
        if part.get(name) in (None, ""):
            part[name] = value


# pods


def pod_spec(spec: Json, *, template: bool = False) -> None:
    """Fill in a pod's spec, in place."""
    _fill(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    _fill(spec, terminationGracePeriodSeconds=30, securityContext={})
    if not template:
        _fill(spec, enableServiceLinks=True)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or []:
        _volume(volume)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(name) or []:
            _container(container, host_network=bool(spec.get("hostNetwork")), template=template)


def _volume(volume: Json) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(volume.get(name), dict):
            _fill(volume[name], defaultMode=420)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for source in (volume.get("projected") or {}).get("sources") or []:
        if isinstance(source.get("serviceAccountToken"), dict):
            _fill(source["serviceAccountToken"], expirationSeconds=3600)
    for holder in (volume.get("downwardAPI") or {}, *((volume.get("projected") or {}).get("sources") or [])):
        for item in (holder.get("items") or (holder.get("downwardAPI") or {}).get("items")) or []:
            if isinstance(item.get("fieldRef"), dict):
                _fill(item["fieldRef"], apiVersion="v1")


def _container(container: Json, *, host_network: bool, template: bool) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2] if "@" not in image else "digest"
    _fill(container, imagePullPolicy="Always" if image and tag in ("", "latest") else "IfNotPresent")
    _fill(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
    _fill(container, resources={})
    for port in container.get("ports") or []:
        _fill(port, protocol="TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort", 0)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(name), dict):
            _fill(container[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            _fill(reference, apiVersion="v1")
    limits = container["resources"].get("limits")
    if limits and not template:
        requests = _of(container["resources"], "requests")
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _handler(probe: Json) -> None:
    if isinstance(probe.get("httpGet"), dict):
        _fill(probe["httpGet"], path="/", scheme="HTTP")
    if isinstance(probe.get("grpc"), dict):
        probe["grpc"].setdefault("service", "")


def _pod(obj: Json) -> None:
    pod_spec(_of(obj, "spec"))
    _of(obj, "status")


def _template(spec: Json) -> None:
    pod_spec(_of(_of(spec, "template"), "spec"), template=True)


# workloads


def _deployment(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _of(spec, "strategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_of(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _replica_set(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, replicas=1)
    _template(spec)


def _replication_controller(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, replicas=1)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)
    if spec.get("template"):
        _template(spec)


def _daemon_set(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, revisionHistoryLimit=10)
    strategy = _of(spec, "updateStrategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_of(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
    _template(spec)


def _stateful_set(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    strategy = _of(spec, "updateStrategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_of(strategy, "rollingUpdate"), partition=0)
    _fill(_of(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        _claim(claim)
    _template(spec)


def _job_spec(spec: Json) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    _fill(spec, parallelism=1, backoffLimit=6, suspend=False, completionMode="NonIndexed", manualSelector=False)
    policy = spec.get("podFailurePolicy")
    _fill(spec, podReplacementPolicy="Failed" if policy else "TerminatingOrFailed")
    _template(spec)


def _job(obj: Json) -> None:
    spec = _of(obj, "spec")
    _job_spec(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _cron_job(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    inner = _of(_of(spec, "jobTemplate"), "spec")
    _template(inner)


# the rest


def _namespace(obj: Json) -> None:
    _fill(_of(obj, "status"), phase="Active")
    name = obj["metadata"].get("name")
    if name:
        _of(obj["metadata"], "labels")["kubernetes.io/metadata.name"] = name


def _secret(obj: Json) -> None:
    _fill(obj, type="Opaque")
    text = obj.pop("stringData", None)
    if text:
        data = obj.get("data") or {}
        data |= {name: base64.b64encode(value.encode()).decode() for name, value in text.items()}
        obj["data"] = data


def _service(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        _fill(_of(_of(spec, "sessionAffinityConfig"), "clientIP"), timeoutSeconds=10800)
    for port in spec.get("ports") or []:
        _fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster")


def _endpoints(obj: Json) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            _fill(port, protocol="TCP")


def _endpoint_slice(obj: Json) -> None:
    for port in obj.get("ports") or []:
        port.setdefault("name", "")
        _fill(port, protocol="TCP")


def _volume_of_cluster(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")
    _fill(_of(obj, "status"), phase="Pending")


def _claim(obj: Json) -> None:
    _fill(_of(obj, "spec"), volumeMode="Filesystem")
    _fill(_of(obj, "status"), phase="Pending")


def _limit_range(obj: Json) -> None:
    for item in _of(obj, "spec").get("limits") or []:
        if item.get("type") == "Container":
            for name, amount in (item.get("max") or {}).items():
                _of(item, "default").setdefault(name, amount)
            for name, amount in (item.get("default") or {}).items():
                _of(item, "defaultRequest").setdefault(name, amount)
            for name, amount in (item.get("min") or {}).items():
                _of(item, "defaultRequest").setdefault(name, amount)


def _binding(obj: Json) -> None:
    _fill(_of(obj, "roleRef"), apiGroup=_RBAC)
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup=_RBAC)


def _network_policy(obj: Json) -> None:
    spec = _of(obj, "spec")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        for port in rule.get("ports") or []:
            _fill(port, protocol="TCP")


def _autoscaler(obj: Json) -> None:
    spec = _of(obj, "spec")
    _fill(spec, minReplicas=1)
    if obj.get("apiVersion") == "autoscaling/v2" and not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _storage_class(obj: Json) -> None:
    _fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _priority_class(obj: Json) -> None:
    _fill(obj, preemptionPolicy="PreemptLowerPriority")


def _pod_template(obj: Json) -> None:
    pod_spec(_of(_of(obj, "template"), "spec"), template=True)


_FILLERS: dict[tuple[str, str], Callable[[Json], None]] = {
    ("", "pods"): _pod,
    ("", "podtemplates"): _pod_template,
    ("", "replicationcontrollers"): _replication_controller,
    ("", "namespaces"): _namespace,
    ("", "secrets"): _secret,
    ("", "services"): _service,
    ("", "endpoints"): _endpoints,
    ("", "persistentvolumes"): _volume_of_cluster,
    ("", "persistentvolumeclaims"): _claim,
    ("", "limitranges"): _limit_range,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "statefulsets"): _stateful_set,
    ("batch", "jobs"): _job,
    ("batch", "cronjobs"): _cron_job,
    (_RBAC, "rolebindings"): _binding,
    (_RBAC, "clusterrolebindings"): _binding,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("storage.k8s.io", "storageclasses"): _storage_class,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
}
