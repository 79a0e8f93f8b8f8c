"""Owns what of a decision shows in a request's events: not every stage comes, and not every body has managed fields.

Sources: kube-apiserver 1.34, apiserver/pkg/server/filters/longrunning.go, endpoints/filters/audit.go and
endpoints/filters/authn_audit.go, pkg/audit/request.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checkers.kube.audit_policy import STAGES, Attributes, Decision, Level
from checkers.kube.policy.selector import Selector

_LONG_VERBS = ("watch", "proxy")
_LONG_SUBRESOURCES = ("attach", "exec", "log", "portforward", "proxy")
_LONG_PATHS = "/debug/pprof/"
# What is sent as a body is an object; of a patch the audit records the raw bytes, managed fields and all.
_OBJECT_SENT = ("create", "update")
_OBJECT_ANSWERED = ("get", "list", "patch", "delete", "deletecollection")
_BODY_STAGES = frozenset(("ResponseComplete", "Panic"))


@dataclass(frozen=True, slots=True)
class Events:
    """What the events of a kind of request have: their stages, and from which level on managed fields (None: none)."""

    stages: frozenset[str] = frozenset(STAGES)
    managed_from: Level | None = None


_Part = tuple[Selector, Events]
ANY = Events(managed_from=Level.REQUEST)
NOBODY = Events(frozenset(("ResponseStarted",)))
_LONG = Events()
_SHORT = Events(frozenset(STAGES) - {"ResponseStarted"})
_SENT = replace(_SHORT, managed_from=Level.REQUEST)
_ANSWERED = replace(_SHORT, managed_from=Level.REQUEST_RESPONSE)


def alike(one: Decision, other: Decision, events: Events = ANY) -> bool:
    """Say whether two decisions lead to the same events, for a request that has such events."""
    stages = [stage for stage in one.stages if stage in events.stages]
    if stages != [stage for stage in other.stages if stage in events.stages]:
        return False
    if not stages:
        return True
    if one.level is not other.level:
        return False
    if events.managed_from is None or one.level < events.managed_from or _BODY_STAGES.isdisjoint(stages):
        return True
    return one.omit_managed_fields == other.omit_managed_fields


def events_of(attributes: Attributes) -> Events:
    """Say what the events of a request have. One without a user is a 401."""
    if attributes.user is None:
        return NOBODY
    for select, events in parts(Selector()):
        if select.matches(attributes):
            return events
    raise AssertionError("the last part is about everything")


def told_apart_by(decisions: Sequence[Decision]) -> bool:
    """Say whether it matters to any pair of these decisions what the events of a request have."""
    recording = [decision for decision in decisions if decision.stages]
    started = {"ResponseStarted" in decision.stages for decision in recording}
    managed = {decision.omit_managed_fields for decision in recording if decision.level >= Level.REQUEST}
    return len(started) > 1 or len(managed) > 1 or any(d.stages == ("ResponseStarted",) for d in recording)


def parts(select: Selector) -> Iterator[_Part]:
    """Yield what a selector means, part by part, with what its events have; the first that fits a request counts."""
    about_paths = bool(select.paths) and not select.about_resources
    yield from _narrowed(select, "verbs", _LONG_VERBS, _LONG)
    if not about_paths:
        yield from _narrowed(replace(select, any_resource=True), "subresources", _LONG_SUBRESOURCES, _LONG)
    if not select.about_resources and (paths := _within_long(select.paths)):
        yield replace(select, paths=paths), _LONG
    if not about_paths:
        yield from _narrowed(replace(select, any_resource=True), "verbs", _OBJECT_SENT, _SENT)
        yield from _narrowed(replace(select, any_resource=True), "verbs", _OBJECT_ANSWERED, _ANSWERED)
    yield select, _SHORT


def _narrowed(select: Selector, field: str, words: tuple[str, ...], events: Events) -> Iterator[_Part]:
    own: tuple[str, ...] = getattr(select, field)
    both = tuple(word for word in words if word in own) if own else words
    if both:
        narrowed: dict[str, Any] = {field: both}
        yield replace(select, **narrowed), events


def _within_long(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns of the long-running ones among the paths."""
    every = f"{_LONG_PATHS}*"
    if not patterns:
        return (every,)
    found = []
    for pattern in patterns:
        if pattern.startswith(_LONG_PATHS):
            found.append(pattern)
        elif pattern.endswith("*") and _LONG_PATHS.startswith(pattern.rstrip("*")):
            found.append(every)
    return tuple(dict.fromkeys(found))
