"""Owns requests for resources: which of them the server routes, what the registry answers, and watches as streams.

Source: kube-apiserver 1.34, apiserver/pkg/endpoints/installer and handlers.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncGenerator
from copy import deepcopy
from datetime import datetime
from typing import Any

import msgspec

from . import answers, gojson, managed
from .audit import RawBody
from .border import ApiError, Json, Outcome, Request, Watch
from .convert import stamp
from .exchange import NOT_ALLOWED, NOT_FOUND, Exchange
from .http import Response
from .lookups import Lookups
from .pod_streams import CONNECTED, PodStreams
from .registry import Registry
from .resources import ResourceType, group_versions, schema_name
from .reviews import Reviews
from .status import failure

_BODY_LIMIT = 3 * (1 << 20)
_TOKEN_SECONDS = 3600
_REVIEWS = {
    ("authentication.k8s.io", "tokenreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
}
_DEPRECATED = {
    ("", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
_VERBS_OF = {
    "POST": ("create",),
    "PUT": ("update",),
    "PATCH": ("patch",),
    "DELETE": ("delete", "deletecollection"),
    "GET": ("get", "list", "watch"),
}
_BOOKMARK_SECONDS = 60.0
_SHORTEST_WATCH = 1800
"""A watch without timeoutSeconds ends after this long, or up to twice: --min-request-timeout."""


class ResourceRoutes:
    """Answers authorized requests for resources."""

    def __init__(self, registry: Registry, lookups: Lookups, reviews: Reviews, streams: PodStreams) -> None:
        self._registry = registry
        self._lookups = lookups
        self._reviews = reviews
        self._streams = streams
        self._groups = {group for group, _ in group_versions()}

    def answer(self, exchange: Exchange) -> Response:
        """Return the answer. What is refused is a Status, put in the audit event."""
        info = exchange.info
        if not self._served_path(exchange):
            return answers.page_not_found()
        kind = self._registry.exists(info.group, info.version, info.resource)
        segments = info.path.split("/")[1:]
        if kind is None or "" in segments[:-1] or info.verb == "proxy":
            return exchange.refuse(NOT_FOUND)
        refusal = _refuse_route(exchange, kind)
        if refusal is not None:
            return exchange.refuse(refusal)
        if (info.group, info.resource) in _DEPRECATED:
            exchange.warnings.append(_DEPRECATED[info.group, info.resource])
            exchange.event.annotations["k8s.io/deprecated"] = "true"
        try:
            if info.group == "" and info.subresource in CONNECTED:
                return self._streams.answer(exchange)
            if info.verb == "watch":
                return self._watch(exchange, kind)
            return self._handle(exchange, kind)
        except ApiError as error:
            return self._refused(exchange, error)

    def _served_path(self, exchange: Exchange) -> bool:
        info = exchange.info
        return info.path.startswith("/api/") or (info.path.startswith("/apis/") and info.group in self._groups)

    def _handle(self, exchange: Exchange, kind: ResourceType) -> Response:
        info, body = exchange.info, exchange.request.body
        media = exchange.media()
        if media is None:
            return answers.not_acceptable()
        if len(body) > _BODY_LIMIT:
            raise failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {_BODY_LIMIT}")
        request = border_request(exchange, kind)
        if (info.group, info.resource) in _REVIEWS or (info.resource, info.subresource) == ("serviceaccounts", "token"):
            outcome = self._review(exchange, request)
        else:
            outcome = self._registry.handle(request)
        self._note_request(exchange, outcome.audit_object, refused=0)
        exchange.warnings += outcome.warnings
        return exchange.send(outcome.code, outcome.object, media=media)

    def _review(self, exchange: Exchange, request: Request) -> Outcome:
        """Answer what nothing stores: its body is decoded as any other, then told to `reviews`."""
        decoded = self._registry.decode(request)
        if request.subresource == "token" and decoded.object["spec"].get("expirationSeconds") is None:
            decoded.object["spec"]["expirationSeconds"] = _TOKEN_SECONDS
        before = deepcopy(decoded.object)
        try:
            answer = self._reviews.answer(request, decoded.object)
        except ApiError as error:
            error.audit_object = before
            raise
        made: Json = dict(answer["metadata"])
        if request.subresource == "token":
            account = self._lookups.get("", "serviceaccounts", request.namespace, request.name) or {"metadata": {}}
            made = {"name": request.name, "namespace": request.namespace, "uid": account["metadata"].get("uid", "")}
            token_id = _token_id(answer["status"]["token"])
            exchange.event.annotations["authentication.kubernetes.io/issued-credential-id"] = f"JTI={token_id}"
        if request.resource in ("serviceaccounts", "selfsubjectreviews"):
            made["creationTimestamp"] = stamp(exchange.received)
        owned = _managed_fields(before, request, exchange.received)
        if owned and request.resource != "selfsubjectrulesreviews":
            made["managedFields"] = owned
        return Outcome(201, {**answer, "metadata": made}, audit_object=before, warnings=decoded.warnings)

    def _note_request(self, exchange: Exchange, decoded: Json | None, *, refused: int) -> None:
        """Put the request's object in the audit event, as far as the server got with it."""
        info, event = exchange.info, exchange.event
        if info.verb == "patch":
            if refused not in (406, 413, 415):
                event.set_request(RawBody(exchange.request.body), decoded=False)
        elif decoded is not None:
            event.set_request(decoded, decoded=info.verb in ("create", "update"))
        pods = (info.group, info.resource) == ("", "pods") and info.subresource in ("", "ephemeralcontainers", "resize")
        if pods and info.verb in ("create", "update", "patch") and refused not in (400, 404, 415, 422):
            event.annotations["pod-security.kubernetes.io/enforce-policy"] = self._pod_security(info.namespace)

    def _pod_security(self, namespace: str) -> str:
        found = self._lookups.get("", "namespaces", "", namespace) or {"metadata": {}}
        labels = found["metadata"].get("labels") or {}
        level = labels.get("pod-security.kubernetes.io/enforce", "privileged")
        return f"{level}:{labels.get('pod-security.kubernetes.io/enforce-version', 'latest')}"

    def _refused(self, exchange: Exchange, error: ApiError) -> Response:
        self._note_request(exchange, error.audit_object, refused=error.code)
        exchange.warnings += error.warnings
        return exchange.refuse(error.status)

    def _watch(self, exchange: Exchange, kind: ResourceType) -> Response:
        media = exchange.media(stream=True)
        if media is None:
            return answers.not_acceptable((answers.JSON, answers.PROTOBUF))
        query = exchange.request.query
        try:
            seconds = int(query.get("timeoutSeconds", ["0"])[0] or 0)
        except ValueError:
            seconds = 0
        seconds = seconds or random.randint(_SHORTEST_WATCH, 2 * _SHORTEST_WATCH)
        watch = self._registry.watch(border_request(exchange, kind))
        return Response(200, content_type=answers.JSON, stream=_events(watch, seconds))


