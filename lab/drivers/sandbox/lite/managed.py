"""Owns managedFields: who owns which fields after an update or an apply (Source: structured-merge-diff's behaviour).

A set of fields is held as the tree that FieldsV1 writes: `{"f:data": {".": {}, "f:k": {}}}`; an empty node is a leaf.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from .border import Json
from .convert import Converter, stamp
from .resources.schema import Field, schema
from .status import failure

Tree = dict[str, Any]

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


@dataclass(frozen=True, slots=True)
class Applied:
    """What a server-side apply makes: the merged object and the new managedFields."""

    object: Json
    entries: list[Json]


def same(one: list[Json], other: list[Json]) -> bool:
    """Say whether two lists of entries differ in their times only."""

    def bare(entries: list[Json]) -> list[Json]:
        return [{k: v for k, v in e.items() if k != "time"} for e in entries]

    return bare(one) == bare(other)


def updated(
    type_name: str,
    old: Json | None,
    new: Json,
    entries: list[Json],
    manager: str,
    api_version: str,
    part: str,
    now: datetime,
) -> list[Json]:
    """Return the entries after `manager` changed `old` (None: there was nothing) into `new`."""
    changed, removed = _compare(type_name, _zeros(type_name) if old is None else old, new)
    mine = _identity(manager, "Update", api_version, part)
    kept: list[Json] = []
    own: Tree = {}
    was: Json | None = None
    for entry in entries:
        tree = deepcopy(entry.get("fieldsV1") or {})
        if _of(entry) == mine:
            own, was = tree, entry
            continue
        tree = _minus(_minus(tree, changed), removed)
        if tree:
            kept.append({**entry, "fieldsV1": tree})
    own = _minus(_union(own, changed), removed)
    if own:
        unchanged = was is not None and not changed and own == was.get("fieldsV1")
        kept.append(
            _entry(manager, "Update", api_version, part, own, was.get("time", "") if unchanged and was else stamp(now))
        )
    return _sorted(kept)


def applied(
    type_name: str, live: Json | None, config: Json, entries: list[Json], manager: str, api_version: str, part: str,
    now: datetime, *, force: bool,
) -> Applied:  # fmt: skip
    """Merge a configuration into `live` as its manager's. ApiError 409 names the fields that others own."""
    made = Converter().object(config, type_name)
    asked = _without_system(_tree_of(type_name, config, made))
    mine = _identity(manager, "Apply", api_version, part)
    base = live if live is not None else {}
    merged = _merge(type_name, deepcopy(base), _sparse(config, made))
    changed, _ = _compare(type_name, base, _shape(type_name, merged)) if live is not None else ({}, {})
    conflicts: list[tuple[Json, list[str]]] = []
    kept: list[Json] = []
    before: Json | None = None
    for entry in entries:
        tree = deepcopy(entry.get("fieldsV1") or {})
        if _of(entry) == mine:
            before = entry
            continue
        clash = _meet(tree, changed)
        if clash:
            conflicts.append((entry, _paths(clash)))
            tree = _minus(tree, clash)
        if tree:
            kept.append({**entry, "fieldsV1": tree})
    if conflicts and not force:
        raise _conflict(conflicts)
    if before is not None:
        dropped = _minus(deepcopy(before.get("fieldsV1") or {}), asked)
        for entry in kept:
            dropped = _minus(dropped, entry.get("fieldsV1") or {})
        merged = _drop(merged, dropped)
    time = (
        before.get("time", "") if before is not None and before.get("fieldsV1") == asked and not changed else stamp(now)
    )
    if asked:
        kept.append(_entry(manager, "Apply", api_version, part, asked, time))
    return Applied(merged, _sorted(kept))


def _zeros(type_name: str) -> Json:
    return Converter().struct({}, type_name)


def _shape(type_name: str, obj: Json) -> Json:
    return Converter().object(obj, type_name)


def _entry(manager: str, operation: str, api_version: str, part: str, tree: Tree, time: str) -> Json:
    entry: Json = {
        "manager": manager, "operation": operation, "apiVersion": api_version, "time": time, "fieldsType": "FieldsV1",
        "fieldsV1": _ordered(tree),
    }  # fmt: skip
    if part:
        entry["subresource"] = part
    if part == "scale":
        del entry["time"]
    return entry


def _ordered(tree: Tree) -> Tree:
    return {key: _ordered(tree[key]) for key in sorted(tree)}


def _identity(manager: str, operation: str, api_version: str, part: str) -> tuple[str, str, str, str]:
    return manager, operation, api_version, part


def _of(entry: Json) -> tuple[str, str, str, str]:
    return _identity(
        entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""), entry.get("subresource", "")
    )


