"""Owns RequestInfo: what a method and a URL mean to Kubernetes.

Source: facts §G; kube-apiserver 1.34, apiserver/pkg/endpoints/request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Query = Mapping[str, list[str]]

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_LONG_RUNNING_SUBRESOURCES = ("attach", "exec", "proxy", "log", "portforward")


class UnreadableUrl(ValueError):
    """A `/watch` or `/proxy` path that names nothing."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What is asked. A non-resource request has its `path` and the lower-case method as `verb`, the rest empty."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()

    @property
    def long_running(self) -> bool:
        """Say whether the answer may take any time: it has no timeout, and an event when it starts."""
        if not self.is_resource:
            return self.path.startswith("/debug/pprof/")
        return self.verb in ("watch", "proxy") or self.subresource in _LONG_RUNNING_SUBRESOURCES


def parse(method: str, path: str, query: Query) -> RequestInfo:
    """Return what a request means. `path` is decoded, without the query. Raises UnreadableUrl."""
    other = RequestInfo(method.lower(), path)
    stripped = path.strip("/")
    parts = stripped.split("/") if stripped else []
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return other
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return other
        group = parts[1]
        parts = parts[1:]
    version, parts = parts[1], parts[2:]

    if parts[0] in ("proxy", "watch"):
        if len(parts) < 2:
            raise UnreadableUrl("unable to determine kind and namespace from url, " + path)
        verb, parts = parts[0], parts[1:]
    else:
        verb = _VERBS.get(method, "")

    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]

    subresource = parts[2] if len(parts) > 2 and verb != "proxy" else ""
    name = parts[1] if len(parts) > 1 else ""
    if not name and verb == "get":
        verb, name = _list_or_watch(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    return RequestInfo(verb, path, True, group, version, namespace, parts[0], subresource, name, tuple(parts))


def _list_or_watch(query: Query) -> tuple[str, str]:
    watch = query.get("watch")
    verb = "watch" if watch and watch[0].lower() not in ("false", "0") else "list"
    if not all(_is_integer(query.get(number)) for number in ("limit", "timeoutSeconds")):
        return verb, ""
    selector = query.get("fieldSelector")
    return verb, exact_field(selector[0], "metadata.name") if selector else ""


def _is_integer(values: Sequence[str] | None) -> bool:
    return not values or not values[0] or values[0].lstrip("+-").isdigit()


def exact_field(selector: str, field: str) -> str:
    """Return the one value that a field selector demands of a field, or "" where it demands none."""
    for term in selector.split(","):
        if "!=" in term:
            continue
        key, equals, value = term.partition("==" if "==" in term else "=")
        if equals and key.strip() == field:
            return value if value not in (".", "..") and not set(value) & set("/%") else ""
    return ""
