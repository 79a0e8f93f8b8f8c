"""Owns RequestInfo: what a method and a URL mean to Kubernetes.

Source: facts §G; kube-apiserver 1.34, apiserver/pkg/endpoints/request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

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
        if self.verb in ("watch", "proxy"):
            # The method of a path that is no resource's is its verb: seen of a real server with WATCH /healthz.
            return True
        if not self.is_resource:
            return self.path.startswith("/debug/pprof/")
        return self.subresource in _LONG_RUNNING_SUBRESOURCES


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
    """Return the one value that a field selector demands of a field, or "" where it demands none.

    A selector with a term that Kubernetes cannot read demands nothing; nor does a value that is no part of a path.
    """
    found: str | None = None
    for term in _TERM.findall(selector):
        split = _FIELD.fullmatch(term) if term else None
        value = _unescaped(split[3]) if split else None
        if term and (split is None or value is None):
            return ""
        if split is not None and found is None and split[1] == field and split[2] != "!=":
            found = value
    return "" if found is None or found in (".", "..") or set(found) & set("/%") else found


# Terms are apart by commas, and a backslash makes the letter behind it an ordinary one.
_TERM = re.compile(r"(?:^|(?<=,))(?:\\.|[^,\\])*(?:\\$)?", re.DOTALL)
_FIELD = re.compile(r"((?:\\.|[^\\!=]|!(?!=))*)(!=|==|=)(.*)", re.DOTALL)


def _unescaped(value: str) -> str | None:
    """Return a selector's value without its escapes (`\\,` `\\=` `\\\\`), None where it is none."""
    if re.fullmatch(r"(?:\\[\\,=]|[^\\,=])*", value, re.DOTALL) is None:
        return None
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


def query_of(text: str) -> dict[str, list[str]]:
    """Return the parameters of a URL's query. Source: Go's net/url: a pair with `;` or a bad escape is left out."""
    found: dict[str, list[str]] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
