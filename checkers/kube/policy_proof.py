"""Owns the proof that a policy records what is wished: over every class of request, with a counterexample where not.

Each word of a dimension (a verb, a target, a namespace, an identity) is turned into the set of rules and wishes that
accept it, as bits of an integer. A request is then an intersection of such sets, and the requests that no rule can tell
apart fall together by themselves. Dimension by dimension the distinct intersections are kept, each with its most
everyday request; what can no longer disagree, whatever the other dimensions are, is dropped at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from checkers.kube.audit_policy import Attributes, Decision, Level, Policy, decision_of, path_matches
from checkers.kube.policy.commands import command_for, describe
from checkers.kube.policy.identity import Identity
from checkers.kube.policy.selector import Selector
from checkers.kube.policy.targets import TargetIndex
from checkers.kube.policy.universe import (
    Kind,
    Target,
    Universe,
    attributes_of,
    namespace_cost,
    verb_cost,
)

__all__ = ["Counterexample", "Proof", "Selector", "Wish", "prove"]


@dataclass(frozen=True)
class Wish:
    """What is wanted of the requests that a selector means.

    In an ordered list of wishes the first whose selector means a request speaks for it. `least`: recorded at this level
    or above at the stage ResponseComplete. `most`: no event of any stage above this level.
    """

    select: Selector
    least: Level | None = None
    most: Level | None = None
    title: str = ""

    def broken_by(self, decision: Decision) -> bool:
        """Say whether a decision is not what is wished."""
        if self.least and (decision.level < self.least or "ResponseComplete" not in decision.stages):
            return True
        return self.most is not None and decision.level > self.most and bool(decision.stages)


@dataclass(frozen=True)
class Counterexample:
    """A request that the policy does not treat as wished.

    `found` says in a sentence what becomes of it, `command` is what a person can run to see it.
    """

    attributes: Attributes
    wish: Wish
    decision: Decision
    found: str
    command: str
    wish_index: int = 0
    cost: int = field(default=0, compare=False)

    @property
    def level(self) -> Level:
        """Return the level it is recorded at."""
        return self.decision.level

    @property
    def rule(self) -> int | None:
        """Return the 0-based index of the rule that decides; None where no rule matches."""
        return self.decision.rule.index if self.decision.rule else None

    @property
    def line(self) -> int | None:
        """Return the 1-based line of the rule that decides; None where no rule matches."""
        return self.decision.rule.line if self.decision.rule else None


@dataclass(frozen=True)
class Proof:
    """The answer: no counterexample means that no request of any class disagrees. `classes` counts them."""

    counterexamples: tuple[Counterexample, ...]
    classes: int

    @property
    def holds(self) -> bool:
        """Say whether every request is treated as wished."""
        return not self.counterexamples


def prove(
    policy: Policy,
    wishes: Sequence[Wish],
    *,
    server: str = "https://127.0.0.1:6443",
    node: str = "cks-control-plane",
    universe: type[Universe] = Universe,
) -> Proof:
    """Prove that the policy does what the wishes ask, or give the requests for which it does not.

    One counterexample at most for each wish and deciding rule, the most everyday ones first. `server` and `node` are
    for the commands in them. `universe` makes the classes of requests.
    """
    search = _Search(policy, wishes, universe(policy, [w.select for w in wishes], node=node))
    found = [
        Counterexample(
            attributes=attributes,
            wish=wishes[wish],
            decision=decision,
            found=describe(attributes, decision, wishes[wish].least, wishes[wish].most),
            command=command_for(attributes, server=server, node=node),
            wish_index=wish,
            cost=cost,
        )
        for (wish, _), (cost, attributes, decision) in search.run().items()
    ]
    found.sort(key=lambda c: (c.cost, c.wish_index, -1 if c.rule is None else c.rule))
    return Proof(tuple(found), search.classes)


@dataclass(slots=True)
class _Option:
    """One word of a dimension: the bits of those that accept it, what it costs, and what may follow it."""

    bits: int
    cost: int
    word: Any
    key: Any


@dataclass(slots=True)
class _Stage:
    """A dimension. `constrained`: the bits that it can take away; `free`: those that no later one can."""

    constrained: int
    free: int
    options: Callable[[Any], Sequence[_Option]]


class _Search:
    def __init__(self, policy: Policy, wishes: Sequence[Wish], universe: Universe) -> None:
        self._policy = policy
        self._wishes = wishes
        self._universe = universe
        self._rules = policy.rules
        count = len(policy.rules)
        self._rule_bits = (1 << count) - 1
        self._wish_bits = ((1 << len(wishes)) - 1) << count
        self._wish_bit = [1 << (count + i) for i in range(len(wishes))]
        self._decisions = [decision_of(policy, rule) for rule in policy.rules]
        self._unmatched = decision_of(policy, None)
        self._breaking = [
            sum(1 << i for i, decision in enumerate(self._decisions) if wish.broken_by(decision)) for wish in wishes
        ]
        self._breaks_unmatched = [wish.broken_by(self._unmatched) for wish in wishes]
        self._identities = universe.identities()
        self.classes = 0

    def run(self) -> dict[tuple[int, int], tuple[int, Attributes, Decision]]:
        """Return the cheapest counterexample by wish and deciding rule (-1: no rule)."""
        found: dict[tuple[int, int], tuple[int, Attributes, Decision]] = {}
        self._walk(self._resource_start(), self._resource_stages(), self._resource_request, found)
        self._walk(self._path_start(), self._path_stages(), _path_request, found)
        return found

    # The walk

    def _walk(
        self,
        start: int,
        stages: Sequence[_Stage],
        request: Callable[[list[Any]], Attributes],
        found: dict[tuple[int, int], tuple[int, Attributes, Decision]],
    ) -> None:
        states: dict[tuple[Any, int], tuple[int, Any]] = {(None, start): (0, None)}
        for stage in stages:
            following: dict[tuple[Any, int], tuple[int, Any]] = {}
            memo: dict[tuple[Any, int], list[_Option]] = {}
            reduced: dict[int, int] = {}
            for (key, bits), (cost, trail) in states.items():
                asked = bits & stage.constrained
                options = memo.get((key, asked))
                if options is None:
                    options = memo[key, asked] = _distinct(stage.options(key), asked)
                kept = bits & ~stage.constrained
                for option in options:
                    joined = kept | option.bits
                    after = reduced.get(joined)
                    if after is None:
                        after = reduced[joined] = self._reduce(joined, stage.free)
                    if not after:
                        continue
                    total = cost + option.cost
                    state = (option.key, after)
                    known = following.get(state)
                    if known is None or total < known[0]:
                        following[state] = (total, (trail, option.word))
            states = following
        for (_, bits), (cost, trail) in states.items():
            wish = ((bits & self._wish_bits) & -(bits & self._wish_bits)).bit_length() - 1 - len(self._rules)
            rules = bits & self._rule_bits
            rule = (rules & -rules).bit_length() - 1
            best = found.get((wish, rule))
            if best is None or cost < best[0]:
                words: list[Any] = []
                while trail is not None:
                    trail, word = trail
                    words.insert(0, word)
                decision = self._decisions[rule] if rule >= 0 else self._unmatched
                found[wish, rule] = (cost, request(words), decision)

    def _reduce(self, bits: int, free: int) -> int:
        """Take away what cannot speak or decide any more. Returns 0 where nothing can disagree any more."""
        certain = bits & free & self._rule_bits
        if certain:
            first = certain & -certain
            bits &= ~self._rule_bits | ((first << 1) - 1)
        speaking = bits & free & self._wish_bits
        if speaking:
            first = speaking & -speaking
            bits &= self._rule_bits | ((first << 1) - 1)
        for wish, bit in enumerate(self._wish_bit):
            if bits & bit and (bits & self._breaking[wish] or (not certain and self._breaks_unmatched[wish])):
                return bits
        return 0

    # The dimensions of a resource request

    def _resource_start(self) -> int:
        bits = 0
        for i, rule in enumerate(self._rules):
            if rule.resources or rule.namespaces or not rule.non_resource_urls:
                bits |= 1 << i
        for i, wish in enumerate(self._wishes):
            if wish.select.about_resources or not wish.select.paths:
                bits |= self._wish_bit[i]
        return bits

    def _resource_stages(self) -> list[_Stage]:
        wishes = [(self._wish_bit[i], w.select) for i, w in enumerate(self._wishes)]
        by_verb = self._mask(lambda r: r.verbs, lambda s: s.verbs)
        by_target = self._mask(
            lambda r: r.resources, lambda s: s.api_groups or s.resources or s.subresources or s.names
        )
        by_namespace = self._mask(lambda r: r.namespaces, lambda s: s.namespaces)
        by_identity = self._mask(lambda r: r.users or r.user_groups, lambda s: s.users or s.groups)
        everything = self._rule_bits | self._wish_bits

        targets = self._universe.targets()
        own_names = {target.name for target in targets if target.kind.scope == "own"}
        namespace_bits = {
            name: sum(1 << i for i, r in enumerate(self._rules) if name in r.namespaces)
            | sum(bit for bit, s in wishes if name in s.namespaces)
            for name in {"", *self._universe.namespaces, *own_names}
        }

        verb_options = [_Option(self._verb_bits(verb), 0, verb, verb) for verb in self._universe.verbs]
        target_options: dict[str, list[_Option]] = {verb: [] for verb in self._universe.verbs}
        for bits, target, ways in self._cheapest(targets, TargetIndex(self._policy, wishes, by_target)):
            for verb, places, cost in ways:
                target_options[verb].append(_Option(bits, target.cost + cost, target, places))
        place_options: dict[tuple[str, ...], list[_Option]] = {}

        def places_of(places: tuple[str, ...]) -> list[_Option]:
            if places not in place_options:
                place_options[places] = [_Option(namespace_bits[p], namespace_cost(p), p, None) for p in places]
            return place_options[places]

        later = by_identity
        return [
            _Stage(by_verb, everything & ~(by_target | by_namespace | later), lambda _: verb_options),
            _Stage(by_target, everything & ~(by_namespace | later), lambda verb: target_options[verb]),
            _Stage(by_namespace, everything & ~later, places_of),
            self._identity_stage(by_identity),
        ]

    def _cheapest(
        self, targets: Sequence[Target], index: TargetIndex
    ) -> list[tuple[int, Target, Sequence[tuple[str, tuple[str, ...], int]]]]:
        """Return the first of the cheapest targets of each kind, in order, with the ways in which it can be asked for.

        Of a kind are those that the same rules and wishes accept and that can be asked for in the same ways: a verb,
        the namespaces, and what that costs on top. Counts the classes of all.
        """
        universe = self._universe
        ways_of: dict[Kind, tuple[list[tuple[str, tuple[str, ...], int]], int]] = {}
        best: dict[tuple[int, Kind], tuple[int, int]] = {}
        classes = 0
        for number, target in enumerate(targets):
            kind = target.kind
            known = ways_of.get(kind)
            if known is None:
                ways = [(verb, universe.where(verb, kind), verb_cost(verb, kind)) for verb in kind.verbs]
                known = ways_of[kind] = (ways, sum(len(places) for _, places, _ in ways))
            classes += known[1]
            key = (index.bits(target), kind)
            cheapest = best.get(key)
            if cheapest is None or target.cost < cheapest[0]:
                best[key] = (target.cost, number)
        self.classes += classes * len(self._identities)
        ordered = sorted((number, key) for key, (_, number) in best.items())
        return [(bits, targets[number], ways_of[kind][0]) for number, (bits, kind) in ordered]

    def _resource_request(self, words: list[Any]) -> Attributes:
        verb, target, namespace, who = words
        assert isinstance(target, Target)
        assert isinstance(who, Identity)
        return attributes_of(who, verb, target, namespace)

    def _mask(self, of_rule: Callable[[Any], object], of_selector: Callable[[Selector], object]) -> int:
        """Return the bits of the rules and wishes that say anything of a dimension."""
        bits = sum(1 << i for i, rule in enumerate(self._rules) if of_rule(rule))
        return bits | sum(self._wish_bit[i] for i, w in enumerate(self._wishes) if of_selector(w.select))

    def _verb_bits(self, verb: str) -> int:
        bits = sum(1 << i for i, rule in enumerate(self._rules) if verb in rule.verbs)
        return bits | sum(self._wish_bit[i] for i, w in enumerate(self._wishes) if verb in w.select.verbs)

    def _identity_stage(self, constrained: int) -> _Stage:
        wishes = [(self._wish_bit[i], w.select.users, w.select.groups) for i, w in enumerate(self._wishes)]
        rows = [(1 << i, r.users, r.user_groups) for i, r in enumerate(self._rules)]
        rows += wishes
        any_user = sum(bit for bit, users, _ in rows if not users)
        any_group = sum(bit for bit, _, groups in rows if not groups)
        by_user: dict[str | None, int] = {}
        by_group: dict[str, int] = {}
        for bit, users, groups in rows:
            for user in users:
                by_user[user] = by_user.get(user, 0) | bit
            for group in groups:
                by_group[group] = by_group.get(group, 0) | bit
        options = []
        for who in self._identities:
            in_groups = any_group
            for group in who.groups:
                in_groups |= by_group.get(group, 0)
            bits = (any_user | by_user.get(who.user, 0)) & in_groups & constrained
            options.append(_Option(bits, who.cost, who, None))
        distinct = _distinct(options, constrained)
        return _Stage(constrained, self._rule_bits | self._wish_bits, lambda _: distinct)

    # The dimensions of any other request

    def _path_start(self) -> int:
        bits = 0
        for i, rule in enumerate(self._rules):
            if not (rule.resources or rule.namespaces):
                bits |= 1 << i
        for i, wish in enumerate(self._wishes):
            if wish.select.paths or not wish.select.about_resources:
                bits |= self._wish_bit[i]
        return bits

    def _path_stages(self) -> list[_Stage]:
        by_verb = self._mask(lambda r: r.verbs, lambda s: s.verbs)
        by_path = self._mask(lambda r: r.non_resource_urls, lambda s: s.paths)
        by_identity = self._mask(lambda r: r.users or r.user_groups, lambda s: s.users or s.groups)
        everything = self._rule_bits | self._wish_bits
        paths = self._universe.paths()
        self.classes += len(paths) * len(self._universe.methods) * len(self._identities)
        path_options = []
        for cost, path in enumerate(paths):
            bits = sum(
                1 << i
                for i, rule in enumerate(self._rules)
                if any(path_matches(pattern, path) for pattern in rule.non_resource_urls)
            )
            wishes = enumerate(self._wishes)
            bits |= sum(self._wish_bit[i] for i, w in wishes if w.select.paths and w.select.matches_path(path))
            path_options.append(_Option(bits, cost, path, None))
        methods = [_Option(self._verb_bits(m), 2 * i, m, None) for i, m in enumerate(self._universe.methods)]
        return [
            _Stage(by_verb, everything & ~(by_path | by_identity), lambda _: methods),
            _Stage(by_path, everything & ~by_identity, lambda _: path_options),
            self._identity_stage(by_identity),
        ]


def _path_request(words: list[Any]) -> Attributes:
    method, path, who = words
    return Attributes(user=who.user, groups=who.groups, verb=method, path=path)


def _distinct(options: Iterable[_Option], asked: int) -> list[_Option]:
    """Return the options that differ in the asked bits or in what may follow, the cheapest of each."""
    best: dict[tuple[int, Any], _Option] = {}
    for option in options:
        bits = option.bits & asked
        known = best.get((bits, option.key))
        if known is None or option.cost < known.cost:
            best[bits, option.key] = _Option(bits, option.cost, option.word, option.key)
    return list(best.values())
