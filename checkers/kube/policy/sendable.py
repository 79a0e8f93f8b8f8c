"""Owns every request that can be sent, whatever becomes of it, and the command that sends one as it is.

For what does not exist, by a method that nobody uses, in a namespace called `*`, by a certificate with groups at will,
and by nobody (401).

A policy records these as well. A grade does not ask for them; that two policies record the same is true only with them.
Source: apiserver, endpoints/request/requestinfo.go and authentication/group/authenticated_group_adder.go.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import quote

from checkers.kube.audit_policy import Attributes, Policy
from checkers.kube.policy.commands import client_options, managed_fields_body
from checkers.kube.policy.identity import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, Identity
from checkers.kube.policy.selector import Selector
from checkers.kube.policy.universe import (
    METHODS,
    OF_NAMESPACES,
    VERBS,
    Kind,
    Target,
    Universe,
    fresh,
    target_of,
)

_SEGMENT = re.compile(r"[^/\0]+")
# What Go takes for a method, in lower case as it becomes a verb.
_METHOD = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
# What can follow the version only behind /namespaces//, for there it means something else.
_TAKEN = ("", "namespaces", "proxy", "watch")
_UNNAMED = frozenset(("create", "update", "patch", "list", "watch", "deletecollection", "proxy", ""))
_NAMED = frozenset(("create", "update", "patch", "get", "delete", "list", "watch", "proxy", ""))
_SENT_AS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "proxy": "GET",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "": "OPTIONS",
}


class Sendable(Universe):
    """The classes of requests that a policy and selectors tell apart, of all that can be sent by somebody known."""

    verbs = (*VERBS, "proxy")

    def __init__(self, policy: Policy, selectors: list[Selector], *, node: str = "cks-control-plane") -> None:
        super().__init__(policy, selectors, node=node)
        named = {v for r in policy.rules for v in r.verbs} | self._words("verbs")
        odd = sorted(verb for verb in named - set(METHODS) if is_method(verb))
        self.methods = (*METHODS, *odd, fresh(("brew",), named))

    def identities(self, most_groups: int = 0) -> list[Identity]:
        """Return one identity of each kind: with a certificate anybody is in whatever groups it says."""
        found = super().identities(most_groups)
        _, people, free = self._named_people()
        for user in (*people, ANONYMOUS):
            for chosen in self._group_sets(free, most_groups):
                own = [(AUTHENTICATED,), (UNAUTHENTICATED,), (AUTHENTICATED, UNAUTHENTICATED)]
                for more in own if user != ANONYMOUS else [(), *own]:
                    found.append(Identity(user, (*chosen, *more), 40 + len(chosen) + len(more)))
        return found

    def targets(self) -> list[Target]:
        """Return one target of each kind, of those that exist and of those that do not."""
        found = super().targets()
        groups = {entry.group for entry, _ in self._entries} | self._words("api_groups")
        for group in sorted({g for g in groups if not g or _SEGMENT.fullmatch(g)} | {fresh(("example.com",), groups)}):
            words = self._resource_words(group)
            resources = {word.partition("/")[0] for word in words}
            subresources = {word.partition("/")[2] for word in words} | self._words("subresources") | {""}
            for resource in sorted({*resources, *_TAKEN, *OF_NAMESPACES, fresh(("widgets", "gadgets"), resources)}):
                for subresource in sorted({*subresources, fresh(("status", "scale", "extra"), subresources)}):
                    if "/" not in subresource:
                        found += self._strange(group, resource, subresource)
        return found

    def _strange(self, group: str, resource: str, subresource: str) -> list[Target]:
        named = self._names(group)
        cost = 60 + 4 * bool(subresource) + 9 * (resource in _TAKEN)
        names = ["", *named, fresh(("x", "y", "z"), named)]
        if not (resource or subresource):
            # There is no way to write nothing at all.
            names = names[1:]
        scope = "cluster" if resource in OF_NAMESPACES else "any"
        return [
            target_of(group, resource, subresource, name, scope, cost + bool(name), _verbs(resource, subresource, name))
            for name in names
        ]

    def _names(self, group: str) -> tuple[str, ...]:
        known = self._names_of.get(group)
        if known is None:
            found = self._words("names")
            for entry, star in self._entries:
                if entry.group == group or (star and entry.group == "*"):
                    found.update(entry.resource_names)
            known = self._names_of[group] = tuple(sorted(n for n in found if _SEGMENT.fullmatch(n)))
        return known

    def _namespaces(self) -> frozenset[str]:
        named = {n for r in self._policy.rules for n in r.namespaces} | self._words("namespaces")
        usable = {n for n in named if _SEGMENT.fullmatch(n)}
        return super()._namespaces() | usable

    def where(self, verb: str, kind: Kind) -> tuple[str, ...]:
        """Return the namespaces that a request with this verb on a target of this kind can be in."""
        return self._any_namespace if kind.scope == "any" else super().where(verb, kind)


def is_method(verb: str) -> bool:
    """Say whether a verb can be a method's, in lower case."""
    return _METHOD.fullmatch(verb) is not None


def _verbs(resource: str, subresource: str, name: str) -> frozenset[str]:
    """Return the verbs that a request for what does not exist can have."""
    verbs = _NAMED if name else _UNNAMED
    if subresource:
        verbs -= {"proxy"}
    if (name and not resource and not subresource) or name in (".", "..") or "%" in name:
        # A list has a name by its field selector alone, which demands none of these.
        return verbs - {"list"}
    return verbs


class Unauthenticated(Universe):
    """The classes of requests that end with a 401: nobody sends them."""

    def identities(self, most_groups: int = 0) -> list[Identity]:
        """Return nobody."""
        return [Identity(None, (), 0)]


class SendableUnauthenticated(Unauthenticated, Sendable):
    """The classes of all that can be sent and ends with a 401."""


def url_of(attributes: Attributes) -> tuple[str, str]:
    """Return the method and the URL, without the server, that are understood as this request."""
    if not attributes.is_resource:
        return attributes.verb.upper(), quote(attributes.path)
    verb, resource = attributes.verb, attributes.resource
    path = f"/apis/{quote(attributes.group, safe='')}/v1" if attributes.group else "/api/v1"
    prefix = [verb] if verb in ("watch", "proxy") else []
    parts = [resource, attributes.name, attributes.subresource]
    if attributes.namespace or (resource in _TAKEN and not prefix) or resource in ("", "namespaces"):
        parts = ["namespaces", attributes.namespace, *parts]
    query = ""
    if verb == "list" and attributes.name:
        parts[-2] = ""
        value = re.sub(r"([\\,=])", r"\\\1", attributes.name)
        query = f"?fieldSelector=metadata.name%3D{quote(value, safe='')}"
    return _SENT_AS[verb], f"{path}/{'/'.join(quote(part, safe='') for part in [*prefix, *parts])}".rstrip("/") + query


def command_as_is(
    attributes: Attributes, *, server: str = "https://127.0.0.1:6443", managed_fields: bool = False
) -> str:
    """Return a command line for a control-plane node that sends this request as this user, word for word.

    `managed_fields`: with an object as a body that has some.
    """
    before, options = client_options(attributes)
    method, url = url_of(attributes)
    chosen = "-I" if method == "HEAD" else f"-X {shlex.quote(method)}"
    if managed_fields:
        chosen += f" -H 'Content-Type: application/json' -d {shlex.quote(managed_fields_body(attributes))}"
    return f"{before}curl {options} --path-as-is {chosen} {shlex.quote(server + url)}"
