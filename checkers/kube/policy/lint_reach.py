"""Owns what the proof says of a policy's rules: which can never fire and why, and which record credentials.

Every class of request that the rules can tell apart is looked at, so what is said here is proven, not guessed. An odd
request (for a misspelt resource, by a method that nobody uses, with a bad token: mostly answered 404, 405 or 401) is
recorded like any other: a rule that fires for nothing else is told apart from one that never fires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from checkers.kube.audit_policy import Attributes, Decision, GroupResources, Level, Policy, Rule, evaluate
from checkers.kube.builtin_resources import ALL_VERBS
from checkers.kube.policy.compare import selectors_of
from checkers.kube.policy.sendable import Sendable, SendableUnauthenticated, is_method
from checkers.kube.policy.universe import METHODS, ODD_VERB, VERBS, Universe
from checkers.kube.policy_proof import Selector, Wish, prove

DIMENSIONS = ("users", "user_groups", "verbs", "resources", "namespaces", "non_resource_urls")
# Which requests count: ordinary ones, all that somebody sends, and those of nobody (401) as well.
Scope = tuple[type[Universe], ...]
ORDINARY: Scope = (Universe,)
SOMEBODY: Scope = (Sendable,)
ALL: Scope = (Sendable, SendableUnauthenticated)
_BODY_STAGES = frozenset(("ResponseComplete", "Panic"))
_WRITES = ("create", "update", "patch")
# A deleted Secret that a finalizer still holds, and each one of a collection, is the answer.
_READS = ("get", "list", "delete", "deletecollection")


@dataclass(frozen=True)
class Credentials:
    """A kind of request with credentials in a body: what is named in a policy, and the level that still hides it."""

    what: str
    group: str
    resource: str
    select: Selector
    hidden_up_to: Level


def _select(group: str, resource: str, subresource: str, verbs: tuple[str, ...]) -> Selector:
    return Selector(verbs=verbs, api_groups=(group,), resources=(resource,), subresources=(subresource,))


# A token request is asked without a token and answered with one; a token review the other way round.
CREDENTIALS = (
    Credentials("secrets", "", "secrets", _select("", "secrets", "", _WRITES), Level.METADATA),
    Credentials("secrets", "", "secrets", _select("", "secrets", "", _READS), Level.REQUEST),
    Credentials(
        "tokens of service accounts",
        "",
        "serviceaccounts/token",
        _select("", "serviceaccounts", "token", ("create",)),
        Level.REQUEST,
    ),
    Credentials(
        "token reviews",
        "authentication.k8s.io",
        "tokenreviews",
        _select("authentication.k8s.io", "tokenreviews", "", ("create",)),
        Level.METADATA,
    ),
)


@dataclass(frozen=True)
class Reach:
    """Which rules decide an ordinary request, which only odd ones, and which only those of nobody: a 401.

    `shown`: by rule, the credentials that it records in bodies.
    """

    fires: frozenset[int]
    odd: frozenset[int] = frozenset()
    nobody: frozenset[int] = frozenset()
    shown: dict[int, tuple[Credentials, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Asks(Wish):
    """Not a wish but a question: is this request decided by one of these rules, or does its body show credentials?"""

    rules: frozenset[int] = frozenset()
    credentials: Credentials | None = None

    def broken_by(self, decision: Decision) -> bool:
        """Say whether the answer is yes."""
        if decision.rule is not None and decision.rule.index in self.rules:
            return True
        return self.shown_by(decision)

    def shown_by(self, decision: Decision) -> bool:
        """Say whether the credentials are in a body that is recorded."""
        if self.credentials is None or _BODY_STAGES.isdisjoint(decision.stages):
            return False
        return decision.level > self.credentials.hidden_up_to


@dataclass(frozen=True)
class _Always(Wish):
    """Not a wish but a question: which rules decide these requests?"""

    def broken_by(self, decision: Decision) -> bool:
        """Say yes."""
        return True


def reach(policy: Policy) -> Reach:
    """Say which rules fire, and which of them record credentials."""
    everyone = frozenset(rule.index for rule in policy.rules)
    wishes = [_Asks(c.select, rules=everyone, credentials=c) for c in CREDENTIALS]
    proof = prove(policy, [*wishes, _Asks(Selector(), rules=everyone)])
    fires = {found.rule for found in proof.counterexamples if found.rule is not None}
    shown: dict[int, tuple[Credentials, ...]] = {}
    for found in sorted(proof.counterexamples, key=lambda c: c.wish_index):
        wish = found.wish
        assert isinstance(wish, _Asks)
        if wish.credentials is not None and found.rule is not None and wish.shown_by(found.decision):
            before = shown.get(found.rule, ())
            if wish.credentials.what not in [c.what for c in before]:
                shown[found.rule] = (*before, wish.credentials)
    asked = frozenset(
        rule.index
        for rule in policy.rules
        if rule.index not in fires and not any(covers(earlier, rule) for earlier in policy.rules[: rule.index])
    )
    odd = _deciding_any(policy, asked, Sendable)
    nobody = _deciding_any(policy, asked - odd, SendableUnauthenticated)
    return Reach(frozenset(fires), odd, nobody, shown)


def _deciding_any(policy: Policy, rules: frozenset[int], universe: type[Universe]) -> frozenset[int]:
    """Return which of the rules decide some request of a universe."""
    if not rules:
        return rules
    found = prove(policy, [_Asks(Selector(), rules=rules)], universe=universe).counterexamples
    return frozenset(c.rule for c in found if c.rule is not None) & rules


def impossible(rule: Rule, *, ordinary: bool = False) -> tuple[str, ...]:
    """Return the fields of a rule, by their names in Rule, that together match no request, none of them needless.

    () where it matches some. `ordinary`: odd requests do not count.
    """
    at_once = _impossible_words(rule, ordinary)
    if at_once:
        return (at_once,)
    if _matches_something(rule, ordinary):
        return ()
    kept = [name for name in DIMENSIONS if getattr(rule, name)]
    for name in tuple(kept):
        fewer = [other for other in kept if other != name]
        if fewer and not _matches_something(_only(rule, fewer), ordinary):
            kept = fewer
    return tuple(kept)


def _impossible_words(rule: Rule, ordinary: bool) -> str:
    """Return the field whose words alone are nobody's; "" where the words do not show one."""
    verbs = (VERBS if ordinary else Sendable.verbs) if not rule.non_resource_urls else ()
    methods = METHODS if not (rule.resources or rule.namespaces) else ()
    odd = bool(methods) and not ordinary and any(map(is_method, rule.verbs))
    if rule.verbs and not odd and not set(rule.verbs).intersection((*verbs, *methods)):
        return "verbs"
    for name in ("users", "user_groups"):
        if getattr(rule, name) and not any(getattr(rule, name)):
            return name
    return ""


