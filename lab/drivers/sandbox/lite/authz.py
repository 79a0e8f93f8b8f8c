"""Owns authorization: the modes of --authorization-mode, and RBAC with its reasons.

Source: kube-apiserver 1.34; annotations and refusals in golden/exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from checkers.kube.gotext import quote

from .authn import MASTERS, split_service_account
from .border import UserInfo

Json = Mapping[str, Any]
RBAC = "rbac.authorization.k8s.io"
MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")
"""The modes that this server has; the real one also has ABAC and Webhook."""


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody wants to do: a verb on a resource, or (where `path` is set) on a path."""

    user: UserInfo
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def full_resource(self) -> str:
        """Return the resource with its subresource, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be done, and the reason that the audit log gives."""

    allowed: bool
    reason: str = ""


class Objects(Protocol):
    """Where roles, bindings and pods are looked up."""

    def objects(self, group: str, resource: str, namespace: str | None = None) -> Iterable[Json]:
        """Return the live objects of a resource."""
        ...

    def get(self, group: str, resource: str, namespace: str, name: str) -> Json | None:
        """Return one live object."""
        ...


class Mode(Protocol):
    """One way to decide; None is no opinion, and the next is asked."""

    def decide(self, access: Access) -> Decision | None: ...


class Authorizer:
    """Asks each mode in turn. Members of system:masters may do everything, whatever the mode."""

    def __init__(self, modes: Sequence[Mode]) -> None:
        self._modes = modes

    def decide(self, access: Access) -> Decision:
        """Return the first mode's opinion; where none allows it, why not."""
        if MASTERS in access.user.groups:
            return Decision(True)
        reasons = []
        for mode in self._modes:
            decision = mode.decide(access)
            if decision is None:
                continue
            if decision.allowed:
                return decision
            reasons.append(decision.reason)
        return Decision(False, "\n".join(reason for reason in reasons if reason))


def refusal(access: Access, decision: Decision) -> str:
    """Return the words of a 403, after `… is forbidden: `."""
    if access.path:
        text = f"User {quote(access.user.name)} cannot {access.verb} path {quote(access.path)}"
    else:
        where = f"in the namespace {quote(access.namespace)}" if access.namespace else "at the cluster scope"
        text = (
            f"User {quote(access.user.name)} cannot {access.verb} resource {quote(access.full_resource)} "
            f"in API group {quote(access.group)} {where}"
        )
    return f"{text}: {decision.reason}" if decision.reason else text


class Always:
    """AlwaysAllow and AlwaysDeny."""

    def __init__(self, allow: bool) -> None:
        self._decision = Decision(True) if allow else Decision(False, "Everything is forbidden.")

    def decide(self, access: Access) -> Decision | None:
        return self._decision


class Rbac:
    """Roles and bindings as they are now."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def decide(self, access: Access) -> Decision | None:
        """Return the first binding that allows it."""
        for why, rule in self.rules(access.user, access.namespace):
            if allows(rule, access):
                return Decision(True, f"RBAC: allowed by {why}")
        return None

    def rules(self, user: UserInfo, namespace: str) -> Iterator[tuple[str, Json]]:
        """Yield each rule that holds for a user in a namespace, with the words for where it comes from."""
        for binding in self._objects.objects(RBAC, "clusterrolebindings"):
            subject = _applies(binding, user, "")
            if subject:
                where = f"ClusterRoleBinding {quote(binding['metadata']['name'])}"
                yield from self._role(binding, "", f"{where} of {{role}} to {subject}")
        if not namespace:
            return
        for binding in self._objects.objects(RBAC, "rolebindings", namespace):
            subject = _applies(binding, user, namespace)
            if subject:
                where = f"RoleBinding {quote(binding['metadata']['name'] + '/' + namespace)}"
                yield from self._role(binding, namespace, f"{where} of {{role}} to {subject}")

    def _role(self, binding: Json, namespace: str, words: str) -> Iterator[tuple[str, Json]]:
        ref = binding["roleRef"]
        kind, name = ref["kind"], ref["name"]
        if kind == "Role":
            role = self._objects.get(RBAC, "roles", namespace, name)
        else:
            role = self._objects.get(RBAC, "clusterroles", "", name)
        for rule in (role or {}).get("rules") or ():
            yield words.replace("{role}", f"{kind} {quote(name)}"), rule


def _applies(binding: Json, user: UserInfo, namespace: str) -> str:
    """Return the subject of a binding that is the user, in words; "" if none is."""
    for subject in binding.get("subjects") or ():
        kind, name = subject["kind"], subject["name"]
        if kind == "User" and name == user.name:
            return f"User {quote(name)}"
        if kind == "Group" and name in user.groups:
            return f"Group {quote(name)}"
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if (home, name) == split_service_account(user.name):
                return f"ServiceAccount {quote(name + '/' + home)}"
    return ""


def allows(rule: Json, access: Access) -> bool:
    """Say whether one rule of a role covers what is wanted."""
    verbs = rule.get("verbs") or ()
    if access.verb not in verbs and "*" not in verbs:
        return False
    if access.path:
        return any(_path_matches(pattern, access.path) for pattern in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if access.group not in groups and "*" not in groups:
        return False
    resources = rule.get("resources") or ()
    if not (
        "*" in resources
        or access.full_resource in resources
        or (access.subresource and f"*/{access.subresource}" in resources)
    ):
        return False
    names = rule.get("resourceNames")
    return not names or access.name in names


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