async def _events(watch: Watch, seconds: float) -> AsyncGenerator[bytes, None]:
    """Yield events until the time is over, the registry ends the watch or the client goes."""
    clock = asyncio.get_running_loop().time
    ends = clock() + seconds
    try:
        if watch.initial:
            yield b"".join(_frame(event) for event in watch.initial)
            watch.initial = []
        while (left := ends - clock()) > 0:
            try:
                event = await asyncio.wait_for(watch.queue.get(), min(left, _BOOKMARK_SECONDS))
            except TimeoutError:
                event = watch.bookmark() if ends - clock() > 0 else None
                if event is None:
                    continue
            if event is None:
                return
            yield _frame(event)
    finally:
        watch.close()


def _frame(event: Json) -> bytes:
    return gojson.encode(event) + b"\n"


def _refuse_route(exchange: Exchange, kind: ResourceType) -> Json | None:
    """Return why the path and method are not routed, or None."""
    info, method = exchange.info, exchange.request.method
    in_namespace = bool(info.namespace) and info.resource != "namespaces"
    if in_namespace and not kind.namespaced:
        return NOT_FOUND
    at_object = len(info.parts) > 1
    if kind.namespaced and not in_namespace and at_object:
        return NOT_FOUND
    if info.subresource:
        if len(info.parts) > 3 and info.subresource != "proxy":
            return NOT_FOUND
        sub = kind.subresources.get(info.subresource)
        connects = info.group == "" and info.subresource in CONNECTED
        if sub is None and not connects:
            return NOT_FOUND
        if sub is not None and not set(_VERBS_OF.get(method, ())) & set(sub.verbs):
            return NOT_ALLOWED
        return None
    if at_object:
        here: tuple[str, ...] = ("get", "update", "patch", "delete")
    elif kind.namespaced and not in_namespace:
        here = ("list", "watch")
    else:
        here = ("create", "list", "watch", "deletecollection")
    routed = set(_VERBS_OF.get(method, ())) & set(here) & set(kind.verbs)
    return None if routed else NOT_ALLOWED


def border_request(exchange: Exchange, kind: ResourceType) -> Request:
    """Return the request as the registry takes it."""
    info, http = exchange.info, exchange.request
    query = http.query
    name = info.parts[1] if len(info.parts) > 1 else ""
    if info.verb == "watch" and name:
        query = {**query, "fieldSelector": [f"metadata.name={name}"]}
    return Request(
        verb=info.verb,
        group=info.group,
        version=info.version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace if kind.namespaced else "",
        name=name if info.verb not in ("list", "watch", "deletecollection") else "",
        query=query,
        body=http.body or None,
        content_type=http.header("content-type"),
        accept=",".join(http.headers.get("accept", ())),
        user=exchange.user,
        user_agent=http.header("user-agent"),
        now=exchange.received,
    )


def _managed_fields(review: Json, request: Request, now: datetime) -> list[Json]:
    group, _, version = review["apiVersion"].rpartition("/")
    asked = {key: value for key, value in review.items() if key != "status"}
    schema = schema_name(group, version, review["kind"])
    return managed.updated(
        schema, None, asked, [], request.field_manager, review["apiVersion"], request.subresource, now
    )


def _token_id(token: str) -> str:
    payload = token.split(".")[1]
    claims: Any = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["jti"])
