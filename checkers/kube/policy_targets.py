"""Owns the question which rules and wishes are about a target, as bits: some 200 targets a proof."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .audit_policy import Policy
from .policy_universe import Selector, Target


class TargetIndex:
    """Answers which rules and wishes accept a target."""

    def __init__(self, policy: Policy, wishes: Sequence[tuple[int, Selector]], constrained: int) -> None:
        self._by_group: dict[str, list[tuple[int, frozenset[str], frozenset[str]]]] = {}
        self._star: list[tuple[int, frozenset[str], frozenset[str]]] = []
        for rule in policy.rules:
            for entry in rule.resources:
                row = (1 << rule.index, frozenset(entry.resources), frozenset(entry.resource_names))
                if entry.group == "*" and rule.group_star:
                    self._star.append(row)
                else:
                    self._by_group.setdefault(entry.group, []).append(row)
        self._wishes = [
            (bit, _wanted(s.api_groups), _wanted(s.resources), _wanted(s.subresources), _wanted(s.names))
            for bit, s in wishes
        ]
        self._constrained = constrained

    def bits(self, target: Target) -> int:
        """Return the bits, of those that say anything of targets, that accept this one."""
        found = 0
        group, resource, subresource, name = target.group, target.resource, target.subresource, target.name
        patterns = _patterns(resource, subresource)
        for bit, resources, names in (*self._by_group.get(group, ()), *self._star):
            if found & bit:
                continue
            if not resources or (not patterns.isdisjoint(resources) and (not names or name in names)):
                found |= bit
        for bit, groups, wanted, subresources, named in self._wishes:
            if (
                (groups is None or group in groups)
                and (wanted is None or resource in wanted)
                and (subresources is None or subresource in subresources)
                and (named is None or name in named)
            ):
                found |= bit
        return found & self._constrained


def _wanted(words: Sequence[str]) -> frozenset[str] | None:
    """Return what a selector's field accepts, None for anything."""
    return frozenset(words) if words else None


@lru_cache(maxsize=1024)
def _patterns(resource: str, subresource: str) -> frozenset[str]:
    """Return the words of a rule that mean this resource and subresource."""
    if not subresource:
        return frozenset(("*", f"{resource}/*", resource))
    return frozenset(("*", f"{resource}/*", f"{resource}/{subresource}", f"*/{subresource}"))
