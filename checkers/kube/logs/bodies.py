"""Owns what the bodies in an event say: that they are objects, and those that the rest of the event speaks of.

A body that was read and answered with success is an object of the resource's kind, by the name in the URL, and the
objectRef has from it what the URL leaves open. Nothing is asked of a raw patch, nor of an API that is not built in.
Source: kube-apiserver 1.34, apiserver/pkg/endpoints/handlers (create, update: checkName, LogRequestObject), pkg/audit.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from checkers.kube.builtin_resources import builtin_resources
from checkers.kube.logs.event import log_name
from checkers.kube.logs.findings import Problem
from checkers.kube.logs.line import LogLine, is_there
from checkers.kube.logs.request import ObjectRef
from checkers.kube.request_info import RequestInfo

_NO_OBJECT: Final = "is no object with a kind: the API server logs what it decoded"
# So begins every object that the API server itself writes.
_KIND_FIRST: Final = b'{"kind":"'


class _Metadata(msgspec.Struct, rename=log_name, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct, gc=False):
    kind: str
    metadata: _Metadata | None = None


_decode: Final = msgspec.json.Decoder(_Object).decode
_NAMELESS: Final = _Metadata()


class Bodies(msgspec.Struct, frozen=True, gc=False):
    """What the bodies of an event have to be. `decoded`: requestObject is one that was decoded."""

    info: RequestInfo
    ref: ObjectRef
    decoded: bool

    def problem(self, event: LogLine) -> Problem | None:
        """Say in what a body contradicts its event."""
        response = event.response_object
        if is_there(response) and not _has_kind(response):
            return Problem("field", f"responseObject {_NO_OBJECT}")
        if not self.decoded or not is_there(event.request_object):
            return None
        found = _object(event.request_object)
        if found is None or not found.kind:
            return Problem("field", f"requestObject {_NO_OBJECT}")
        for what, said, body in self._said(found):
            if said != body:
                return Problem("field", f"by requestObject {what} is {body!r}, by objectRef {said!r}")
        return None

    def _said(self, found: _Object) -> list[tuple[str, str, str]]:
        """Return what the event and its requestObject say of the same."""
        info, ref, of = self.info, self.ref, found.metadata or _NAMELESS
        if info.verb not in ("create", "update"):
            return [("the kind", "deleteoptions", found.kind.lower())]
        said = [("uid", ref.uid, of.uid), ("resourceVersion", ref.resource_version, of.resource_version)]
        if info.verb == "update" or not info.subresource:
            said.append(("name", ref.name, of.name))
        # A body may leave the namespace to the URL; of what is in none it is ignored.
        if info.namespace and info.resource != "namespaces" and of.namespace:
            said.append(("namespace", ref.namespace, of.namespace))
        if not info.subresource:
            said.append(("the kind", builtin_resources()[info.group, info.resource].singular, found.kind.lower()))
        return said


def _has_kind(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[: len(_KIND_FIRST)]) == _KIND_FIRST or _object(raw) is not None


def _object(raw: msgspec.Raw) -> _Object | None:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def has_managed_fields(event: LogLine, *, keeps_patch: bool) -> str | None:
    """Name the body that has managedFields, None where none has. A raw patch keeps its own."""
    bodies = [("responseObject", event.response_object)]
    if not keeps_patch:
        bodies.append(("requestObject", event.request_object))
    return next((name for name, raw in bodies if is_there(raw) and _has_managed_fields(raw)), None)


def _has_managed_fields(raw: msgspec.Raw) -> bool:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(body, dict):
        return False
    items, rows = body.get("items"), body.get("rows")
    found: list[Any] = [body]
    if isinstance(items, list) and str(body.get("kind", "")).endswith("List"):
        found += items
    if isinstance(rows, list) and body.get("kind") == "Table":
        found += [row.get("object") for row in rows if isinstance(row, dict)]
    return any(isinstance(one, dict) and bool(_of(one, "metadata").get("managedFields")) for one in found)


def _of(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}
