"""Owns the audit policy: what a kube-apiserver loads, refuses and warns of, and what it then records of a request.

Sources: kube-apiserver 1.34 and 1.36, pkg/audit/policy and pkg/apis/audit/validation; golden/policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from checkers.kube.policy.load import STAGES, LoadedGroup, LoadedPolicy, PolicyError, load

__all__ = [
    "STAGES",
    "Attributes",
    "Decision",
    "EventShape",
    "GroupResources",
    "Level",
    "Policy",
    "PolicyError",
    "Rule",
    "evaluate",
    "expected_events",
    "load_policy",
]


class Level(IntEnum):
    """How much of a request is recorded. str() gives the name that a policy uses."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    def __str__(self) -> str:
        return _LEVEL_NAMES[self]

    @classmethod
    def parse(cls, name: str) -> Level:
        """Return the level of that name (`None`, `Metadata`, `Request`, `RequestResponse`). Raises ValueError."""
        try:
            return cls(_LEVEL_NAMES.index(name))
        except ValueError:
            raise ValueError(f"no audit level {name!r}; known: {', '.join(_LEVEL_NAMES)}") from None


_LEVEL_NAMES = ("None", "Metadata", "Request", "RequestResponse")


@dataclass(frozen=True)
class Attributes:
    """What a policy looks at of a request. `user` None is a request that nobody was found for (401).

    `group` is the API group ("" for core), `groups` are the user's; `path` is the URL's path without its query.
    `resource_request` is for who knows it from the URL: `/api/v1/namespaces/dev//pods` asks for a resource of no name.
    """

    user: str | None = ""
    groups: tuple[str, ...] = ()
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    resource_request: bool | None = None

    @property
    def is_resource(self) -> bool:
        """Say whether this asks for an API resource: nothing but a path makes it a non-resource request."""
        if self.resource_request is not None:
            return self.resource_request
        return self.resource != "" or self.path == ""


@dataclass(frozen=True)
class GroupResources:
    """One entry of a rule's `resources`: an API group, its resources and the names it is about."""

    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    line: int = 1

    def matches(self, attributes: Attributes, *, star: bool) -> bool:
        """Say whether a resource request is meant. `star`: this API server takes the group `*` for all groups."""
        if self.group != attributes.group and not (star and self.group == "*"):
            return False
        if not self.resources:
            return True
        if self.resource_names and attributes.name not in self.resource_names:
            return False
        return any(resource_matches(r, attributes.resource, attributes.subresource) for r in self.resources)


def resource_matches(pattern: str, resource: str, subresource: str) -> bool:
    """Say whether a policy's resource pattern means this resource and subresource.

    `pods/*` means the bare pods as well, `pods` no subresource, `*` everything.
    """
    if pattern in ("*", f"{resource}/{subresource}" if subresource else resource):
        return True
    if subresource and pattern.startswith("*/") and pattern[2:] == subresource:
        return True
    return pattern.endswith("/*") and pattern[:-2] == resource


def path_matches(pattern: str, path: str) -> bool:
    """Say whether a policy's nonResourceURL means this path: exact, `*`, or a prefix before a last `*`."""
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


@dataclass(frozen=True)
class Rule:
    """One rule as loaded. `index` is 0-based, `line` the 1-based line on which it starts in the file.

    `group_star` says whether the API server it is loaded for takes the group `*` as a wildcard (1.36 on).
    """

    index: int
    line: int
    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None
    group_star: bool = False

    @cached_property
    def _user_groups(self) -> frozenset[str]:
        return frozenset(self.user_groups)

    def matches(self, attributes: Attributes) -> bool:
        """Say whether the rule is about this request: all that it names must fit; what it leaves out fits anything."""
        if self.users and attributes.user not in self.users:
            return False
        if self.user_groups and (attributes.user is None or self._user_groups.isdisjoint(attributes.groups)):
            return False
        if self.verbs and attributes.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            if not attributes.is_resource or (self.namespaces and attributes.namespace not in self.namespaces):
                return False
            return not self.resources or any(r.matches(attributes, star=self.group_star) for r in self.resources)
        if self.non_resource_urls:
            return not attributes.is_resource and any(path_matches(p, attributes.path) for p in self.non_resource_urls)
        return True