def _sorted(entries: list[Json]) -> list[Json]:
    return sorted(
        entries, key=lambda e: (e["operation"], e.get("time", ""), e.get("manager", ""), e.get("subresource", ""))
    )


# comparing


def _compare(type_name: str, old: Json, new: Json) -> tuple[Tree, Tree]:
    """Return the fields that were added or changed, and those that went."""
    changed: Tree = {}
    removed: Tree = {}
    for name, field in schema(type_name).fields.items():
        _compare_value(
            field, field.container, old.get(name, _MISSING), new.get(name, _MISSING), f"f:{name}", changed, removed
        )
    return _without_system(changed), _without_system(removed)


def _atomic(field: Field, container: str) -> bool:
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
    if _atomic(field, container):
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
        one, other = _items(field, was), _items(field, now)
        inner = None if field.list_type == "set" else (field, container[1:])
        return [(k, inner, one.get(k, _MISSING), other.get(k, _MISSING)) for k in dict.fromkeys([*one, *other])]
    fields = schema(field.type).fields
    return [
        (f"f:{n}", (f, f.container), was.get(n, _MISSING), now.get(n, _MISSING))
        for n, f in fields.items()
        if n in was or n in now
    ]


_KEY_DEFAULTS = {"protocol": "TCP"}


def _items(field: Field, values: list[Any]) -> dict[str, Any]:
    """Return a list's items by their FieldsV1 keys."""
    if field.list_type == "set":
        return {f"v:{_compact(v)}": v for v in values}
    found: dict[str, Any] = {}
    for value in values:
        if isinstance(value, dict):
            key = {k: value.get(k, _KEY_DEFAULTS.get(k)) for k in sorted(field.keys)}
            found[f"k:{_compact({k: v for k, v in key.items() if v is not None})}"] = value
    return found


def _compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _without_system(tree: Tree) -> Tree:
    meta = tree.get("f:metadata")
    if meta is not None:
        for name in _SYSTEM:
            meta.pop(f"f:{name}", None)
        if not meta or set(meta) == {"."}:
            del tree["f:metadata"]
    return tree


# sets


def _members(tree: Tree) -> bool:
    """Say whether a node itself belongs to the set: a leaf does, and one with a dot."""
    return not tree or "." in tree


def _union(one: Tree, other: Tree) -> Tree:
    result = dict(one)
    for key, sub in other.items():
        if key not in result:
            result[key] = sub
        elif key != ".":
            mine = result[key]
            merged = _union(mine, sub)
            if merged and (_members(mine) or _members(sub)):
                merged["."] = {}
            result[key] = merged
    return result


def _minus(one: Tree, other: Tree) -> Tree:
    """Return the members of `one` that are not in `other`."""
    result: Tree = {}
    for key, mine in one.items():
        if key == ".":
            result[key] = mine
            continue
        theirs = other.get(key)
        if theirs is None:
            result[key] = mine
            continue
        inner = _minus({k: v for k, v in mine.items() if k != "."}, theirs)
        stays = _members(mine) and not _members(theirs)
        if inner:
            result[key] = {".": {}, **inner} if stays else inner
        elif stays:
            result[key] = {}
    return result


def _meet(one: Tree, other: Tree) -> Tree:
    """Return the leaves of `one` that are also in `other`."""
    result: Tree = {}
    for key, mine in one.items():
        theirs = other.get(key)
        if key == "." or theirs is None:
            continue
        inner = _meet(mine, theirs)
        if inner or (_members(mine) and _members(theirs)):
            result[key] = inner
    return result


def _paths(tree: Tree, prefix: str = "") -> list[str]:
    found: list[str] = []
    for key in sorted(tree):
        if key == ".":
            continue
        kind, _, rest = key.partition(":")
        if kind == "f":
            path = f"{prefix}.{rest}"
        elif kind == "k":
            pairs = msgspec.json.decode(rest)
            path = f"{prefix}[{','.join(f'{k}={_compact(v)}' for k, v in pairs.items())}]"
        else:
            path = f"{prefix}[={rest}]"
        found += _paths(tree[key], path) or [path]
    return found


