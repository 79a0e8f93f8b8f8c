"""Owns the requests that a policy and a wish can tell apart: one of each kind, of what they name and what they do not.

A class is told apart by user and groups, verb, API group, resource, subresource, name and namespace, or by path. Of
each there is all that the policy or the wishes name and one that nobody names; it takes the most everyday name that
is left, so that a counterexample reads like something a person does. Only requests that can exist are here: a create
has no name, a get has one, subresources belong to named objects, a namespaced object has a namespace unless all are
listed, a namespace is in the namespace of its own name, the anonymous user is in system:unauthenticated alone and
everybody else in system:authenticated. Requests that end with a 401 are left out: nobody sent them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from checkers.kube.audit_policy import Attributes, Policy, path_matches
from checkers.kube.builtin_resources import ALL_VERBS, BuiltinResource, builtin_groups, builtin_resources
from checkers.kube.policy.identity import (
    ADMIN,
    ANONYMOUS,
    AUTHENTICATED,
    SERVICE_ACCOUNT,
    SUPER_ADMIN,
    UNAUTHENTICATED,
    Identity,
    person,
    service_account,
)
from checkers.kube.policy.selector import Selector

# The verb of OPTIONS and of unknown methods is empty; every resource takes them, with a 405.
ODD_VERB = ""
VERBS = ("create", "get", "list", "patch", "update", "delete", "watch", "deletecollection", ODD_VERB)
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")

_VERB_COSTS = {
    "create": 0,
    "get": 1,
    "list": 1,
    "patch": 2,
    "update": 3,
    "delete": 3,
    "watch": 4,
    "deletecollection": 6,
    ODD_VERB: 30,
}
# Behind /namespaces/NAME these are the namespace's own, and no resources.
OF_NAMESPACES = ("status", "finalize")
_SUBRESOURCE_VERBS = frozenset(("create", "get", "update", "patch", "delete"))
_NAMED_VERBS = frozenset(("get", "update", "patch", "delete"))
# What can be created by a short kubectl command.
_EASY = frozenset(("configmaps", "secrets", "pods", "namespaces", "serviceaccounts", "deployments", "services"))
_RESOURCE_COSTS = {"configmaps": 0, "pods": 2, "secrets": 2, "services": 3, "serviceaccounts": 3, "namespaces": 3}

_NAMESPACE_COSTS = {"default": 0, "kube-public": 1, "": 1, "kube-node-lease": 2, "kube-system": 2}
_NO_NAMESPACE = ("",)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LETTERS = "xyzqwvkjabcdefghilmnoprstu0123456789-_.~"
SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%\s?#]+")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """In what ways a target can be asked for: by these verbs, and in which namespaces. Equal ones are the same object.

    scope: "namespaced", "cluster", "own" for a namespace, which is in the namespace of its own name, or "any" for what
    does not exist. `easy`: a short kubectl command creates one.
    """

    verbs: frozenset[str]
    scope: str
    own: str
    named: bool
    easy: bool


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource request is about. `name` is "" where it has none; `cost` says how unusual it is."""

    group: str
    resource: str
    subresource: str
    name: str
    cost: int
    kind: Kind


