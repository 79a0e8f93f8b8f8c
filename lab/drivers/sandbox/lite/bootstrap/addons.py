"""Owns what runs in kube-system: CoreDNS and kube-proxy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..border import Json
from ..convert import stamp
from .cluster import Cluster, new_object


def coredns(cluster: Cluster, now: datetime) -> Iterator[Json]:
    """Yield the deployment, its replica set and its pods."""
    labels = {"k8s-app": "kube-dns"}
    spec = {
        "containers": [
            {
                "name": "coredns",
                "image": "registry.k8s.io/coredns/coredns:v1.12.1",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {"containerPort": 53, "name": "dns", "protocol": "UDP"},
                    {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
                    {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
                ],
                "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
                "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "volumes": [
            {
                "name": "config-volume",
                "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
            }
        ],
    }
    at = stamp(now)
    counts = {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastUpdateTime": at,
            "lastTransitionTime": at,
            "reason": reason,
            "message": words,
        }
        for kind, reason, words in (
            ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            ("Progressing", "NewReplicaSetAvailable", 'ReplicaSet "coredns-66bc5c9577" has successfully progressed.'),
        )
    ]
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": "25%"}}
    yield new_object(
        "Deployment", "apps/v1", "coredns", "kube-system", labels=labels,
        annotations={"deployment.kubernetes.io/revision": "1"},
        spec={"replicas": 2, "selector": {"matchLabels": labels}, "strategy": rolling,
              "template": {"metadata": {"labels": labels}, "spec": spec}},
        status={"observedGeneration": 1, "updatedReplicas": 2, **counts, "conditions": conditions},
    )  # fmt: skip
    hashed = {**labels, "pod-template-hash": "66bc5c9577"}
    yield new_object(
        "ReplicaSet", "apps/v1", "coredns-66bc5c9577", "kube-system", labels=hashed,
        annotations={"deployment.kubernetes.io/desired-replicas": "2", "deployment.kubernetes.io/max-replicas": "3",
                     "deployment.kubernetes.io/revision": "1"},
        spec={"replicas": 2, "selector": {"matchLabels": hashed},
              "template": {"metadata": {"labels": hashed}, "spec": spec}},
        status={"observedGeneration": 1, "fullyLabeledReplicas": 2, **counts},
    )  # fmt: skip
    for number, suffix in enumerate(("k8x2w", "v5t9m"), 2):
        yield new_object(
            "Pod", "v1", f"coredns-66bc5c9577-{suffix}", "kube-system", labels=hashed,
            spec={**spec, "nodeName": cluster.node}, status=_running(cluster, now, f"10.244.0.{number}", "coredns"),
        )  # fmt: skip


def _running(cluster: Cluster, now: datetime, address: str, container: str) -> Json:
    at = stamp(now)
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": k, "status": "True", "lastProbeTime": None, "lastTransitionTime": at} for k in kinds]
    image = "registry.k8s.io/coredns/coredns:v1.12.1"
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": cluster.address,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": at,
        "containerStatuses": [
            {
                "name": container,
                "state": {"running": {"startedAt": at}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": image,
                "imageID": image,
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }


def kube_proxy(cluster: Cluster) -> Json:
    """Return the daemon set."""
    labels = {"k8s-app": "kube-proxy"}
    spec = {
        "containers": [
            {
                "name": "kube-proxy",
                "image": f"registry.k8s.io/kube-proxy:{cluster.version}",
                "command": [
                    "/usr/local/bin/kube-proxy",
                    "--config=/var/lib/kube-proxy/config.conf",
                    "--hostname-override=$(NODE_NAME)",
                ],
                "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                "securityContext": {"privileged": True},
            }
        ],
        "hostNetwork": True,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "priorityClassName": "system-node-critical",
        "serviceAccountName": "kube-proxy",
        "tolerations": [{"operator": "Exists"}],
    }
    return new_object(
        "DaemonSet", "apps/v1", "kube-proxy", "kube-system", labels=labels,
        annotations={"deprecated.daemonset.template.generation": "1"},
        spec={"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
        status={"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberAvailable": 1, "numberMisscheduled": 0,
                "numberReady": 1, "observedGeneration": 1, "updatedNumberScheduled": 1},
    )  # fmt: skip
