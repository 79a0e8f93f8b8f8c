"""Owns audit events: what is known of a request at each stage, and the line that says so.

Source: facts §A and §B; golden/exchanges and golden/policy for every shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from checkers.kube.audit_policy import Attributes, Level, Policy, evaluate
from checkers.kube.gotext import quote
from checkers.kube.request_info import RequestInfo

from . import gojson
from .authn import source_ips
from .border import Json, UserInfo
from .http import HttpRequest

RECEIVED = "RequestReceived"
STARTED = "ResponseStarted"
COMPLETE = "ResponseComplete"
PANIC = "Panic"

_USER_AGENT_SHOWN = 1024
_STATUS_FIELDS = ("status", "message", "reason", "details", "code")


class Unencodable(Exception):
    """An event that cannot be written: it holds a request body that is no JSON."""


class Sink(Protocol):
    """Where events go. Returns whether the event was taken."""

    def write(self, event: Event, stage: str, at: datetime) -> bool: ...


@dataclass(slots=True)
class Event:
    """What is known of one request. `user` None: nobody was authenticated."""

    request: HttpRequest
    info: RequestInfo
    audit_id: str
    level: Level
    user: UserInfo | None
    received: datetime
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False
    impersonated: UserInfo | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    status: Json | None = None
    request_object: Any = None
    response_object: Any = None
    reference: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        info = self.info
        if info.is_resource:
            self.reference = {
                "resource": info.resource,
                "namespace": info.namespace,
                "name": info.name,
                "uid": "",
                "apiGroup": info.group,
                "apiVersion": info.version,
                "resourceVersion": "",
                "subresource": info.subresource,
            }

    def set_request(self, body: Any, *, decoded: bool) -> None:
        """Take the request's object. A decoded create or update completes the object reference with what it names."""
        metadata = body.get("metadata") if decoded and isinstance(body, dict) else None
        if isinstance(metadata, dict):
            for part in ("namespace", "name", "uid", "resourceVersion"):
                self.reference[part] = self.reference.get(part) or metadata.get(part) or ""
        if self.level >= Level.REQUEST:
            self.request_object = without_managed_fields(body) if self.omit_managed_fields and decoded else body

    def set_response(self, body: Any) -> None:
        """Take the object that is sent back; of a Status, what it says is kept at every level."""
        if isinstance(body, dict) and body.get("kind") == "Status":
            self.status = {"metadata": {}, **{key: body[key] for key in _STATUS_FIELDS if key in body}}
        if self.level >= Level.REQUEST_RESPONSE:
            self.response_object = without_managed_fields(body) if self.omit_managed_fields else body

    def set_code(self, code: int) -> None:
        """Take the HTTP status that is sent."""
        status = {"metadata": {}} if self.status is None else dict(self.status)
        status.pop("code", None)
        self.status = {**status, "code": code}

    def as_json(self, stage: str, at: datetime) -> bytes:
        """Return the event as a line of the log, with its newline. Raises Unencodable."""
        early = stage == RECEIVED
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": str(self.level),
            "auditID": self.audit_id,
            "stage": stage,
            "requestURI": self.request.target,
            "verb": self.info.verb,
            "user": _user(self.user) if self.user else {},
        }
        if self.impersonated and not early:
            event["impersonatedUser"] = _user(self.impersonated)
        addresses = source_ips(self.request)
        if addresses:
            event["sourceIPs"] = addresses
        agent = self.request.header("user-agent")
        if agent:
            event["userAgent"] = (
                agent if len(agent) <= _USER_AGENT_SHOWN else agent[:_USER_AGENT_SHOWN] + "...TRUNCATED"
            )
        reference = self._reference_at(early)
        if reference:
            event["objectRef"] = reference
        if not early:
            if self.status is not None:
                event["responseStatus"] = self.status
            if self.request_object is not None:
                event["requestObject"] = _embedded(self.request_object)
            if self.response_object is not None:
                event["responseObject"] = self.response_object
        event["requestReceivedTimestamp"] = timestamp(self.received)
        event["stageTimestamp"] = timestamp(at)
        if self.annotations and not early:
            event["annotations"] = dict(sorted(self.annotations.items()))
        return gojson.encode(event) + b"\n"

    def as_legacy(self, stage: str) -> bytes:
        """Return the event as a line of --audit-log-format=legacy."""
        user, behalf = self.user or UserInfo(""), self.impersonated
        moment = self.received.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
        code = (self.status or {}).get("code", 0)
        pairs = (
            ("id", self.audit_id),
            ("stage", stage),
            ("ip", next(iter(source_ips(self.request)), "<unknown>")),
            ("method", self.info.verb),
            ("user", user.name or "<none>"),
            ("groups", _quoted_list(user.groups) or "<none>"),
            ("as", behalf.name if behalf else "<self>"),
            ("asgroups", (_quoted_list(behalf.groups) if behalf else "") or "<lookup>"),
            ("user-agent", self.request.header("user-agent")),
            ("namespace", self.reference.get("namespace") or "<none>"),
            ("uri", self.request.target),
        )
        words = " ".join(f"{key}={quote(value)}" for key, value in pairs)
        return f'{moment} AUDIT: {words} response="{code or "<deferred>"}"\n'.encode()

    def _reference_at(self, early: bool) -> dict[str, str]:
        reference = self.reference
        if early and reference:
            reference = {
                **reference,
                "namespace": self.info.namespace,
                "name": self.info.name,
                "uid": "",
                "resourceVersion": "",
            }
        return {key: value for key, value in reference.items() if value}