@dataclass(frozen=True)
class Policy:
    """A policy as loaded. `warnings` are the loader's own, word for word."""

    rules: tuple[Rule, ...]
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What a policy says of a request: the level, the rule that decided (None: no rule matches), and the stages.

    `stages` are those let through, in order; none at level None.
    """

    level: Level
    rule: Rule | None
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False
    stages: tuple[str, ...] = field(default=())


def load_policy(data: bytes, *, version: tuple[int, int] = (1, 34), scheme: str = "pkg/audit/scheme.go:30") -> Policy:
    """Load a policy file as a kube-apiserver of that version does: strictly, then leniently with a warning.

    `scheme` is the place that an unknown kind's error names; a build of one's own names another.
    Raises PolicyError.
    """
    loaded = load(data, version=version, scheme=scheme)
    return _policy(loaded, group_star=version >= (1, 36))


def _policy(loaded: LoadedPolicy, *, group_star: bool) -> Policy:
    rules = tuple(
        Rule(
            index=index,
            line=rule.line,
            level=Level.parse(rule.level),
            users=rule.users,
            user_groups=rule.user_groups,
            verbs=rule.verbs,
            resources=tuple(map(_group, rule.resources)),
            namespaces=rule.namespaces,
            non_resource_urls=rule.non_resource_urls,
            omit_stages=rule.omit_stages,
            omit_managed_fields=rule.omit_managed_fields,
            group_star=group_star,
        )
        for index, rule in enumerate(loaded.rules)
    )
    return Policy(rules, loaded.omit_stages, loaded.omit_managed_fields, loaded.warnings)


def _group(loaded: LoadedGroup) -> GroupResources:
    return GroupResources(loaded.group, loaded.resources, loaded.resource_names, loaded.line)


def evaluate(policy: Policy, attributes: Attributes) -> Decision:
    """Say what the policy records of a request: the first rule that matches decides, no rule means None."""
    for rule in policy.rules:
        if rule.matches(attributes):
            return decision_of(policy, rule)
    return decision_of(policy, None)


def decision_of(policy: Policy, rule: Rule | None) -> Decision:
    """Return the decision for the requests that this rule, or no rule, decides."""
    omit = frozenset(policy.omit_stages)
    if rule is None:
        return Decision(Level.NONE, None, omit, policy.omit_managed_fields)
    omit |= frozenset(rule.omit_stages)
    managed = policy.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields
    stages = () if rule.level is Level.NONE else tuple(s for s in STAGES if s not in omit)
    return Decision(rule.level, rule, omit, managed, stages)


@dataclass(frozen=True)
class EventShape:
    """What can be seen of an event without its values: the stage, the bodies in it, and managedFields in those.

    `request_managed` and `response_managed` are None where there is no such body.
    """

    stage: str
    level: Level
    request: bool = False
    response: bool = False
    request_managed: bool | None = None
    response_managed: bool | None = None


def expected_events(
    decision: Decision, everything: Sequence[EventShape], *, verb: str = "", lost_with_body: bool = False
) -> tuple[EventShape, ...]:
    """Return the events a request causes under a decision.

    `everything` are its events under a RequestResponse catch-all, in order; `verb` is the request's, because a raw
    patch keeps its managedFields whatever the policy says. `lost_with_body`: a server-side apply whose body is real
    YAML loses its completion above Metadata (a bug of kube-apiserver up to 1.36).
    """
    return tuple(_shapes(decision, everything, verb, lost_with_body))


def _shapes(
    decision: Decision, everything: Iterable[EventShape], verb: str, lost_with_body: bool
) -> Iterable[EventShape]:
    level, omit = decision.level, decision.omit_managed_fields
    for event in everything:
        if event.stage not in decision.stages:
            continue
        if lost_with_body and event.stage == "ResponseComplete" and level >= Level.REQUEST:
            continue
        request = event.request and level >= Level.REQUEST
        response = event.response and level >= Level.REQUEST_RESPONSE
        yield EventShape(
            event.stage,
            level,
            request,
            response,
            (bool(event.request_managed) and (not omit or verb == "patch")) if request else None,
            (bool(event.response_managed) and not omit) if response else None,
        )
