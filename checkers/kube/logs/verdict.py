"""Owns the verdict on one event: can a kube-apiserver with this policy have written it?

What cannot be known from an event accuses nobody: an aggregated API's bodies pass through and are not logged, a request
that is refused before its body is decoded has none, a truncated event lost its own.
Sources: kube-apiserver 1.34, apiserver/pkg/audit and pkg/endpoints/filters; facts §A and §B; golden/policy and logs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from checkers.kube.audit_policy import STAGES, Decision, Level, Policy
from checkers.kube.builtin_resources import builtin_resources
from checkers.kube.logs.bodies import Bodies
from checkers.kube.logs.decisions import Decisions
from checkers.kube.logs.event import API_SERVER, starts_with
from checkers.kube.logs.findings import Problem
from checkers.kube.logs.line import Answer, LogLine, answer, encode_line, is_there, missing_fields, nested_strangeness
from checkers.kube.logs.request import (
    COMPLETE,
    PANIC,
    RECEIVED,
    REF_FIELDS,
    STARTED,
    USER_FIELDS,
    ObjectRef,
    UnusableField,
    Who,
    asked_for,
    attributes,
    contradictions,
    reference,
    uri_text,
    who,
)
from checkers.kube.policy.commands import request_words
from checkers.kube.request_info import RequestInfo

_LEVELS: Final = {"Metadata": Level.METADATA, "Request": Level.REQUEST, "RequestResponse": Level.REQUEST_RESPONSE}
_CONNECT: Final = frozenset(("exec", "attach", "portforward", "proxy", "log"))
_READS: Final = frozenset(("get", "list", "watch", "proxy"))
_WRITES: Final = frozenset(("create", "update", "patch"))
_DECODED: Final = frozenset(("create", "update", "delete", "deletecollection"))
_ANSWERED: Final = frozenset(("get", "list", "create", "update", "patch", "delete", "deletecollection"))
_DONE: Final = (200, 201, 202)
# How a built-in resource answers with success what is no stream. Source: apiserver/pkg/endpoints/handlers.
_CODES: Final = {
    "get": (200,),
    "list": (200,),
    "create": (201,),
    "update": (200, 201),
    "patch": (200, 201),
    "delete": (200, 202),
    "deletecollection": (200, 202),
}
_PANICKED: Final = 500
_ANONYMOUS: Final = "system:anonymous"
_UNAUTHENTICATED: Final = ("system:unauthenticated",)
_DECISION: Final = "authorization.k8s.io/decision"
_TRUNCATED: Final = "audit.k8s.io/truncated"
_REMEMBERED: Final = 20_000


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What is to say of an event by itself, and what the order of events is judged by.

    `stages` are those that the policy lets through of this request; empty where it is not known or does not fit.
    `lease` names the lease that this event renews. `server` tells the API server's processes apart: the uid of the one
    that asks itself.
    """

    problems: tuple[Problem, ...] = ()
    stages: tuple[str, ...] = ()
    long_running: bool = False
    omits_managed_fields: bool = False
    keeps_patch: bool = False
    is_start: bool = False
    lease: str = ""
    server: str = ""
    rule: int | None = None
    policy_line: int | None = None


