"""Owns the way of a request through the server: timeout, authentication, audit, impersonation, authorization, answer.

The order is the real one's, because the audit log shows it: a request that is refused before authentication has one
event and no user, one that may not impersonate has no authorization annotations, and so on.
Source: kube-apiserver 1.34, apiserver/pkg/server/config.go; facts §A; golden/policy/battery.json.
"""

from __future__ import annotations

import re
import traceback
import uuid
from collections.abc import Callable
from datetime import datetime

from checkers.kube import gotext
from checkers.kube.request_info import RequestInfo, UnreadableUrl, parse

from . import answers, audit
from .audit import Auditor, Event
from .authn import Authenticator, ImpersonationError, Unauthorized, impersonation
from .authz import Access, Authorizer, refusal
from .border import ApiError, UserInfo
from .exchange import Exchange
from .http import HttpRequest, Response, Stream
from .klog import Klog
from .path_routes import PathRoutes
from .resource_routes import ResourceRoutes
from .status import bad_request, failure

_CREDENTIALS = re.compile(r"[^\x20-\x7e]")


class Api:
    """The server without its sockets: one request in, one answer out."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        auditor: Auditor,
        resources: ResourceRoutes,
        paths: PathRoutes,
        klog: Klog,
        now: Callable[[], datetime],
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._auditor = auditor
        self._resources = resources
        self._paths = paths
        self._klog = klog
        self._now = now
        self._flow = [
            ("X-Kubernetes-Pf-Flowschema-Uid", str(uuid.uuid4())),
            ("X-Kubernetes-Pf-Prioritylevel-Uid", str(uuid.uuid4())),
        ]
        self.requests = 0

    async def handle(self, request: HttpRequest, user: UserInfo | None = None) -> Response:
        """Answer one request. `user` is given where the server asks itself."""
        received = self._now()
        self.requests += 1
        audit_id = request.header("audit-id") or str(uuid.uuid4())
        try:
            response = self._chain(request, user, audit_id, received)
        except Exception as error:
            self._klog.plain("".join(traceback.format_exception(error)).rstrip())
            response = answers.internal_error(request, type(error).__name__)
        headers = [("Audit-Id", _printable(audit_id)), ("Cache-Control", "no-cache, private"), *response.headers]
        response.headers = response.headers if response.status == 101 else headers
        return response

    def _chain(self, request: HttpRequest, user: UserInfo | None, audit_id: str, received: datetime) -> Response:
        try:
            info = parse(request.method, request.path, request.query)
        except UnreadableUrl as error:
            return answers.internal_error(request, f"failed to create RequestInfo: {error}")
        if not info.long_running and not _timeout_is_good(request):
            wrong = bad_request("invalid timeout specified in the request URL").status
            return self._failed_early(request, info, audit_id, received, wrong)
        if user is None:
            try:
                user = self._authenticator.authenticate(request)
            except Unauthorized:
                return self._failed_early(
                    request, info, audit_id, received, failure(401, "Unauthorized", "Unauthorized").status
                )
        event = self._auditor.begin(request, info, user, audit_id, received)
        exchange = Exchange(request, info, user, event, received)
        if not self._auditor.record(event, audit.RECEIVED):
            return answers.internal_error(request, "failed to store audit event")
        try:
            response = self._answer(exchange)
        except Exception as error:
            return self._panic(event, error)
        return self._recorded(exchange, response)

    def _failed_early(
        self, request: HttpRequest, info: RequestInfo, audit_id: str, received: datetime, status: dict[str, object]
    ) -> Response:
        event = self._auditor.begin(request, info, None, audit_id, received)
        exchange = Exchange(request, info, UserInfo(""), event, received)
        response = exchange.refuse(status)
        event.set_code(response.status)
        self._auditor.record(event, audit.STARTED)
        return response

    def _answer(self, exchange: Exchange) -> Response:
        try:
            self._impersonate(exchange)
            self._authorize(exchange)
        except ImpersonationError as error:
            return answers.internal_error(exchange.request, str(error))
        except ApiError as error:
            response = exchange.refuse(error.status, answers.NO_SNIFFING)
            response.headers += self._flow
            return response
        routes = self._resources if exchange.info.is_resource else self._paths
        response = routes.answer(exchange)
        response.headers += self._flow
        return answers.compress(exchange.request, response) if response.body else response

    def _impersonate(self, exchange: Exchange) -> None:
        asked = impersonation(exchange.request.headers)
        if asked is None:
            return
        becoming, wanted = asked
        for group, resource, subresource, namespace, name in wanted:
            access = Access(exchange.user, "impersonate", group, resource, subresource, namespace, name)
            decision = self._authorizer.decide(access)
            if not decision.allowed:
                raise answers.forbidden(group, resource, name, refusal(access, decision))
        exchange.user = exchange.event.impersonated = becoming

    def _authorize(self, exchange: Exchange) -> None:
        info = exchange.info
        if info.is_resource:
            access = Access(
                exchange.user,
                info.verb,
                info.group,
                info.resource,
                info.subresource,
                info.namespace,
                info.name,
                field_selector=exchange.request.query.get("fieldSelector", [""])[0],
            )
        else:
            access = Access(exchange.user, info.verb, path=info.path)
        decision = self._authorizer.decide(access)
        exchange.event.annotations["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
        exchange.event.annotations["authorization.k8s.io/reason"] = decision.reason
        if not decision.allowed:
            raise answers.forbidden(
                info.group, info.resource, info.name if info.is_resource else "", refusal(access, decision)
            )

    def _recorded(self, exchange: Exchange, response: Response) -> Response:
        """Write the events that follow an answer; those of a stream when it starts and when it has ended."""
        event = exchange.event
        event.set_code(response.status)
        if exchange.info.long_running:
            self._auditor.record(event, audit.STARTED)
        if response.stream is not None:
            response.stream = self._until_done(event, response.stream)
        else:
            self._auditor.record(event, audit.COMPLETE)
        return response

    async def _until_done(self, event: Event, stream: Stream) -> Stream:
        ended = audit.COMPLETE
        try:
            async for chunk in stream:
                yield chunk
        except Exception as error:
            ended = audit.PANIC
            self._tell(event, error)
        finally:
            await stream.aclose()
            self._auditor.record(event, ended)

    def _panic(self, event: Event, error: Exception) -> Response:
        """Record and survive a mistake of ours, as the real server survives a panic."""
        self._tell(event, error)
        self._auditor.record(event, audit.PANIC)
        return answers.text(500, "This request caused apiserver to panic. Look in the logs for details.\n")

    def _tell(self, event: Event, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"
        where = f"{event.request.method} {event.request.target}"
        self._klog.line("E", "wrap.go:57", f"apiserver panic'd on {where}: {words}")
        self._klog.plain("".join(traceback.format_exception(error)).rstrip())
        status = failure(500, "InternalError", f"APIServer panic'd: {words}").status
        event.status = {key: status[key] for key in ("metadata", "status", "message", "reason", "code")}


def _timeout_is_good(request: HttpRequest) -> bool:
    asked = request.query.get("timeout", [""])[0]
    if not asked:
        return True
    try:
        gotext.parse_duration(asked)
    except gotext.GoValueError:
        return False
    return True


def _printable(text: str) -> str:
    return _CREDENTIALS.sub("?", text)