class Universe:
    """The classes of requests that a policy and selectors tell apart.

    `verbs` are those of requests for resources, `methods` those of the others.
    """

    verbs: tuple[str, ...] = VERBS
    methods: tuple[str, ...] = METHODS

    def __init__(self, policy: Policy, selectors: Sequence[Selector], *, node: str = "cks-control-plane") -> None:
        self._policy = policy
        self._selectors = selectors
        self._node = node
        rules = policy.rules
        self._entries = [(e, r.group_star) for r in rules for e in r.resources]
        self.namespaces = self._namespaces()
        # By name where they cost the same: which of them an answer shows must not hang on the order in a set.
        self._one_namespace = tuple(sorted(self.namespaces, key=lambda name: (namespace_cost(name), name)))
        self._any_namespace = ("", *self._one_namespace)
        self._names_of: dict[str, tuple[str, ...]] = {}

    def _words(self, name: str) -> set[str]:
        """Collect the words of a selector's field."""
        return {word for s in self._selectors for word in getattr(s, name)}

    # Who

    def identities(self, most_groups: int = 0) -> list[Identity]:
        """Return one identity of each kind; with `most_groups`, also needless ones in up to so many groups.

        A user in several of the named groups decides nothing that one in fewer does not: a wish needs one group to be
        about a request, a rule one to decide it, and any other only makes further rules match before it.
        """
        users, (other, *named), free = self._named_people()
        sets = self._group_sets(free, most_groups)
        found = []
        for user in [other, *named]:
            if user.startswith(SERVICE_ACCOUNT) and user.count(":") == 3:
                found.append(service_account(user))
                continue
            for chosen in sets:
                name = user
                if user == other and len(chosen) == 1:
                    usual = {"system:nodes": f"system:node:{self._node}", "system:masters": SUPER_ADMIN}
                    name = fresh((usual.get(chosen[0], user), user), users)
                found.append(person(name, chosen, free))
        found.append(Identity(ANONYMOUS, (UNAUTHENTICATED,), 9))
        for group in free:
            if group.startswith("system:serviceaccounts"):
                namespace = group.rpartition(":")[2] if group.count(":") == 2 else "default"
                names = [f"{SERVICE_ACCOUNT}{namespace}:{n}" for n in ("default", "robot", "builder")]
                found.append(service_account(fresh(names, users)))
        return found

    def _named_people(self) -> tuple[set[str], list[str], list[str]]:
        """Return the users that are named, one that is not and the usable ones of them, and the groups to be in."""
        rules = self._policy.rules
        users = {u for r in rules for u in r.users} | self._words("users")
        groups = {g for r in rules for g in r.user_groups} | self._words("groups")
        other = fresh((ADMIN, "jane", "bob", "alice", "carol"), users)
        return users, [other, *sorted(users - {"", ANONYMOUS})], sorted(groups - {"", AUTHENTICATED, UNAUTHENTICATED})

    def _group_sets(self, free: Sequence[str], most_groups: int = 0) -> list[tuple[str, ...]]:
        """Return which of the named groups users are in together."""
        if most_groups:
            return [c for size in range(max(most_groups, 2) + 1) for c in combinations(free, size)]
        wished = self._words("groups").intersection(free)
        return [(), *((g,) for g in free), *(p for p in combinations(free, 2) if wished.intersection(p))]

    # What

    def targets(self) -> list[Target]:
        """Return one target of each kind, of the built-in resources all."""
        found: list[Target] = []
        for (group, resource), builtin in builtin_resources().items():
            if not self._names(group) and (group, resource) != ("", "namespaces"):
                found += _unnamed_builtin(group, resource)
                continue
            for subresource, scope, cost in _parts(group, resource, builtin):
                found += self._objects(group, resource, subresource, scope, cost, collection=not subresource)
        groups = {e.group for e, _ in self._entries} | self._words("api_groups")
        # Groups of one's own have a dot in their names: a CustomResourceDefinition is refused without one.
        custom = sorted(g for g in groups - builtin_groups() if "." in g)
        for group in [*custom, fresh(("example.com", "example.org"), groups)]:
            for resource in self._custom_resources(group):
                subresources = self._custom_subresources(group, resource)
                for scope in scopes_of(resource):
                    cost = 20 if scope == "namespaced" else 21
                    found += self._objects(group, resource, "", scope, cost, collection=True)
                    for subresource in subresources:
                        found += self._objects(group, resource, subresource, scope, cost + 4, collection=False)
        for group in sorted(groups & builtin_groups()):
            resource = fresh(("widgets", "gadgets"), self._resource_words(group))
            found += self._objects(group, resource, "", "namespaced", 40, collection=True)
        return found

    def _objects(
        self, group: str, resource: str, subresource: str, scope: str, cost: int, *, collection: bool
    ) -> Sequence[Target]:
        names = self._names(group)
        if resource == "namespaces" and not group:
            # Its name is a namespace's, and of those there is one that nobody names already.
            own = [(name, cost + 1) for name in sorted(self.namespaces.union(names))]
            every = [("", scope, cost)] * collection + [(name, "own", price) for name, price in own]
            return [target_of(group, resource, subresource, name, its, price) for name, its, price in every]
        if not names:
            return _unnamed(group, resource, subresource, scope, cost, collection=collection)
        found = [target_of(group, resource, subresource, name, scope, cost + 1) for name in names]
        found.append(target_of(group, resource, subresource, fresh(("x", "y", "z"), names), scope, cost))
        return [target_of(group, resource, subresource, "", scope, cost), *found] if collection else found

    def _names(self, group: str) -> tuple[str, ...]:
        """Return, sorted, what is named as the name of an object of a group."""
        known = self._names_of.get(group)
        if known is None:
            found = self._words("names")
            for entry, star in self._entries:
                if entry.group == group or (star and entry.group == "*"):
                    found.update(entry.resource_names)
            known = self._names_of[group] = tuple(sorted(n for n in found if SEGMENT.fullmatch(n)))
        return known

    def _resource_words(self, group: str) -> set[str]:
        """Return what is named as a resource of a group, subresources and patterns included."""
        found = self._words("resources")
        for entry, star in self._entries:
            if entry.group == group or (star and entry.group == "*"):
                found.update(entry.resources)
        return found

    def _custom_resources(self, group: str) -> list[str]:
        plain = {w.partition("/")[0] for w in self._resource_words(group)}
        named = sorted(w for w in plain if SEGMENT.fullmatch(w) and w != "*")
        return [fresh(("widgets", "gadgets"), plain), *named]

    def _custom_subresources(self, group: str, resource: str) -> list[str]:
        named = {w.partition("/")[2] for w in self._resource_words(group) if w.partition("/")[0] in ("*", resource)}
        named |= self._words("subresources")
        usable = sorted(w for w in named if SEGMENT.fullmatch(w) and w != "*")
        return [*usable, fresh(("status", "scale", "extra"), named)]

    # Where

    def _namespaces(self) -> frozenset[str]:
        named = {n for r in self._policy.rules for n in r.namespaces} | self._words("namespaces")
        usable = {n for n in named if _NAMESPACE.fullmatch(n)}
        return frozenset(usable | {fresh(("default", "kube-public", "kube-node-lease", "kube-system", "dev"), usable)})

    def where(self, verb: str, kind: Kind) -> tuple[str, ...]:
        """Return the namespaces that a request with this verb on a target of this kind can be in."""
        if kind.scope == "cluster":
            return _NO_NAMESPACE
        if kind.scope == "own":
            return _NO_NAMESPACE if verb in ("list", "watch") else (kind.own,)
        across = verb in ("list", "watch") or (verb == ODD_VERB and not kind.named)
        return self._any_namespace if across else self._one_namespace

    # Other requests

    def paths(self) -> list[str]:
        """Return one path of each kind, of those that are no resource's."""
        named = {u for r in self._policy.rules for u in r.non_resource_urls} | self._words("paths")
        patterns = sorted(p for p in named if p.startswith("/"))
        exact = {p for p in patterns if not p.endswith("*")}
        found: dict[str, None] = dict.fromkeys(p for p in sorted(exact) if is_non_resource(p))
        for prefix in sorted({p.rstrip("*") for p in patterns if p.endswith("*")}):
            # One that no longer pattern reaches: the prefix itself, or with a letter that none goes on with.
            taken = {p[len(prefix)] for p in patterns if p.startswith(prefix) and len(p) > len(prefix)}
            tries = [prefix, *(prefix + letter for letter in _LETTERS if letter not in taken)]
            found.update(dict.fromkeys([p for p in tries if p and p not in exact and is_non_resource(p)][:1]))
        usual = ("/healthz", "/version", "/metrics", "/readyz", "/livez", *(f"/{letter}" for letter in _LETTERS))
        found.update(dict.fromkeys([p for p in usual if not any(path_matches(q, p) for q in patterns)][:1]))
        return list(found)

    def requests(self, *, most_groups: int = 0) -> Iterator[Attributes]:
        """Yield one request of every class: the product that a proof stands for, for those who can afford it."""
        identities = self.identities(most_groups)
        for target in self.targets():
            for verb in sorted(target.kind.verbs):
                for namespace in self.where(verb, target.kind):
                    for who in identities:
                        yield attributes_of(who, verb, target, namespace)
        for path in self.paths():
            for method in self.methods:
                for who in identities:
                    yield Attributes(user=who.user, groups=who.groups, verb=method, path=path)