class EventJudge:
    """Judges events by one policy."""

    def __init__(self, policy: Policy) -> None:
        self._decisions = Decisions(policy)
        self._users: dict[bytes, tuple[Who, tuple[Problem, ...]]] = {}
        self._requests: dict[tuple[bytes, str], RequestInfo] = {}

    def _user(self, raw: bytes) -> tuple[Who, tuple[Problem, ...]]:
        """Return the user, and what is strange about it. Raises UnusableField."""
        found = self._users.get(raw)
        if found is None:
            if len(self._users) >= _REMEMBERED:
                self._users.clear()
            asker = who(raw)
            found = self._users[raw] = (asker, tuple(_strange_user(asker, raw)))
        return found

    def _asked(self, uri: bytes, verb: str) -> RequestInfo:
        """Return what is asked for. Raises UnusableField."""
        key = (uri, verb)
        found = self._requests.get(key)
        if found is None:
            if len(self._requests) >= _REMEMBERED:
                self._requests.clear()
            found = self._requests[key] = asked_for(uri_text(uri), verb)
        return found

    def verdict(self, event: LogLine) -> tuple[Verdict, Bodies | None]:
        """Return what is to say of an event, but for its auditID, times, addresses; and what its bodies have to be."""
        missing = missing_fields(event)
        problems = [Problem("field", f"{name} is missing") for name in missing]
        problems += _header(event)
        if {"requestURI", "verb", "user"} & set(missing):
            return Verdict(tuple(problems)), None
        assert event.verb is not None
        try:
            asker, strange = self._user(bytes(event.user))
            ref, odd = _reference(event)
            notes = _annotations(event)
            info = self._asked(bytes(event.request_uri), event.verb)
        except UnusableField as error:
            return Verdict((*problems, Problem("field", str(error)))), None
        problems += [*strange, *([Problem("written", odd)] if odd is not None else [])]
        contradicted = [Problem("uri", text) for text in contradictions(info, event.verb, ref, stage=event.stage)]
        problems += contradicted
        answered = answer(bytes(event.response_status)) if is_there(event.response_status) else Answer(None)
        code = answered.code
        problems += _at_stage(event, asker, info, code, notes)
        if not answered.closed_early:
            problems += _bodies(event, info, code, notes)
        decision = self._decisions.of(attributes(asker, info))
        by_policy = [] if contradicted else list(_by_policy(event, asker, info, decision))
        fits = not by_policy and not problems and asker.name is not None
        done = code in _DONE and not answered.closed_early and not _is_stream(info)
        builtin = (info.group, info.resource) in builtin_resources()
        bodies = Bodies(info, ref, event.verb in _DECODED) if done and builtin and ref is not None else None
        return Verdict(
            problems=(*problems, *by_policy),
            stages=decision.stages if fits else (),
            long_running=info.long_running,
            omits_managed_fields=decision.omit_managed_fields,
            keeps_patch=event.verb == "patch",
            is_start=asker.name == API_SERVER and _starts(ref, event.verb),
            server=asker.uid if asker.name == API_SERVER else "",
            lease=_lease(event, info, code),
            rule=decision.rule.index if decision.rule else None,
            policy_line=decision.rule.line if decision.rule else None,
        ), bodies


def _strange_user(asker: Who, raw: bytes) -> Iterator[Problem]:
    """Yield in what a user is not as a kube-apiserver knows and writes it."""
    words = nested_strangeness(raw, USER_FIELDS, "user")
    if words is not None:
        yield Problem("written", words)
    if asker.name == _ANONYMOUS and asker.groups != _UNAUTHENTICATED:
        yield Problem("user-odd", f"{_ANONYMOUS} in {', '.join(asker.groups) or 'no group'}")
    if asker.name == "":
        yield Problem("user-odd", f"a user without a name, in {', '.join(asker.groups)}")


def _header(event: LogLine) -> Iterator[Problem]:
    if event.kind and event.kind != "Event":
        yield Problem("field", f"kind is {event.kind!r}, not 'Event'")
    if event.api_version and event.api_version != "audit.k8s.io/v1":
        yield Problem("field", f"apiVersion is {event.api_version!r}, not 'audit.k8s.io/v1'")
    if event.level == "None":
        yield Problem("field", "level is None: such an event is not written")
    elif event.level and event.level not in _LEVELS:
        yield Problem("field", f"level {event.level!r} is none")
    if event.stage and event.stage not in STAGES:
        yield Problem("field", f"stage {event.stage!r} is none")


def _reference(event: LogLine) -> tuple[ObjectRef | None, str | None]:
    """Return the objectRef, and in what it is not as a kube-apiserver writes it. Raises UnusableField."""
    if not is_there(event.object_ref):
        return None, None
    raw = bytes(event.object_ref)
    ref = reference(raw)
    # Written again it is the same, but for escapes.
    if encode_line(ref) == raw:
        return ref, None
    return ref, nested_strangeness(raw, REF_FIELDS, "objectRef")


