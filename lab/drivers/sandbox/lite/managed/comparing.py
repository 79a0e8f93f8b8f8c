"""Owns which fields two objects differ in: by their types, which say what is owned as a whole."""

from __future__ import annotations

from typing import Any

from ..border import Json
from ..resources.schema import Field, schema
from .sets import Tree, compact

_OPAQUE = frozenset({
    "core/v1.LocalObjectReference", "core/v1.ObjectReference", "core/v1.SecretReference",
    "core/v1.ObjectFieldSelector", "core/v1.ResourceFieldSelector", "core/v1.ConfigMapKeySelector",
    "core/v1.SecretKeySelector", "core/v1.NodeSelector",
    "core/v1.NodeSelectorTerm", "core/v1.TopologySelectorTerm", "core/v1.TypedLocalObjectReference",
    "core/v1.ScopeSelector", "meta/v1.LabelSelector", "rbac/v1.RoleRef", "rbac/v1.Subject", "meta/v1.OwnerReference",
    "core/v1.EndpointAddress",
})  # fmt: skip
"""Types that are owned as a whole (structType atomic)."""
_SYSTEM = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
    "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip
_MISSING = object()
KEY_DEFAULTS = {"protocol": "TCP"}


def compare(type_name: str, old: Json, new: Json) -> tuple[Tree, Tree]:
    """Return the fields that were added or changed, and those that went."""
    changed: Tree = {}
    removed: Tree = {}
    for name, field in schema(type_name).fields.items():
        _compare_value(
            field, field.container, old.get(name, _MISSING), new.get(name, _MISSING), f"f:{name}", changed, removed
        )
    return without_system(changed), without_system(removed)


def atomic(field: Field, container: str) -> bool:
    """Say whether a value is owned as a whole."""
    if container == field.container and field.list_type == "atomic":
        return True
    if container[:1] == "[":
        return container != field.container or field.list_type not in ("map", "set")
    if container[:1] == "{":
        return False
    return not field.is_struct or field.type in _OPAQUE


def _compare_value(field: Field, container: str, old: Any, new: Any, key: str, changed: Tree, removed: Tree) -> None:
    if old is _MISSING and new is _MISSING:
        return
    if atomic(field, container):
        if new is _MISSING:
            removed[key] = {}
        elif (old is _MISSING or old != new) and (new is not None or old is not _MISSING):
            changed[key] = {}
        return
    sub_changed: Tree = {}
    sub_removed: Tree = {}
    for child, inner, was, now in _children(field, container, old, new):
        if inner is None:
            if was is _MISSING:
                sub_changed[child] = {}
            elif now is _MISSING:
                sub_removed[child] = {}
        else:
            _compare_value(inner[0], inner[1], was, now, child, sub_changed, sub_removed)
    if old is _MISSING:
        changed[key] = {".": {}, **sub_changed} if sub_changed else {}
    elif sub_changed:
        changed[key] = sub_changed
    elif old is None and new is not None and new is not _MISSING and not new:
        changed[key] = {}
    if new is _MISSING:
        removed[key] = {".": {}, **sub_removed} if sub_removed else {}
    elif sub_removed:
        removed[key] = sub_removed


def _children(field: Field, container: str, old: Any, new: Any) -> list[tuple[str, tuple[Field, str] | None, Any, Any]]:
    """Pair the parts of two values: (key, (field, container) or None for a member of a set, old, new)."""
    empty: Any = [] if container[:1] == "[" else {}
    was: Any = old if old is not _MISSING and old is not None else empty
    now: Any = new if new is not _MISSING and new is not None else empty
    if container[:1] == "{":
        names = dict.fromkeys([*was, *now])
        return [(f"f:{n}", (field, container[1:]), was.get(n, _MISSING), now.get(n, _MISSING)) for n in names]
    if container[:1] == "[":
        one, other = items_by_key(field, was), items_by_key(field, now)
        inner = None if field.list_type == "set" else (field, container[1:])
        return [(k, inner, one.get(k, _MISSING), other.get(k, _MISSING)) for k in dict.fromkeys([*one, *other])]
    fields = schema(field.type).fields
    return [
        (f"f:{n}", (f, f.container), was.get(n, _MISSING), now.get(n, _MISSING))
        for n, f in fields.items()
        if n in was or n in now
    ]


def items_by_key(field: Field, values: list[Any]) -> dict[str, Any]:
    """Return a list's items by their FieldsV1 keys."""
    if field.list_type == "set":
        return {f"v:{compact(v)}": v for v in values}
    found: dict[str, Any] = {}
    for value in values:
        if isinstance(value, dict):
            key = {k: value.get(k, KEY_DEFAULTS.get(k)) for k in sorted(field.keys)}
            found[f"k:{compact({k: v for k, v in key.items() if v is not None})}"] = value
    return found


def without_system(tree: Tree) -> Tree:
    """Take what nobody owns out of a set, and return it."""
    meta = tree.get("f:metadata")
    if meta is not None:
        for name in _SYSTEM:
            meta.pop(f"f:{name}", None)
        if not meta or set(meta) == {"."}:
            del tree["f:metadata"]
    return tree
