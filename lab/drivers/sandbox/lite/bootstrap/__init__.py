"""Owns the objects of a fresh cluster: namespaces, the node, roles, and what kubeadm leaves in kube-system.

There is no controller behind them: they are what `kubectl get` finds on a control plane that has just come up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..border import Json
from .addons import coredns, kube_proxy
from .cluster import Cluster, new_object
from .control_plane import config_maps, leases, node_object, priority_classes, services
from .roles import bindings, roles

__all__ = ["Cluster", "fresh_cluster"]


def fresh_cluster(cluster: Cluster, now: datetime) -> Iterator[Json]:
    """Yield the objects that every cluster starts with, in the order they are made."""
    for name in ("kube-system", "kube-public", "kube-node-lease", "default"):
        yield new_object("Namespace", "v1", name)
    yield from priority_classes()
    yield from roles()
    yield from bindings()
    yield node_object(cluster, now)
    yield from services(cluster)
    yield from leases(cluster, now)
    for name in ("scheduler", "controller-manager", "etcd-0"):
        healthy = {"type": "Healthy", "status": "True", "message": "ok"}
        yield new_object("ComponentStatus", "v1", name, conditions=[healthy])
    yield from config_maps(cluster)
    for account in ("coredns", "kube-proxy"):
        yield new_object("ServiceAccount", "v1", account, "kube-system")
    yield from coredns(cluster, now)
    yield kube_proxy(cluster)
