"""Owns what the API server is told about the node itself: the Node object, its status and its lease.

Source: kubelet 1.34, pkg/kubelet/nodestatus and pkg/kubelet/kubelet_node_status.go;
component-helpers/apimachinery/lease.
"""

from __future__ import annotations

import os
import time
from typing import Any

from .clock import rfc3339
from .config import Config
from .images import images

Json = dict[str, Any]
LEASE_SECONDS = 40
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node(config: Config) -> Json:
    """Return the object that the kubelet registers."""
    machine = architecture()
    labels = {
        "beta.kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine,
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
    }
    annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": config.node_name, "labels": labels, "annotations": annotations},
        "spec": {},
    }


def node_status(config: Config, now: float, since: float) -> Json:
    """Return the node's status at `now`; its conditions hold since `since` (seconds since the epoch)."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    capacity = {"cpu": str(config.cpus), "memory": f"{memory}Ki", "pods": "110", "hugepages-2Mi": "0"}
    system = os.uname()
    return {
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip},
            {"type": "Hostname", "address": config.node_name},
        ],
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": [
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": rfc3339(now),
                "lastTransitionTime": rfc3339(since),
                "reason": reason,
                "message": message,
            }
            for kind, status, reason, message in _HEALTHY
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": system.release,
            "osImage": "CKS Lab sandbox",
            "containerRuntimeVersion": "containerd://2.1.5",
            "kubeletVersion": config.version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": architecture(),
        },
        "images": [
            {"names": [image.digest, image.reference], "sizeBytes": image.size} for image in images(config.version)
        ],
    }


def architecture() -> str:
    """Return the machine's architecture by Go's name."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def lease(config: Config, node_uid: str, now: float) -> Json:
    """Return the node's lease, renewed at `now`."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": config.node_name, "uid": node_uid}
    return {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": config.node_name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": config.node_name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_time(now),
        },
    }


def micro_time(now: float) -> str:
    """Return a moment as metav1.MicroTime: UTC, six decimals."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