def _conflict(conflicts: list[tuple[Json, list[str]]]) -> Exception:
    causes: list[Json] = []
    lines: list[str] = []
    total = sum(len(paths) for _, paths in conflicts)
    for entry, paths in conflicts:
        who = f"conflict with {_compact(entry['manager'])}"
        if entry.get("subresource"):
            who += f" with subresource {_compact(entry['subresource'])}"
        if entry["operation"] == "Update":
            who += f" using {entry['apiVersion']}"
        causes += [{"reason": "FieldManagerConflict", "message": who, "field": path} for path in paths]
        lines.append(f"{who}: {paths[0]}" if len(paths) == 1 else f"{who}:\n- " + "\n- ".join(paths))
    if total == 1:
        text = f"Apply failed with 1 conflict: {lines[0]}"
    elif len(conflicts) == 1:
        text = f"Apply failed with {total} conflicts: {lines[0]}"
    else:
        text = f"Apply failed with {total} conflicts: " + "\n".join(
            f"{line}" if ":\n" in line else line.replace(": ", ":\n- ", 1) for line in lines
        )
    return failure(409, "Conflict", text, {"causes": causes})


# applying


def _sparse(config: Json, made: Json) -> Json:
    """Return the configuration's own fields with the values their types give them."""
    result: Json = {}
    for key, value in config.items():
        if key not in made:
            continue
        if isinstance(value, dict) and isinstance(made[key], dict):
            result[key] = _sparse(value, made[key])
        elif isinstance(value, list) and isinstance(made[key], list) and len(value) == len(made[key]):
            result[key] = [
                _sparse(v, m) if isinstance(v, dict) and isinstance(m, dict) else m
                for v, m in zip(value, made[key], strict=True)
            ]
        else:
            result[key] = made[key]
    return result


def _tree_of(type_name: str, config: Json, made: Json) -> Tree:
    sparse = _sparse(config, made)
    tree: Tree = {}
    for name, field in schema(type_name).fields.items():
        if name in sparse:
            tree[f"f:{name}"] = _value_tree(field, field.container, sparse[name])
    return tree


def _value_tree(field: Field, container: str, value: Any) -> Tree:
    if _atomic(field, container) or not value:
        return {}
    if container[:1] == "{":
        return {f"f:{k}": _value_tree(field, container[1:], v) for k, v in value.items()}
    if container[:1] == "[":
        if field.list_type == "set":
            return {k: {} for k in _items(field, value)}
        return {k: {".": {}, **_value_tree(field, container[1:], v)} for k, v in _items(field, value).items()}
    fields = schema(field.type).fields
    return {f"f:{k}": _value_tree(fields[k], fields[k].container, v) for k, v in value.items() if k in fields}


def _merge(type_name: str, live: Json, config: Json) -> Json:
    fields = schema(type_name).fields
    for name, value in config.items():
        if name in fields:
            live[name] = _merge_value(fields[name], fields[name].container, live.get(name), value)
        else:
            live[name] = value
    return live


def _merge_value(field: Field, container: str, live: Any, config: Any) -> Any:
    if _atomic(field, container) or not live or not config:
        return (
            config if config or not isinstance(config, dict | list) or _atomic(field, container) else (live or config)
        )
    if container[:1] == "{":
        return {**live, **{k: _merge_value(field, container[1:], live.get(k), v) for k, v in config.items()}}
    if container[:1] == "[":
        one, other = _items(field, live), _items(field, config)
        inner = container[1:]
        if field.list_type == "set":
            return [*one.values(), *(v for k, v in other.items() if k not in one)]
        return [_merge_value(field, inner, v, other[k]) if k in other else v for k, v in one.items()] + [
            v for k, v in other.items() if k not in one
        ]
    return _merge(field.type, live, config)


def _drop(obj: Json, tree: Tree) -> Json:
    """Take the fields of a set out of an object."""
    for key, sub in tree.items():
        kind, _, rest = key.partition(":")
        if kind != "f" or rest not in obj:
            continue
        if not sub:
            del obj[rest]
            continue
        value = obj[rest]
        if isinstance(value, dict):
            obj[rest] = _drop(value, sub)
            if not obj[rest] and "." in sub:
                del obj[rest]
        elif isinstance(value, list):
            obj[rest] = _drop_items(value, sub)
            if not obj[rest] and "." in sub:
                del obj[rest]
    return obj


def _drop_items(values: list[Any], tree: Tree) -> list[Any]:
    kept: list[Any] = []
    gone = {key.partition(":")[2] for key in tree if key.startswith("v:")}
    keyed = [(msgspec.json.decode(k.partition(":")[2]), sub) for k, sub in tree.items() if k.startswith("k:")]
    for value in values:
        if not isinstance(value, dict):
            if _compact(value) not in gone:
                kept.append(value)
            continue
        for key, sub in keyed:
            if all(value.get(k, _KEY_DEFAULTS.get(k)) == v for k, v in key.items()):
                if _members(sub):
                    break
                kept.append(_drop(value, sub))
                break
        else:
            kept.append(value)
    return kept