def _only(rule: Rule, names: Sequence[str]) -> Rule:
    left_out: dict[str, Any] = {name: () for name in DIMENSIONS if name not in names}
    return replace(rule, **left_out)


def _matches_something(rule: Rule, ordinary: bool) -> bool:
    return _matches(replace(rule, index=0, line=1, level=Level.METADATA, omit_stages=()), ordinary)


@lru_cache(maxsize=256)
def _matches(rule: Rule, ordinary: bool) -> bool:
    # Nobody's requests are matched by no rule that matches none of somebody's.
    asks = _Asks(Selector(), rules=frozenset((0,)))
    return not prove(Policy((rule,)), [asks], universe=Universe if ordinary else Sendable).holds


def hiders(policy: Policy, index: int, scope: Scope = ALL, likely: Sequence[int] = ()) -> tuple[int, ...] | None:
    """Return the earlier rules that decide whatever this rule matches: one where one does, else none that is needless.

    None where some request of the scope gets past them. `likely`: rules that have been seen to hide others.
    """
    rule = policy.rules[index]
    for earlier in policy.rules[:index]:
        if covers(earlier, rule):
            return (earlier.index,)
    deciding = None
    if likely:
        deciding = _deciding([policy.rules[i] for i in likely if i < index], rule, scope)
    if deciding is None:
        deciding = _deciding(policy.rules[:index], rule, scope)
    if deciding is None:
        return None
    examples = [attributes for seen in deciding.values() for attributes in seen]
    named = sorted(deciding)

    def suffice(few: Sequence[int]) -> bool:
        # Mostly one of the requests that are known already shows that they do not.
        rules = tuple(policy.rules[i] for i in few)
        if any(evaluate(Policy(rules), attributes).rule is None for attributes in examples):
            return False
        return _deciding(rules, rule, scope) is not None

    if len(named) < 2:
        return tuple(named)
    for alone in named:
        if suffice((alone,)):
            return (alone,)
    if 2 < len(named) <= _MOST_HIDERS:
        for one in tuple(named):
            fewer = [i for i in named if i != one]
            if suffice(fewer):
                named = fewer
    return tuple(named)