def _annotations(event: LogLine) -> dict[str, str]:
    if not is_there(event.annotations):
        return {}
    try:
        return msgspec.json.decode(event.annotations, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UnusableField("annotations are not texts") from None


def _at_stage(
    event: LogLine, asker: Who, info: RequestInfo, code: int | None, notes: dict[str, str]
) -> Iterator[Problem]:
    """Yield what an event cannot have, or has to have, at its stage."""
    stage, decision = event.stage, notes.get(_DECISION)
    if stage == RECEIVED:
        for name, there in (
            ("responseStatus", is_there(event.response_status)),
            ("impersonatedUser", is_there(event.impersonated_user)),
            (f"annotation {_DECISION}", decision is not None),
        ):
            if there:
                yield Problem("field", f"{name} at RequestReceived: it is not known then")
    elif code is None:
        yield Problem("field", f"no code of the response at {stage}")
    elif not 100 <= code <= 599:
        yield Problem("field", f"{code} is no code of a response")
    elif stage == PANIC and code != _PANICKED:
        yield Problem("field", f"{code} at Panic: that is answered with {_PANICKED}")
    if asker.name is None:
        if stage != STARTED:
            yield Problem("user", f"no user at {stage}: a request without one has only an event at ResponseStarted")
        elif code is not None and 100 <= code < 400:
            yield Problem("user", f"a request without a user is refused, not answered with {code}")
        return
    if stage == STARTED and not info.long_running:
        builtin = not info.is_resource or (info.group, info.resource) in builtin_resources()
        words = "ResponseStarted is for long-running requests and for those without a user"
        yield Problem("stage" if builtin else "stage-odd", words)
    if decision not in (None, "allow", "forbid"):
        yield Problem("field", f"annotation {_DECISION} is {decision!r}, not allow or forbid")
    if code is None or not 100 <= code < 400:
        return
    if decision == "forbid":
        yield Problem("field", f"annotation {_DECISION} is forbid, and yet the answer is {code}")
    elif decision is None and stage != RECEIVED:
        yield Problem("allow-missing", f"answered with {code}, but without the annotation {_DECISION}")


def _bodies(event: LogLine, info: RequestInfo, code: int | None, notes: dict[str, str]) -> Iterator[Problem]:
    """Yield bodies that cannot be there, and those that have to be there and are not."""
    has_request, has_response = is_there(event.request_object), is_there(event.response_object)
    level = _LEVELS.get(event.level)
    if level is None:
        return
    if event.stage == RECEIVED:
        for there, name in ((has_request, "requestObject"), (has_response, "responseObject")):
            if there:
                yield Problem("body-unexpected", f"{name} at RequestReceived: nothing has been read then")
        return
    if has_request and level < Level.REQUEST:
        yield Problem("body-above-level", f"requestObject at level {level}")
    if has_response and level < Level.REQUEST_RESPONSE:
        yield Problem("body-above-level", f"responseObject at level {level}")
    if not info.is_resource:
        if has_request:
            yield Problem("body-unexpected", "requestObject of a request for no resource")
        return
    if (info.group, info.resource) not in builtin_resources():
        return
    stream = _is_stream(info)
    expected = _CODES.get(info.verb)
    if not stream and expected is not None and code is not None and 200 <= code < 300 and code not in expected:
        yield Problem("field", f"{_what(info)} answered with {code}, not {' or '.join(map(str, expected))}")
    if has_request and (stream or info.verb in _READS):
        yield Problem("body-unexpected", f"requestObject of a {_what(info)}, which has none")
    if has_response and stream and code is not None and code < 300:
        yield Problem("body-unexpected", f"responseObject of a {_what(info)} that was answered: streams are not logged")
    if stream or event.stage != COMPLETE or code not in _DONE or notes.get(_TRUNCATED) == "true":
        return
    if level >= Level.REQUEST and info.verb in _WRITES and not has_request:
        yield Problem("body-missing", f"no requestObject of a {_what(info)} at level {level}, answered with {code}")
    if level >= Level.REQUEST_RESPONSE and info.verb in _ANSWERED and not has_response:
        yield Problem("body-missing", f"no responseObject of a {_what(info)} at level {level}, answered with {code}")


def _is_stream(info: RequestInfo) -> bool:
    return info.verb in ("watch", "proxy") or info.subresource in _CONNECT


def _what(info: RequestInfo) -> str:
    return f"{info.verb} of {info.resource}" + (f"/{info.subresource}" if info.subresource else "")


def _by_policy(event: LogLine, asker: Who, info: RequestInfo, decision: Decision) -> Iterator[Problem]:
    """Yield what the policy does not let through."""
    level = _LEVELS.get(event.level)
    if level is None or event.stage not in STAGES:
        return
    rule = decision.rule
    index, line = (rule.index, rule.line) if rule else (None, None)
    if rule is not None and decision.level is level and event.stage in decision.stages:
        return
    words = request_words(attributes(asker, info))
    if rule is None:
        yield Problem("not-recorded", f"no rule matches, so nothing is recorded: {words}")
    elif decision.level is Level.NONE:
        yield Problem("not-recorded", f"rule {index} (line {line}) gives None: {words}", index, line)
    else:
        if decision.level is not level:
            said = f"level {level}, but rule {index} (line {line}) gives {decision.level}: {words}"
            yield Problem("level", said, index, line)
        if event.stage not in decision.stages:
            by = f"rule {index} (line {line})" if event.stage in rule.omit_stages else "the policy"
            yield Problem("stage-omitted", f"{by} omits {event.stage}: {words}", index, line)


def _starts(ref: ObjectRef | None, verb: str) -> bool:
    return ref is not None and starts_with(verb, ref.api_group, ref.resource, ref.namespace, ref.subresource, ref.name)


def _lease(event: LogLine, info: RequestInfo, code: int | None) -> str:
    """Return the lease that is renewed, "" where none is."""
    if info.resource == "leases" and info.verb in ("update", "patch") and event.stage == COMPLETE and code in _DONE:
        return f"{info.namespace}/{info.name}"
    return ""
