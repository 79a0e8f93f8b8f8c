"""Owns what the proof says of a policy's rules: which can never fire and why, and which record credentials.

Every class of request that the rules can tell apart is looked at, so what is said here is proven, not guessed. A
request for something that no API server has (a misspelt resource, answered 404) is recorded like any other: a rule
that fires for nothing else is told apart from one that never fires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from checkers.kube.audit_policy import Decision, GroupResources, Level, Policy, Rule
from checkers.kube.policy.compare import selectors_of
from checkers.kube.policy.universe import METHODS, SEGMENT, VERBS, Target, Universe, scopes_of
from checkers.kube.policy_proof import Selector, Wish, prove

DIMENSIONS = ("users", "user_groups", "verbs", "resources", "namespaces", "non_resource_urls")
# Verbs that a request can have and the universe leaves out: that of the old path prefix /api/v1/proxy/….
_UNTRIED = frozenset(("proxy",))
_BODY_STAGES = frozenset(("ResponseComplete", "Panic"))
_WRITES = ("create", "update", "patch")
_READS = ("get", "list", "deletecollection")


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
    """Which rules decide a request for something that exists, which only one for something that does not.

    `shown`: by rule, the credentials that it records in bodies.
    """

    fires: frozenset[int]
    refused: frozenset[int]
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


class Asked(Universe):
    """The universe with what is asked for and does not exist: resources that only the policy knows, answered 404."""

    def targets(self) -> list[Target]:
        """Return one target of each kind."""
        found = super().targets()
        known = {(t.group, t.resource, t.subresource) for t in found}
        for group in sorted({entry.group for entry, _ in self._entries}):
            if group and SEGMENT.fullmatch(group) is None:
                continue
            resources = self._custom_resources(group)
            if any(word.partition("/")[0] == "" for word in self._resource_words(group)):
                # That of /api/v1/namespaces/dev//pods.
                resources.append("")
            for resource in resources:
                for subresource in ("", *self._custom_subresources(group, resource)):
                    if (group, resource, subresource) in known:
                        continue
                    for scope in scopes_of(resource):
                        found += self._objects(group, resource, subresource, scope, 60, collection=not subresource)
        return found


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
    dead = everyone - fires
    refused: frozenset[int] = frozenset()
    if dead:
        again = prove(policy, [_Asks(Selector(), rules=dead)], universe=Asked)
        refused = frozenset(c.rule for c in again.counterexamples if c.rule is not None) & dead
    untried = {i for i in dead - refused if _UNTRIED.intersection(policy.rules[i].verbs)}
    untried = {i for i in untried if not any(covers(rule, policy.rules[i]) for rule in policy.rules[:i])}
    return Reach(frozenset(fires | untried), refused, shown)


def impossible(rule: Rule, *, existing: bool = False) -> tuple[str, ...]:
    """Return the fields of a rule, by their names in Rule, that together match no request, none of them needless.

    () where it matches some. `existing`: requests for what does not exist do not count.
    """
    at_once = _impossible_words(rule)
    if at_once:
        return (at_once,)
    if _matches_something(rule, existing):
        return ()
    kept = [name for name in DIMENSIONS if getattr(rule, name)]
    for name in tuple(kept):
        fewer = [other for other in kept if other != name]
        if fewer and not _matches_something(_only(rule, fewer), existing):
            kept = fewer
    return tuple(kept)


def _impossible_words(rule: Rule) -> str:
    """Return the field whose words alone are nobody's; "" where the words do not show one."""
    verbs = METHODS if rule.non_resource_urls else VERBS if rule.resources or rule.namespaces else (*VERBS, *METHODS)
    if rule.verbs and not _UNTRIED.union(verbs).intersection(rule.verbs):
        return "verbs"
    for name in ("users", "user_groups"):
        if getattr(rule, name) and not any(getattr(rule, name)):
            return name
    return ""


def _only(rule: Rule, names: Sequence[str]) -> Rule:
    left_out: dict[str, Any] = {name: () for name in DIMENSIONS if name not in names}
    return replace(rule, **left_out)


def _matches_something(rule: Rule, existing: bool) -> bool:
    return _matches(replace(rule, index=0, line=1, level=Level.METADATA, omit_stages=()), existing)


@lru_cache(maxsize=256)
def _matches(rule: Rule, existing: bool) -> bool:
    asks = _Asks(Selector(), rules=frozenset((0,)))
    return not prove(Policy((rule,)), [asks], universe=_universe(existing)).holds


def _universe(existing: bool) -> type[Universe]:
    return Universe if existing else Asked


def hiders(policy: Policy, index: int, *, existing: bool = False, likely: Sequence[int] = ()) -> tuple[int, ...] | None:
    """Return the earlier rules that decide whatever this rule matches: one where one does, else none that is needless.

    None where some request gets past them. `existing`: requests for what does not exist do not count. `likely`: rules
    that have been seen to hide others.
    """
    rule = policy.rules[index]
    for earlier in policy.rules[:index]:
        if covers(earlier, rule):
            return (earlier.index,)
    deciding = None
    if likely:
        deciding = _deciding([policy.rules[i] for i in likely if i < index], rule, existing)
    if deciding is None:
        deciding = _deciding(policy.rules[:index], rule, existing)
    if deciding is None or len(deciding) < 2:
        return deciding
    for alone in deciding:
        if _deciding((policy.rules[alone],), rule, existing) is not None:
            return (alone,)
    kept = list(deciding)
    if not 2 < len(kept) <= _MOST_HIDERS:
        return deciding
    for one in deciding:
        fewer = [policy.rules[i] for i in kept if i != one]
        if _deciding(fewer, rule, existing) is not None:
            kept.remove(one)
    return tuple(kept)


_MOST_HIDERS = 8


def _deciding(rules: Sequence[Rule], rule: Rule, existing: bool) -> tuple[int, ...] | None:
    """Return which of the rules decide what this rule matches; None where one of its requests gets past them."""
    wishes = [_Always(selector) for selector in selectors_of(rule)]
    policy = Policy(tuple(replace(r, index=i) for i, r in enumerate(rules)))
    found: set[int] = set()
    for example in prove(policy, wishes, universe=_universe(existing)).counterexamples:
        if example.rule is None:
            return None
        found.add(rules[example.rule].index)
    return tuple(sorted(found))


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