_MOST_HIDERS = 8


def _deciding(rules: Sequence[Rule], rule: Rule, scope: Scope) -> dict[int, list[Attributes]] | None:
    """Return which of the rules decide what this rule matches, with some requests that each does.

    None where one of its requests gets past them.
    """
    wishes = [_Always(selector) for selector in selectors_of(rule)]
    policy = Policy(tuple(replace(r, index=i) for i, r in enumerate(rules)))
    found: dict[int, list[Attributes]] = {}
    by_identity = not (rule.users or rule.user_groups) and any(r.users or r.user_groups for r in rules)
    for universe in scope:
        if universe is SendableUnauthenticated and not by_identity:
            # Then a 401 is like any other request, or this rule matches none.
            continue
        for example in prove(policy, wishes, universe=universe).counterexamples:
            if example.rule is None:
                return None
            found.setdefault(rules[example.rule].index, []).append(example.attributes)
    return found


# Requests that no rule decides


@dataclass(frozen=True)
class _Decided(Wish):
    """The wish that some rule decides."""

    def broken_by(self, decision: Decision) -> bool:
        """Say whether none does."""
        return decision.rule is None


def left_over(policy: Policy) -> tuple[str, ...] | None:
    """Return the methods of other paths that no rule decides, where of resources only the odd verb is left over.

    None where the rules do not name every verb of resources, or leave over more, or nothing. () where they leave over
    all of the other paths, or nothing of them.
    """
    named = {verb for rule in policy.rules for verb in rule.verbs}
    if not named >= ALL_VERBS:
        return None
    verbs = tuple(sorted(ALL_VERBS))
    of_resources = [Selector(verbs=chosen, any_resource=True) for chosen in (verbs, (ODD_VERB,))]
    of_paths = [Selector(verbs=(method,), paths=("*",)) for method in METHODS]
    proof = prove(policy, [_Decided(select) for select in (*of_resources, *of_paths)])
    left = {example.wish_index for example in proof.counterexamples}
    if 0 in left or 1 not in left:
        return None
    methods = tuple(method for i, method in enumerate(METHODS, 2) if i in left)
    return () if len(methods) == len(METHODS) else methods


# What can be seen without a proof


def covers(one: Rule, other: Rule) -> bool:
    """Say whether the words of one rule show that it matches whatever the other does: True is certain, False is not."""
    for mine, theirs in ((one.users, other.users), (one.user_groups, other.user_groups), (one.verbs, other.verbs)):
        if mine and not (theirs and set(theirs) <= set(mine)):
            return False
    if one.non_resource_urls:
        return bool(other.non_resource_urls) and all(
            any(_covers_path(mine, theirs) for mine in one.non_resource_urls) for theirs in other.non_resource_urls
        )
    if not (one.resources or one.namespaces):
        return True
    if one.namespaces and not (other.namespaces and set(other.namespaces) <= set(one.namespaces)):
        return False
    if not one.resources:
        return True
    star = one.group_star
    return bool(other.resources) and all(_covers_entry(one.resources, theirs, star) for theirs in other.resources)


def _covers_path(mine: str, theirs: str) -> bool:
    if mine in ("*", theirs):
        return True
    return mine.endswith("*") and theirs.rstrip("*").startswith(mine.rstrip("*"))


def _covers_entry(entries: Sequence[GroupResources], theirs: GroupResources, star: bool) -> bool:
    """Say whether one entry alone matches whatever another does."""
    return any(_covers_group(mine, theirs, star) for mine in entries)


def _covers_group(mine: GroupResources, theirs: GroupResources, star: bool) -> bool:
    if mine.group != theirs.group and not (star and mine.group == "*"):
        return False
    if not mine.resources:
        return True
    if mine.resource_names and not (
        theirs.resources and theirs.resource_names and set(theirs.resource_names) <= set(mine.resource_names)
    ):
        return False
    if "*" in mine.resources:
        return True
    wanted = set(mine.resources)
    return bool(theirs.resources) and all(_covers_word(wanted, word) for word in theirs.resources)


def _covers_word(wanted: set[str], word: str) -> bool:
    resource, slash, subresource = word.partition("/")
    if word in wanted or f"{resource}/*" in wanted:
        return True
    return bool(slash) and subresource != "*" and f"*/{subresource}" in wanted
