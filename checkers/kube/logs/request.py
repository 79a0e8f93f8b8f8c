"""Owns what an event of an audit log says of its request: who asked, and by the URI for what.

A policy looks at a request when it comes in, and an event is written later: its objectRef may have been completed from
the body by then. So what the policy saw is worked out anew from the URI, as the API server did.
Source: kube-apiserver 1.34, apiserver/pkg/endpoints/request and pkg/audit/request.go; golden/policy/battery.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import msgspec

from checkers.kube.audit_policy import Attributes
from checkers.kube.logs.event import log_name
from checkers.kube.request_info import RequestInfo, UnreadableUrl, parse, query_of

RECEIVED: Final = "RequestReceived"
STARTED: Final = "ResponseStarted"
COMPLETE: Final = "ResponseComplete"
PANIC: Final = "Panic"

_METHODS: Final = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "proxy": "GET",
    "": "OPTIONS",
}
# Fields of the objectRef that a decoded body completes where the URI leaves them open.
_COMPLETED_FROM_BODY: Final = ("namespace", "name")


@dataclass(frozen=True, slots=True)
class Who:
    """The user of an event. `name` is None where nobody was found: such a user is `{}` in the log."""

    name: str | None
    groups: tuple[str, ...] = ()
    uid: str = ""


class ObjectRef(msgspec.Struct, rename=log_name, frozen=True, omit_defaults=True, gc=False):
    """The objectRef of an event, its fields in kube-apiserver's order."""

    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_group: str = ""
    api_version: str = ""
    resource_version: str = ""
    subresource: str = ""


class _User(msgspec.Struct, gc=False):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()


USER_FIELDS: Final = ("username", "uid", "groups", "extra")
REF_FIELDS: Final = ObjectRef.__struct_encode_fields__

_decode_user = msgspec.json.Decoder(_User).decode
_decode_ref = msgspec.json.Decoder(ObjectRef).decode


class UnusableField(ValueError):
    """A field that is not what its name says."""


def who(user: bytes) -> Who:
    """Return the user as it stands in an event. Raises UnusableField."""
    try:
        found = _decode_user(user)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableField(f"user: {error}") from None
    if not found.username and not found.groups:
        return Who(None)
    return Who(found.username, found.groups, found.uid)


def reference(ref: bytes) -> ObjectRef:
    """Return the objectRef as it stands in an event. Raises UnusableField."""
    try:
        return _decode_ref(ref)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableField(f"objectRef: {error}") from None


def uri_text(uri: bytes) -> str:
    """Return the URI as it stands in an event. Raises UnusableField."""
    try:
        return msgspec.json.decode(uri, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UnusableField("requestURI is not a text") from None


def asked_for(uri: str, verb: str) -> RequestInfo:
    """Return what a URI asks for. The verb tells the method; where it contradicts the URI, the answer has another verb.

    Raises UnusableField for a URI that the API server answers without an event.
    """
    if not uri.startswith("/"):
        raise UnusableField(f"requestURI {uri[:60]!r} does not begin with a slash")
    path, _, query = uri.partition("?")
    if "%" in path:
        path = unquote(path)
    try:
        info = parse(_METHODS.get(verb, "OPTIONS"), path, query_of(query) if query else {})
    except UnreadableUrl:
        raise UnusableField(f"requestURI {uri[:60]!r} names nothing: it has no event") from None
    if info.is_resource:
        return info
    return RequestInfo(verb, info.path)


def attributes(asker: Who, info: RequestInfo) -> Attributes:
    """Return what a policy looks at."""
    return Attributes(
        user=asker.name,
        groups=asker.groups,
        verb=info.verb,
        group=info.group,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        path=info.path,
        resource_request=info.is_resource,
    )


def contradictions(info: RequestInfo, verb: str, ref: ObjectRef | None, *, stage: str) -> Iterator[str]:
    """Yield in what an event's verb and objectRef do not fit its URI."""
    if not info.is_resource:
        if ref is not None:
            yield "the URI asks for no resource, and yet there is an objectRef"
        if not verb or verb != verb.lower():
            yield f"the verb of a URI that asks for no resource is the method in small letters, not {verb!r}"
        return
    if verb != info.verb:
        yield f"by the URI this can be {_verbs_of(info)}, not {verb or 'no verb'}"
    if ref is None:
        yield f"the URI asks for {info.resource or 'a resource'}, and there is no objectRef"
        return
    if "\ufffd" in info.path:
        return
    from_body = stage != RECEIVED and verb in ("create", "update")
    for field, by_uri, found in (
        ("resource", info.resource, ref.resource),
        ("subresource", info.subresource, ref.subresource),
        ("namespace", info.namespace, ref.namespace),
        ("name", info.name, ref.name),
        ("apiGroup", info.group, ref.api_group),
        ("apiVersion", info.version, ref.api_version),
    ):
        if found != by_uri and (by_uri or not from_body or field not in _COMPLETED_FROM_BODY):
            yield f"by the URI {field} is {by_uri!r}, by objectRef {found!r}"
    if not from_body and (ref.uid or ref.resource_version):
        yield "objectRef has what only a decoded body gives it: " + ("uid" if ref.uid else "resourceVersion")


def _verbs_of(info: RequestInfo) -> str:
    """Name the verbs that requests to this URI can have."""
    if info.verb in ("watch", "proxy") and info.path.strip("/").split("/")[-len(info.parts) - 1] == info.verb:
        return info.verb
    if info.parts[1:] and info.parts[1]:
        return "get, create, update, patch or delete"
    read = info.verb if info.verb in ("list", "watch") else "list"
    return f"{read}, create, update, patch or deletecollection"
