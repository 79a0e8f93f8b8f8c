"""Owns the Node authorizer: what a kubelet may do, which depends on the pods that are bound to its node.

Source: kube-apiserver 1.34, plugin/pkg/auth/authorizer/node (with AuthorizeNodeWithSelectors).
"""

from __future__ import annotations

from collections.abc import Iterator

from checkers.kube.request_info import exact_field

from .authz import Access, Decision, Json, Objects, allows

_PREFIX = "system:node:"


def _rule(verbs: str, group: str, *resources: str) -> Json:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": list(resources)}


_RULES = (
    _rule("create", "authentication.k8s.io", "tokenreviews"),
    _rule("create", "authorization.k8s.io", "subjectaccessreviews", "localsubjectaccessreviews"),
    _rule("get list watch", "", "services"),
    _rule("create", "", "nodes"),
    _rule("update patch", "", "nodes", "nodes/status"),
    _rule("create update patch", "", "events"),
    _rule("create delete", "", "pods"),
    _rule("update patch", "", "pods/status"),
    _rule("create", "", "pods/eviction"),
    _rule("get", "", "endpoints"),
    _rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    _rule("get", "storage.k8s.io", "volumeattachments"),
    _rule("get list watch", "storage.k8s.io", "csidrivers"),
    _rule("get list watch", "node.k8s.io", "runtimeclasses"),
    _rule("get create update patch delete", "storage.k8s.io", "csinodes"),
)
"""What every node may do without a look at its pods."""

_SOURCES = {"secrets": ("secret", "secretName"), "configmaps": ("configMap", "name")}


class NodeAuthorizer:
    """Decides for users `system:node:NAME` in the group system:nodes, has no opinion about others."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def decide(self, access: Access) -> Decision | None:
        """Return what a node may do; None for other users."""
        if not access.user.name.startswith(_PREFIX) or "system:nodes" not in access.user.groups or access.path:
            return None
        node = access.user.name.removeprefix(_PREFIX)
        if access.group == "":
            decision = self._core(access, node)
            if decision is not None:
                return decision
        if access.group == "coordination.k8s.io" and access.resource == "leases":
            named = access.name == node or (access.verb == "create" and not access.name)
            own = access.namespace == "kube-node-lease" and named
            why = "can only access node lease with the same name as the requesting node"
            return Decision(own, "" if own else why)
        if any(allows(rule, access) for rule in _RULES):
            return Decision(True)
        return None

    def _core(self, access: Access, node: str) -> Decision | None:
        reading = access.verb in ("get", "list", "watch")
        if access.resource == "nodes" and not access.subresource and reading:
            if access.name == node:
                return Decision(True)
            return (
                Decision(False, f"node '{node}' cannot read '{access.name}', only its own Node object")
                if access.name
                else None
            )
        if access.resource == "pods" and not access.subresource and reading:
            return self._pods(access, node)
        if access.resource in _SOURCES and not access.subresource and reading:
            if access.name and any(
                access.name in _named(pod, access.resource) for pod in self._bound(node, access.namespace)
            ):
                return Decision(True)
            return Decision(False, f"no relationship found between node '{node}' and this object")
        if access.resource == "serviceaccounts" and access.subresource == "token" and access.verb == "create":
            accounts = {pod["spec"].get("serviceAccountName") for pod in self._bound(node, access.namespace)}
            if access.name in accounts:
                return Decision(True)
            return Decision(False, f"no relationship found between node '{node}' and this object")
        return None

    def _pods(self, access: Access, node: str) -> Decision:
        if access.name:
            pod = self._objects.get("", "pods", access.namespace, access.name)
            if access.verb == "get" and (pod is None or pod["spec"].get("nodeName") == node):
                return Decision(True)
        if exact_field(access.field_selector, "spec.nodeName") == node:
            return Decision(True)
        return Decision(False, "can only list/watch pods with spec.nodeName field selector")

    def _bound(self, node: str, namespace: str) -> Iterator[Json]:
        return (pod for pod in self._objects.objects("", "pods", namespace) if pod["spec"].get("nodeName") == node)


def _named(pod: Json, resource: str) -> Iterator[str]:
    """Yield the names of the secrets or configmaps that a pod uses."""
    source, key = _SOURCES[resource]
    for volume in pod["spec"].get("volumes") or ():
        yield (volume.get(source) or {}).get(key, "")
        for projected in (volume.get("projected") or {}).get("sources") or ():
            yield (projected.get(source) or {}).get("name", "")
    if resource == "secrets":
        for pull in pod["spec"].get("imagePullSecrets") or ():
            yield pull.get("name", "")
    for container in (*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())):
        for item in container.get("envFrom") or ():
            yield (item.get(f"{source}Ref") or {}).get("name", "")
        for variable in container.get("env") or ():
            yield ((variable.get("valueFrom") or {}).get(f"{source}KeyRef") or {}).get("name", "")
