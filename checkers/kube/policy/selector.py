"""Owns what a wish is about: a selector of requests, in the words of a policy's fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checkers.kube.audit_policy import Attributes, path_matches


@dataclass(frozen=True)
class Selector:
    """Which requests a wish is about. An empty tuple means any; "" is the core group, no subresource, no namespace
    (cluster-scoped, and lists over all of them); a star is a word like any other: there may be a user called `*`.

    With any of the resource's fields or `any_resource` set it is about resource requests only, with only `paths` set
    about the others only; with neither about both. `paths` are patterns as in a policy's nonResourceURLs.
    """

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    any_resource: bool = False

    @classmethod
    def written(cls, **words: tuple[str, ...]) -> Selector:
        """Return what the words of a wish mean, by field: as a person writes them, with a `*` for any."""
        plain: dict[str, Any] = {n: () if "*" in given and n != "paths" else given for n, given in words.items()}
        starred = {name for name, given in words.items() if "*" in given}
        return replace(cls(**plain), any_resource=not starred.isdisjoint(_OF_RESOURCES))

    @property
    def about_resources(self) -> bool:
        """Say whether what only resources have is set."""
        return self.any_resource or any(getattr(self, name) for name in _OF_RESOURCES)

    def matches_identity(self, user: str | None, groups: Iterable[str]) -> bool:
        """Say whether the selector means requests of this user."""
        if not accepts(self.users, user):
            return False
        return not self.groups or not set(self.groups).isdisjoint(groups)

    def matches(self, attributes: Attributes) -> bool:
        """Say whether the selector means this request."""
        if not self.matches_identity(attributes.user, attributes.groups) or not accepts(self.verbs, attributes.verb):
            return False
        if not attributes.is_resource:
            return self.matches_path(attributes.path)
        if self.paths and not self.about_resources:
            return False
        pairs = (
            (self.api_groups, attributes.group),
            (self.resources, attributes.resource),
            (self.subresources, attributes.subresource),
            (self.namespaces, attributes.namespace),
            (self.names, attributes.name),
        )
        return all(accepts(wanted, found) for wanted, found in pairs)

    def matches_path(self, path: str) -> bool:
        """Say whether the selector means non-resource requests of this path."""
        if not self.paths:
            return not self.about_resources
        return any(path_matches(pattern, path) for pattern in self.paths)


_OF_RESOURCES = ("api_groups", "resources", "subresources", "namespaces", "names")


def accepts(wanted: Sequence[str], found: str | None) -> bool:
    """Say whether a list of wanted values, where nothing means any, has the one found."""
    return not wanted or found in wanted
