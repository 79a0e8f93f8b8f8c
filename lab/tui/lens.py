"""Owns what the lens looks at: which requests are asked about, and what the policy says of each.

The rows are the resources a cluster is full of and those that the policy names, so that every rule shows somewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checkers.kube.audit_policy import Decision, Policy

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
SHORT = ("get", "lis", "wat", "cre", "upd", "pat", "del", "dco")
LETTERS = ("N", "M", "R", "RR")
"""The letters of the levels None, Metadata, Request and RequestResponse, by the level's number."""

_RESOURCES = (
    ("", "configmaps", ""), ("", "secrets", ""), ("", "pods", ""), ("", "pods", "exec"), ("", "pods", "log"),
    ("", "services", ""), ("", "serviceaccounts", ""), ("", "serviceaccounts", "token"), ("", "events", ""),
    ("", "namespaces", ""), ("", "nodes", ""), ("apps", "deployments", ""), ("batch", "jobs", ""),
    ("coordination.k8s.io", "leases", ""), ("rbac.authorization.k8s.io", "roles", ""),
    ("rbac.authorization.k8s.io", "clusterroles", ""), ("authentication.k8s.io", "tokenreviews", ""),
)  # fmt: skip
_CLUSTER_WIDE = {"namespaces", "nodes", "clusterroles", "clusterrolebindings", "tokenreviews", "persistentvolumes"}
_PATHS = ("/healthz", "/version", "/metrics")
_MOST_LOOKS = 200_000
"""Rules that are looked at for the rows that a policy names: a tenth of a second."""
_FEWEST = 10
_SHORTEST_HEAD = 4
ADMIN = ("kubernetes-admin", ("kubeadm:cluster-admins", "system:authenticated"))


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Whose requests are looked at, and in which namespace."""

    user: str = ADMIN[0]
    groups: tuple[str, ...] = ADMIN[1]
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Row:
    """One resource or path: its label, and a decision a verb (None where there is no such request)."""

    label: str
    decisions: tuple[Decision | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows, and how many resources and paths that the policy names have no row: it names too many."""

    rows: list[Row]
    left_out: int


def table(policy: Policy, view: Viewpoint) -> Table:
    """Return the table of the lens for a policy, seen by one user in one namespace."""
    from checkers.kube.audit_policy import Attributes, evaluate

    named, paths = _named(policy), _named_paths(policy)
    most = max(_FEWEST, _MOST_LOOKS // (len(VERBS) * max(1, len(policy.rules))))
    resources = list(dict.fromkeys([*named[:most], *_RESOURCES]))
    groups = Counter((resource, subresource) for _, resource, subresource in resources)
    found: list[Row] = []
    for group, resource, subresource in resources:
        namespace = "" if resource in _CLUSTER_WIDE else view.namespace
        decisions = [
            evaluate(
                policy,
                Attributes(
                    user=view.user, groups=view.groups, verb=verb, group=group, resource=resource,
                    subresource=subresource, namespace=namespace,
                    name="" if verb in ("list", "watch", "create", "deletecollection") else "x",
                ),
            )
            for verb in VERBS
        ]  # fmt: skip
        label = f"{resource}.{group}" if group and groups[resource, subresource] > 1 else resource
        found.append(Row(f"{label}/{subresource}" if subresource else label, tuple(decisions)))
    for path in dict.fromkeys([*paths[:most], *_PATHS]):
        get = evaluate(policy, Attributes(user=view.user, groups=view.groups, verb="get", path=path))
        found.append(Row(path, (get, *[None] * (len(VERBS) - 1))))
    return Table(found, len(named[most:]) + len(paths[most:]))


def shortened(label: str, width: int) -> str:
    """Return a label that fits: a subresource is what tells rows apart, so it stays whole where it can."""
    if len(label) <= width:
        return label
    head, slash, tail = label.partition("/")
    room = width - len(tail) - 2
    if head and slash and room >= _SHORTEST_HEAD:
        return f"{head[:room]}…/{tail}"
    return f"{label[: width - 1]}…"


def viewpoints(policy: Policy) -> tuple[list[tuple[str, tuple[str, ...]]], list[str]]:
    """Return the users (with their groups) and the namespaces worth looking from: the usual, the policy's."""
    users = {ADMIN[0]: ADMIN[1], "jane": ("system:authenticated",), "system:anonymous": ("system:unauthenticated",)}
    spaces = {"default": None, "kube-system": None}
    for rule in policy.rules:
        users |= {user: ("system:authenticated",) for user in _texts(rule.users) if user not in users}
        users |= {
            f"a member of {group}": (group, "system:authenticated")
            for group in _texts(rule.user_groups)
            if not group.startswith("system:") and f"a member of {group}" not in users
        }
        spaces |= {space: None for space in _texts(rule.namespaces) if space}
    return list(users.items()), list(spaces)


def _named(policy: Policy) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str, str], None] = {}
    for rule in policy.rules:
        for entry in rule.resources:
            for name in entry.resources:
                resource, _, subresource = name.partition("/")
                if resource and "*" not in name:
                    found["" if entry.group == "*" else entry.group, resource, subresource] = None
    return list(found)


def _named_paths(policy: Policy) -> list[str]:
    return list(dict.fromkeys(path.rstrip("*") or "/" for rule in policy.rules for path in rule.non_resource_urls))


def _texts(values: Sequence[str] | None) -> list[str]:
    return list(values or ())
