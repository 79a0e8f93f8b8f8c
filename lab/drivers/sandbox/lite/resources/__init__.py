"""Owns the table of resource types: what there is, under which names, with which verbs. Data is in types.txt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

_PACKAGES = {"rbac.authorization.k8s.io": "rbac", "flowcontrol.apiserver.k8s.io": "flowcontrol"}
_STORED_AS = {
    ("events.k8s.io", "events"): "/events",
    ("autoscaling", "horizontalpodautoscalers"): "autoscaling/horizontalpodautoscalers",
}
"""Where two groups show the same objects, the group they are kept under."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of a resource with an address of its own. `group` and `version` are "" where they are the resource's."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One resource as discovery lists it."""

    group: str
    version: str
    name: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: dict[str, Subresource]

    @property
    def api_version(self) -> str:
        """Return `v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_as(self) -> str:
        """Return the kind of key that its objects are kept under."""
        return _STORED_AS.get((self.group, self.name), f"{self.group}/{self.name}")

    @property
    def schema(self) -> str:
        """Return the name of its type in the field tables."""
        return schema_name(self.group, self.version, self.kind)


def schema_name(group: str, version: str, kind: str) -> str:
    """Return the field table's name of a kind: `core/v1.Pod`, `rbac/v1.Role`."""
    package = _PACKAGES.get(group) or group.removesuffix(".k8s.io") or "core"
    return f"{package}/{version}.{kind}"


@lru_cache(maxsize=1)
def table() -> dict[tuple[str, str, str], ResourceType]:
    """Return every resource type by (group, version, plural), in discovery's order."""
    found: dict[tuple[str, str, str], ResourceType] = {}
    group = version = ""
    for line in resources.files(__package__).joinpath("types.txt").read_text().splitlines():
        if line.startswith("@ "):
            group, _, version = line[2:].rpartition("/")
        elif line and not line.startswith("#"):
            kind = _parse(line, group, version)
            found[group, version, kind.name] = kind
    return found


def lookup(group: str, version: str, resource: str) -> ResourceType | None:
    """Return a resource type, or None."""
    return table().get((group, version, resource))


@lru_cache(maxsize=1)
def group_versions() -> tuple[tuple[str, str], ...]:
    """Return every (group, version) in discovery's order."""
    return tuple(dict.fromkeys((g, v) for g, v, _ in table()))


def by_kind(group: str, version: str, kind: str) -> ResourceType | None:
    """Return the resource type whose objects are of this kind, or None."""
    for found in table().values():
        if (found.group, found.version, found.kind) == (group, version, kind):
            return found
    return None


def _parse(line: str, group: str, version: str) -> ResourceType:
    plural, singular, kind, scope, verbs, *rest = line.split(" ")
    names: dict[str, tuple[str, ...]] = {"s": (), "c": ()}
    subresources: dict[str, Subresource] = {}
    for part in rest:
        left, _, right = part.partition("=")
        if not left.startswith("/"):
            names[left] = tuple(right.split(","))
            continue
        where, _, its_verbs = right.partition(":")
        api, _, its_kind = where.rpartition(".")
        its_group, _, its_version = api.rpartition("/")
        subresources[left[1:]] = Subresource(left[1:], its_group, its_version, its_kind, tuple(its_verbs.split(",")))
    return ResourceType(
        group=group,
        version=version,
        name=plural,
        singular=singular,
        kind=kind,
        namespaced=scope == "n",
        verbs=ALL_VERBS if verbs == "*" else tuple(verbs.split(",")),
        short_names=names["s"],
        categories=names["c"],
        subresources=subresources,
    )
