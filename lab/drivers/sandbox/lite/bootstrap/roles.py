"""Owns the roles of a fresh cluster, read from roles.txt, and their bindings."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from .. import resources
from ..border import Json
from .cluster import new_object

_RBAC = "rbac.authorization.k8s.io"
_API_VERSION = f"{_RBAC}/v1"
_VERBS = {"R": "get,list,watch", "W": "create,delete,deletecollection,patch,update"}
_AGGREGATED = ("admin", "edit", "view")
_DEFAULTS = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def _role_rules() -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    rules: list[Json] = []
    for line in files(resources).joinpath("roles.txt").read_text().splitlines():
        if line.startswith("= "):
            rules = found[line[2:]] = []
        elif line and not line.startswith("#"):
            rules.append(_rule(line))
    return found


def _rule(line: str) -> Json:
    verbs, what, *names = line.split(" ")
    groups, _, things = what.partition(":")
    rule: Json = {"verbs": _VERBS.get(verbs, verbs).split(",")}
    if groups == "urls":
        return {**rule, "nonResourceURLs": things.split(",")}
    rule["apiGroups"] = ["" if g == "core" else g for g in groups.split(",")]
    rule["resources"] = things.split(",")
    if names:
        rule["resourceNames"] = names[0].removeprefix("names=").split(",")
    return rule


def roles() -> Iterator[Json]:
    """Yield the cluster roles."""
    found = _role_rules()
    updated = {f"{_RBAC.replace('.k8s', '.kubernetes')}/autoupdate": "true"}
    for name, rules in found.items():
        labels = dict(_DEFAULTS)
        if name.startswith("system:aggregate-to-"):
            labels[f"rbac.authorization.k8s.io/aggregate-to-{name.removeprefix('system:aggregate-to-')}"] = "true"
        own = name.startswith("kubeadm:") or name == "system:coredns"
        given: Json = {} if own else {"labels": labels, "annotations": updated}
        yield new_object("ClusterRole", _API_VERSION, name, rules=rules, **given)
    lower = {"view": ["view"], "edit": ["edit", "view"], "admin": ["admin", "edit", "view"]}
    for name in _AGGREGATED:
        rules = [rule for part in lower[name] for rule in found[f"system:aggregate-to-{part}"]]
        label = f"rbac.authorization.k8s.io/aggregate-to-{name}"
        above = {"view": "edit", "edit": "admin"}.get(name)
        labels = {**_DEFAULTS, **({f"rbac.authorization.k8s.io/aggregate-to-{above}": "true"} if above else {})}
        chosen: Json = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
        yield new_object(
            "ClusterRole", _API_VERSION, name, labels=labels, annotations=updated, aggregationRule=chosen, rules=rules
        )


def bindings() -> Iterator[Json]:
    """Yield the cluster role bindings."""
    updated = {f"{_RBAC.replace('.k8s', '.kubernetes')}/autoupdate": "true"}

    def binding(name: str, role: str, *subjects: Json, own: bool = False) -> Json:
        given: Json = {} if own else {"labels": dict(_DEFAULTS), "annotations": updated}
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
        return new_object("ClusterRoleBinding", _API_VERSION, name, subjects=list(subjects), roleRef=reference, **given)

    def group(name: str) -> Json:
        return {"kind": "Group", "apiGroup": _RBAC, "name": name}

    def user(name: str) -> Json:
        return {"kind": "User", "apiGroup": _RBAC, "name": name}

    def account(name: str) -> Json:
        return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}

    yield binding("cluster-admin", "cluster-admin", group("system:masters"))
    yield binding("system:discovery", "system:discovery", group("system:authenticated"))
    yield binding("system:basic-user", "system:basic-user", group("system:authenticated"))
    public = (group("system:authenticated"), group("system:unauthenticated"))
    yield binding("system:public-info-viewer", "system:public-info-viewer", *public)
    yield binding("system:monitoring", "system:monitoring", group("system:monitoring"))
    issuer = "system:service-account-issuer-discovery"
    yield binding(issuer, issuer, group("system:serviceaccounts"))
    yield binding("system:node", "system:node")
    yield binding("system:node-proxier", "system:node-proxier", user("system:kube-proxy"))
    for name in ("system:kube-controller-manager", "system:kube-scheduler"):
        yield binding(name, name, user(name))
    yield binding("system:volume-scheduler", "system:volume-scheduler", user("system:kube-scheduler"))
    yield binding("system:kube-dns", "system:kube-dns", account("kube-dns"))
    yield binding("kubeadm:cluster-admins", "cluster-admin", group("kubeadm:cluster-admins"), own=True)
    bootstrappers = group("system:bootstrappers:kubeadm:default-node-token")
    yield binding("kubeadm:get-nodes", "kubeadm:get-nodes", bootstrappers, own=True)
    yield binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", bootstrappers, own=True)
    requests = "system:certificates.k8s.io:certificatesigningrequests"
    yield binding("kubeadm:node-autoapprove-bootstrap", f"{requests}:nodeclient", bootstrappers, own=True)
    rotation = "kubeadm:node-autoapprove-certificate-rotation"
    yield binding(rotation, f"{requests}:selfnodeclient", group("system:nodes"), own=True)
    yield binding("kubeadm:node-proxier", "system:node-proxier", account("kube-proxy"), own=True)
    yield binding("system:coredns", "system:coredns", account("coredns"), own=True)
