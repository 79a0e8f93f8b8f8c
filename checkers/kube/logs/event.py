"""Owns one event of an audit log, as JSON holds it: the fields that are asked for, the bodies left as they stand.

And what tells by events that an API server started: it looks for the system's priority classes, a second after it
begins to answer, and again each second for half a minute until they are there.
Sources: kube-apiserver 1.34, apiserver/pkg/apis/audit/v1; pkg/registry/scheduling/rest (post-start hook
scheduling/bootstrap-system-priority-classes).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]

#: What a decoder of events raises for a line that is none; RecursionError for one that is nested a thousand deep.
NOT_AN_EVENT: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

#: Who the API server is where it asks itself. Its uid is another one in each process.
API_SERVER: Final = "system:apiserver"
#: What a starting server asks for: verbs, API group and resource, names.
START_VERBS: Final = ("get", "create")
START_RESOURCE: Final = ("scheduling.k8s.io", "priorityclasses")
_START_NAMES: Final = ("system-node-critical", "system-cluster-critical")
# Requests of one start follow one another, not further apart than this.
_SAME_START: Final = timedelta(seconds=2)

_NO_BODY: Final = msgspec.Raw()
_NULL: Final = msgspec.Raw(b"null")


_SPELT: Final = {"audit_id": "auditID", "request_uri": "requestURI", "source_ips": "sourceIPs"}


def log_name(field: str) -> str:
    """Return how a field of an event is called in the log: `api_group` is apiGroup."""
    first, *rest = field.split("_")
    return _SPELT.get(field) or first + "".join(word.capitalize() for word in rest)


class EventRef(msgspec.Struct, rename=log_name, gc=False):
    resource: str = ""
    api_group: str = ""
    api_version: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class EventUser(msgspec.Struct, gc=False):
    username: str = ""
    groups: tuple[str, ...] = ()


class EventStatus(msgspec.Struct, gc=False):
    code: int = 0


class FullEvent(msgspec.Struct, rename=log_name, gc=False):
    """One event with everything that a person or a check asks for; the bodies as they stand in the log."""

    level: Level
    stage: Stage
    kind: str = ""
    api_version: str = ""
    audit_id: str = ""
    request_uri: str = ""
    verb: str = ""
    user: EventUser = msgspec.field(default_factory=EventUser)
    impersonated_user: EventUser | None = None
    source_ips: tuple[str, ...] = ()
    user_agent: str = ""
    object_ref: EventRef | None = None
    response_status: EventStatus | None = None
    request_object: msgspec.Raw = _NO_BODY
    response_object: msgspec.Raw = _NO_BODY
    request_received_timestamp: str = ""
    stage_timestamp: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def has_request_object(self) -> bool:
        return _is_body(self.request_object)

    @property
    def has_response_object(self) -> bool:
        return _is_body(self.response_object)


_decode_full = msgspec.json.Decoder(FullEvent).decode


def _is_body(raw: msgspec.Raw) -> bool:
    return raw is not _NO_BODY and raw != _NULL


def read_event(line: bytes | bytearray) -> FullEvent | None:
    """Read one line of a log; None for what is no audit event."""
    try:
        return _decode_full(line)
    except NOT_AN_EVENT:
        return None


def is_start(event: FullEvent) -> bool:
    """Whether only a starting API server makes this request: its own look for the system's priority classes."""
    ref = event.object_ref
    return (
        event.user.username == API_SERVER
        and ref is not None
        and starts_with(event.verb, ref.api_group, ref.resource, ref.namespace, ref.subresource, ref.name)
    )


def starts_with(verb: str, group: str, resource: str, namespace: str, subresource: str, name: str) -> bool:
    """Whether a starting API server asks itself for this."""
    return (
        (group, resource) == START_RESOURCE
        and verb in START_VERBS
        and name in _START_NAMES
        and not (namespace or subresource)
    )


class Start(NamedTuple):
    """A start of the API server as its log shows it: when its first request came, and when the last one so far."""

    began: str
    last: str


def same_start(last: str, time: str) -> bool:
    """Whether the request at `time` is of the start whose last one so far came at `last`: RFC 3339, "" for no start."""
    try:
        return abs(datetime.fromisoformat(time) - datetime.fromisoformat(last)) <= _SAME_START
    except ValueError:
        return False
