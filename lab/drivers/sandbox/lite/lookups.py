"""Owns looking objects up for the server's own decisions: roles and bindings, service accounts, pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .border import Json
from .registry import Registry


class Lookups:
    """The registry's objects; those of one resource are decoded again only after a write to that resource."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[tuple[str, str], tuple[int, Sequence[Json]]] = {}

    def objects(self, group: str, resource: str, namespace: str | None = None) -> Iterator[Json]:
        """Yield the objects of a resource by their names; `namespace` None means all. They are not to be changed."""
        at = self._registry.changed(group, resource)
        kept = self._kept.get((group, resource))
        if kept is None or kept[0] != at:
            found = sorted(self._registry.objects(group, resource), key=_place)
            kept = self._kept[group, resource] = (at, found)
        return (obj for obj in kept[1] if not namespace or obj["metadata"].get("namespace") == namespace)

    def get(self, group: str, resource: str, namespace: str, name: str) -> Json | None:
        """Return one object, or None."""
        return self._registry.read(group, "v1", resource, namespace, name)


def _place(obj: Json) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