@lru_cache(maxsize=1024)
def _unnamed(
    group: str, resource: str, subresource: str, scope: str, cost: int, *, collection: bool
) -> tuple[Target, ...]:
    """Return the targets of a resource of which no object is named by anybody."""
    one = target_of(group, resource, subresource, "x", scope, cost)
    return (target_of(group, resource, subresource, "", scope, cost), one) if collection else (one,)


@lru_cache(maxsize=1024)
def _unnamed_builtin(group: str, resource: str) -> tuple[Target, ...]:
    """Return the targets of a built-in resource and its subresources, of which no object is named by anybody."""
    found: list[Target] = []
    for subresource, scope, cost in _parts(group, resource, builtin_resources()[group, resource]):
        found += _unnamed(group, resource, subresource, scope, cost, collection=not subresource)
    return tuple(found)


def _parts(group: str, resource: str, builtin: BuiltinResource) -> Iterator[tuple[str, str, int]]:
    """Yield a built-in resource ("") and its subresources, each with its scope and how unusual a request for it is."""
    scope = "namespaced" if builtin.namespaced else "cluster"
    cost = _RESOURCE_COSTS.get(resource, 5 if group in ("apps", "batch") else 6)
    yield "", scope, cost
    for subresource in builtin.subresources:
        yield subresource, scope, cost + 4


