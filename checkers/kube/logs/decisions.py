"""Owns a policy's decisions for very many requests: what the policy does not name makes no difference, and is left out.

Source: the rules of matching in `audit_policy`, which compare names, and nothing but names.
"""

from __future__ import annotations

from typing import Final

from checkers.kube.audit_policy import Attributes, Decision, Policy, evaluate

_REMEMBERED: Final = 50_000


class Decisions:
    """Answers as `evaluate` does, and remembers."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        rules = policy.rules
        self._users = frozenset(user for rule in rules for user in rule.users)
        self._groups = frozenset(group for rule in rules for group in rule.user_groups)
        self._namespaces = frozenset(namespace for rule in rules for namespace in rule.namespaces)
        self._names = frozenset(n for rule in rules for about in rule.resources for n in about.resource_names)
        self._known: dict[tuple[object, ...], Decision] = {}

    def of(self, request: Attributes) -> Decision:
        """Return what the policy records of a request."""
        key = (
            request.user if request.user is None or request.user in self._users else 0,
            self._groups.intersection(request.groups),
            request.verb,
            request.group,
            request.resource,
            request.subresource,
            request.namespace if request.namespace in self._namespaces else 0,
            request.name if request.name in self._names else 0,
            # A resource's own path is no nonResourceURL.
            None if request.is_resource else request.path,
        )
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = evaluate(self._policy, request)
        return found
