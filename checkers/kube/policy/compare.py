"""Owns the question whether two audit policies record the same: the proof, with the one policy's rules for wishes.

Each rule of the one becomes wishes that the other decide alike, in the same order, and a last one stands for what no
rule matches. What is alike: the level, the stages that are let through, and whether managed fields are left out of
bodies, as far as that can show in the events of a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from checkers.kube.audit_policy import Attributes, Decision, GroupResources, Level, Policy, Rule, decision_of, evaluate
from checkers.kube.policy.commands import command_for, command_on_existing, command_with_managed_fields
from checkers.kube.policy.events import ANY, NOBODY, Events, alike, events_of, parts, told_apart_by
from checkers.kube.policy.sendable import Sendable, SendableUnauthenticated, Unauthenticated, command_as_is
from checkers.kube.policy.universe import Target, Universe
from checkers.kube.policy_proof import Selector, Wish, prove


@dataclass(frozen=True)
class Difference:
    """A request that two policies do not record alike, what each decides, and the command that sends it."""

    attributes: Attributes
    one: Decision
    other: Decision
    command: str

    @property
    def of_managed_fields(self) -> bool:
        """Say whether it is the managed fields in bodies alone that are recorded by one policy and not by the other."""
        return _of_managed_fields(self.attributes, self.one, self.other)


class _SendableToReal(Sendable):
    """The classes of all that can be sent for what exists: nothing else is answered with an object."""

    def targets(self) -> list[Target]:
        """Return one target of each kind, of those that exist."""
        return Universe.targets(self)


def compare(one: Policy, other: Policy) -> tuple[Difference, ...]:
    """Return a request for each pair of deciding rules that are not alike, the most everyday first; () if all are.

    What no ordinary request tells apart is tried with those that end with a 401, and then with all that can be sent.
    """
    decisions = [decision_of(policy, rule) for policy in (one, other) for rule in (*policy.rules, None)]
    by_events = told_apart_by(decisions)
    known, nobody = list(_wishes(other, by_events, bodies=True)), [_as_nobody(w) for w in _wishes(other, False)]
    tries: list[tuple[type[Universe], list[_Alike], bool]] = [(Universe, known, True), (Unauthenticated, nobody, False)]
    if by_events:
        tries.append((_SendableToReal, known, False))
        known = list(_wishes(other, by_events, bodies=False))
    tries += [(Sendable, known, False), (SendableUnauthenticated, nobody, False)]
    for universe, wishes, usual in tries:
        found = prove(one, wishes, universe=universe).counterexamples
        if found:
            attributes = [c.attributes for c in found]
            return tuple(_difference(a, evaluate(one, a), evaluate(other, a), usual) for a in attributes)
    return ()


def _difference(attributes: Attributes, one: Decision, other: Decision, usual: bool) -> Difference:
    of_managed_fields = _of_managed_fields(attributes, one, other)
    sent = of_managed_fields and one.level is Level.REQUEST
    if usual and of_managed_fields:
        command = command_with_managed_fields(attributes) if sent else command_on_existing(attributes)
    elif usual:
        command = command_for(attributes)
    else:
        command = command_as_is(attributes, managed_fields=sent)
    return Difference(attributes, one, other, command)


def _of_managed_fields(attributes: Attributes, one: Decision, other: Decision) -> bool:
    events = events_of(attributes)
    return not alike(one, other, events) and alike(one, other, replace(events, managed_from=None))


@dataclass(frozen=True)
class _Alike(Wish):
    """The wish that a request is decided as the other policy decides it, as far as its events show."""

    decision: Decision = field(default_factory=lambda: Decision(Level.NONE, None))
    events: Events = ANY

    def broken_by(self, decision: Decision) -> bool:
        """Say whether a decision leads to other events."""
        return not alike(self.decision, decision, self.events)


def _as_nobody(wish: _Alike) -> _Alike:
    return replace(wish, events=NOBODY)


def _wishes(policy: Policy, by_events: bool, *, bodies: bool = True) -> Iterator[_Alike]:
    """Yield a wish for each part of what each rule decides, and for what none does."""
    decided = [(selector, decision_of(policy, rule)) for rule in policy.rules for selector in selectors_of(rule)]
    for selector, way in (*decided, (Selector(), decision_of(policy, None))):
        for select, events in parts(selector) if by_events else ((selector, ANY),):
            yield _Alike(select, decision=way, events=events if bodies else replace(events, managed_from=None))


def selectors_of(rule: Rule) -> Iterator[Selector]:
    """Yield what the rule is about. A star is a word in it, but in resources, paths and (from 1.36) groups."""
    select = Selector(users=rule.users, groups=rule.user_groups, verbs=rule.verbs, namespaces=rule.namespaces)
    for entry in rule.resources:
        groups = () if entry.group == "*" and rule.group_star else (entry.group,)
        names = entry.resource_names if entry.resources else ()
        for resources, subresources in _patterns(entry):
            yield replace(
                select,
                api_groups=groups,
                resources=resources,
                subresources=subresources,
                names=names,
                any_resource=True,
            )
    if not rule.resources:
        yield replace(select, paths=rule.non_resource_urls)


def _patterns(entry: GroupResources) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the resources and subresources that each pattern of a rule means."""
    if not entry.resources:
        yield (), ()
    for pattern in entry.resources:
        resource, slash, subresource = pattern.partition("/")
        if pattern == "*":
            yield (), ()
        elif not slash:
            yield (resource,), ("",)
        else:
            if resource == "*" and subresource:
                yield (), (subresource,)
            if subresource == "*":
                yield (resource,), ()
            elif resource != "*" and subresource:
                yield (resource,), (subresource,)