def scopes_of(resource: str) -> tuple[str, ...]:
    """Return the scopes that a resource which is not built in can have."""
    return ("cluster",) if resource in OF_NAMESPACES else ("namespaced", "cluster")


def target_of(
    group: str, resource: str, subresource: str, name: str, scope: str, cost: int, verbs: frozenset[str] | None = None
) -> Target:
    """Return a target with its kind. `verbs`: other ones than what exists has."""
    if verbs is None:
        verbs = _verbs(group, resource, subresource, named=name != "")
    easy = resource in _EASY and group in ("", "apps") and not subresource
    own = name if scope == "own" else ""
    return Target(group, resource, subresource, name, cost, _kind(verbs, scope, own, name != "", easy))


# Where an old one is forgotten and made again, the two count as different: that costs time and changes no answer.
@lru_cache(maxsize=4096)
def _kind(verbs: frozenset[str], scope: str, own: str, named: bool, easy: bool) -> Kind:
    return Kind(verbs, scope, own, named, easy)


@lru_cache(maxsize=1024)
def _verbs(group: str, resource: str, subresource: str, *, named: bool) -> frozenset[str]:
    builtin = builtin_resources().get((group, resource))
    if subresource:
        known = builtin.subresources.get(subresource, _SUBRESOURCE_VERBS) if builtin else _SUBRESOURCE_VERBS
        return known | {ODD_VERB}
    known = (builtin.verbs if builtin else ALL_VERBS) | {ODD_VERB}
    if named:
        return known & (_NAMED_VERBS | {"list", "watch", ODD_VERB})
    return known - _NAMED_VERBS


def attributes_of(who: Identity, verb: str, target: Target, namespace: str) -> Attributes:
    """Return what a policy sees of a resource request."""
    return Attributes(
        user=who.user,
        groups=who.groups,
        verb=verb,
        group=target.group,
        resource=target.resource,
        subresource=target.subresource,
        namespace=namespace,
        name=target.name,
    )


def verb_cost(verb: str, kind: Kind) -> int:
    """Say how unusual it is to do this to a target of a kind."""
    if verb == "create" and not kind.easy:
        return 3
    if verb in ("list", "watch") and kind.named:
        return 7
    return _VERB_COSTS.get(verb, 30)


def namespace_cost(namespace: str) -> int:
    """Say how unusual a namespace is."""
    return _NAMESPACE_COSTS.get(namespace, 3)


def fresh(tries: Iterable[str], taken: Iterable[str]) -> str:
    """Return the first of the tries that is not taken, else the last one with a number."""
    last = "other"
    for last in tries:
        if last not in taken:
            return last
    number = 1
    while f"{last}-{number}" in taken:
        number += 1
    return f"{last}-{number}"


def is_non_resource(path: str) -> bool:
    """Say whether the API server takes the path for no resource's.

    Source: apiserver, endpoints/request/requestinfo.go.
    """
    parts = path.strip("/").split("/")
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return True
    return parts[0] == "apis" and len(parts) < 4
