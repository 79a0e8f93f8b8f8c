"""Owns the question whether two audit policies record the same: the proof, with the one policy's rules for wishes.

Each rule of the one becomes wishes that the other decide alike, in the same order, and a last one stands for what no
rule matches. What is alike: the level, the stages that are let through, and whether managed fields are left out of
bodies, where there are bodies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from checkers.kube.audit_policy import Attributes, Decision, GroupResources, Level, Policy, Rule, decision_of, evaluate
from checkers.kube.policy.commands import command_for
from checkers.kube.policy.sendable import Sendable, SendableUnauthenticated, Unauthenticated, command_as_is
from checkers.kube.policy.universe import Universe
from checkers.kube.policy_proof import Selector, Wish, prove


@dataclass(frozen=True)
class Difference:
    """A request that two policies do not record alike, what each decides, and the command that sends it."""

    attributes: Attributes
    one: Decision
    other: Decision
    command: str


def compare(one: Policy, other: Policy) -> tuple[Difference, ...]:
    """Return a request for each pair of deciding rules that are not alike, the most everyday first; () if all are.

    What no ordinary request tells apart is tried with those that end with a 401, and then with all that can be sent.
    """
    for universe, wish, command in (
        (Universe, _Alike, command_for),
        (Unauthenticated, _AlikeToNobody, command_as_is),
        (Sendable, _Alike, command_as_is),
        (SendableUnauthenticated, _AlikeToNobody, command_as_is),
    ):
        found = prove(one, _wishes(other, wish), universe=universe).counterexamples
        if found:
            attributes = [c.attributes for c in found]
            return tuple(Difference(a, evaluate(one, a), evaluate(other, a), command(a)) for a in attributes)
    return ()


def alike(one: Decision, other: Decision) -> bool:
    """Say whether two decisions lead to the same events."""
    if one.stages != other.stages:
        return False
    if not one.stages:
        return True
    if one.level is not other.level:
        return False
    return one.level < Level.REQUEST or one.omit_managed_fields == other.omit_managed_fields


@dataclass(frozen=True)
class _Alike(Wish):
    """The wish that a request is decided as the other policy decides it."""

    decision: Decision = field(default_factory=lambda: Decision(Level.NONE, None))

    def broken_by(self, decision: Decision) -> bool:
        """Say whether a decision is another one."""
        return not alike(self.decision, decision)


@dataclass(frozen=True)
class _AlikeToNobody(_Alike):
    """The wish that a request with a 401 is recorded alike: it has one event, of the stage ResponseStarted."""

    def broken_by(self, decision: Decision) -> bool:
        """Say whether that event is another one."""
        levels = [d.level if "ResponseStarted" in d.stages else None for d in (self.decision, decision)]
        return levels[0] is not levels[1]


def _wishes(policy: Policy, wish: type[_Alike]) -> list[Wish]:
    decided = [(rule, decision_of(policy, rule)) for rule in policy.rules]
    found: list[Wish] = [wish(selector, decision=way) for rule, way in decided for selector in selectors_of(rule)]
    return [*found, wish(Selector(), decision=decision_of(policy, None))]


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