class Auditor:
    """Decides by the policy which requests are recorded, and hands their events to the log."""

    def __init__(self, policy: Policy | None, sink: Sink | None, now: Callable[[], datetime]) -> None:
        self._policy = policy
        self._sink = sink
        self._now = now

    def begin(
        self, request: HttpRequest, info: RequestInfo, user: UserInfo | None, audit_id: str, received: datetime
    ) -> Event:
        """Return the event of a request, at the level that the policy gives it."""
        if self._policy is None or self._sink is None:
            return Event(request, info, audit_id, Level.NONE, user, received)
        decision = evaluate(
            self._policy,
            Attributes(
                user=None if user is None else user.name,
                groups=user.groups if user else (),
                verb=info.verb,
                group=info.group,
                resource=info.resource,
                subresource=info.subresource,
                namespace=info.namespace,
                name=info.name,
                path="" if info.is_resource else info.path,
            ),
        )
        return Event(
            request,
            info,
            audit_id,
            decision.level,
            user,
            received,
            frozenset(decision.omit_stages),
            decision.omit_managed_fields,
        )

    def record(self, event: Event, stage: str) -> bool:
        """Write the event of one stage, if the policy wants it. Returns False where the log refused it."""
        if event.level == Level.NONE or stage in event.omit_stages or self._sink is None:
            return True
        return self._sink.write(event, stage, event.received if stage == RECEIVED else self._now())


def timestamp(moment: datetime) -> str:
    """Return a time in UTC with six decimals, always."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _user(user: UserInfo) -> Json:
    shown: Json = {}
    if user.name:
        shown["username"] = user.name
    if user.uid:
        shown["uid"] = user.uid
    if user.groups:
        shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    return shown


def _quoted_list(texts: Sequence[str]) -> str:
    return ",".join(quote(text) for text in texts)


class RawBody(bytes):
    """A patch as it was sent."""


def _embedded(body: Any) -> Any:
    if not isinstance(body, RawBody):
        return body
    fragment = gojson.raw(body)
    if fragment is None:
        first = body.decode("utf-8", "replace").lstrip()[:1] or " "
        raise Unencodable(
            "json: error calling MarshalJSON for type *runtime.Unknown: "
            f"invalid character {quote(first, chr(39))} looking for beginning of value"
        )
    return fragment


def without_managed_fields(body: Any) -> Any:
    """Return an object, list or Table without any managedFields; what is shared stays as it was."""
    if not isinstance(body, Mapping):
        return body
    copy = dict(body)
    metadata = copy.get("metadata")
    if isinstance(metadata, Mapping) and "managedFields" in metadata:
        copy["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
    if isinstance(copy.get("items"), list):
        copy["items"] = [without_managed_fields(item) for item in copy["items"]]
    if copy.get("kind") == "Table" and isinstance(copy.get("rows"), list):
        copy["rows"] = [
            {**row, "object": without_managed_fields(row["object"])} if "object" in row else row for row in copy["rows"]
        ]
    return copy
