"""Owns the question which rules and wishes are about a target, as bits: some 200 targets a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from checkers.kube.audit_policy import Policy
from checkers.kube.policy.selector import Selector
from checkers.kube.policy.universe import Target

_NOTHING: tuple[int, dict[str, int]] = (0, {})
_Row = tuple[int, frozenset[str] | None, frozenset[str] | None, frozenset[str] | None]


class TargetIndex:
    """Answers which rules and wishes accept a target."""

    def __init__(self, policy: Policy, wishes: Sequence[tuple[int, Selector]], constrained: int) -> None:
        self._rules: dict[str | None, list[tuple[int, frozenset[str], frozenset[str]]]] = {}
        for rule in policy.rules:
            for entry in rule.resources:
                group = None if entry.group == "*" and rule.group_star else entry.group
                row = (1 << rule.index, frozenset(entry.resources), frozenset(entry.resource_names))
                self._rules.setdefault(group, []).append(row)
        self._wishes: dict[str | None, list[_Row]] = {}
        for bit, s in wishes:
            if not bit & constrained:
                continue
            wanted = (bit, _wanted(s.resources), _wanted(s.subresources), _wanted(s.names))
            for each in s.api_groups or (None,):
                self._wishes.setdefault(each, []).append(wanted)
        self._constrained = constrained
        self._known: dict[tuple[str, str, str], tuple[int, dict[str, int]]] = {}

    def bits(self, target: Target) -> int:
        """Return the bits, of those that say anything of targets, that accept this one."""
        place = (target.group, target.resource, target.subresource)
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = self._accepting(*place)
        return known[0] | known[1].get(target.name, 0)

    def _accepting(self, group: str, resource: str, subresource: str) -> tuple[int, dict[str, int]]:
        """Return the bits that accept whatever object of a resource, and those that accept one of a name."""
        rules = (*self._rules.get(group, ()), *self._rules.get(None, ()))
        wishes = (*self._wishes.get(group, ()), *self._wishes.get(None, ()))
        if not rules and not wishes:
            return _NOTHING
        every = 0
        by_name: dict[str, int] = {}
        patterns = _patterns(resource, subresource)
        accepting: list[tuple[int, Iterable[str] | None]] = []
        for bit, resources, names in rules:
            if not resources or not patterns.isdisjoint(resources):
                accepting.append((bit, names if resources and names else None))
        for bit, wanted, subresources, named in wishes:
            if (wanted is None or resource in wanted) and (subresources is None or subresource in subresources):
                accepting.append((bit, named))
        for bit, only in accepting:
            if only is None:
                every |= bit & self._constrained
            else:
                for name in only:
                    by_name[name] = by_name.get(name, 0) | bit & self._constrained
        return every, by_name


def _wanted(words: Sequence[str]) -> frozenset[str] | None:
    """Return what a selector's field accepts, None for anything."""
    return frozenset(words) if words else None


@lru_cache(maxsize=1024)
def _patterns(resource: str, subresource: str) -> frozenset[str]:
    """Return the words of a rule that mean this resource and subresource."""
    if not subresource:
        return frozenset(("*", f"{resource}/*", resource))
    return frozenset(("*", f"{resource}/*", f"{resource}/{subresource}", f"*/{subresource}"))
