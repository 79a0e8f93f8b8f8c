"""Owns what an apply does to an object: its fields put in, and those taken out that it no longer names."""

from __future__ import annotations

from typing import Any

import msgspec

from ..border import Json
from ..resources.schema import Field, schema
from .comparing import KEY_DEFAULTS, atomic, items_by_key
from .sets import Tree, compact, is_member


def given_fields(config: Json, made: Json) -> Json:
    """Return the configuration's own fields with the values their types give them."""
    result: Json = {}
    for key, value in config.items():
        if key not in made:
            continue
        if isinstance(value, dict) and isinstance(made[key], dict):
            result[key] = given_fields(value, made[key])
        elif isinstance(value, list) and isinstance(made[key], list) and len(value) == len(made[key]):
            result[key] = [
                given_fields(v, m) if isinstance(v, dict) and isinstance(m, dict) else m
                for v, m in zip(value, made[key], strict=True)
            ]
        else:
            result[key] = made[key]
    return result


def tree_of(type_name: str, config: Json, made: Json) -> Tree:
    """Return the set of fields that a configuration names."""
    sparse = given_fields(config, made)
    tree: Tree = {}
    for name, field in schema(type_name).fields.items():
        if name in sparse:
            tree[f"f:{name}"] = _value_tree(field, field.container, sparse[name])
    return tree


def _value_tree(field: Field, container: str, value: Any) -> Tree:
    if atomic(field, container) or not value:
        return {}
    if container[:1] == "{":
        return {f"f:{k}": _value_tree(field, container[1:], v) for k, v in value.items()}
    if container[:1] == "[":
        if field.list_type == "set":
            return {k: {} for k in items_by_key(field, value)}
        return {k: {".": {}, **_value_tree(field, container[1:], v)} for k, v in items_by_key(field, value).items()}
    fields = schema(field.type).fields
    return {f"f:{k}": _value_tree(fields[k], fields[k].container, v) for k, v in value.items() if k in fields}


def merge(type_name: str, live: Json, config: Json) -> Json:
    """Put a configuration's fields into an object, and return it."""
    fields = schema(type_name).fields
    for name, value in config.items():
        if name in fields:
            live[name] = _merge_value(fields[name], fields[name].container, live.get(name), value)
        else:
            live[name] = value
    return live


def _merge_value(field: Field, container: str, live: Any, config: Any) -> Any:
    if atomic(field, container) or not live or not config:
        return config if config or not isinstance(config, dict | list) or atomic(field, container) else (live or config)
    if container[:1] == "{":
        return {**live, **{k: _merge_value(field, container[1:], live.get(k), v) for k, v in config.items()}}
    if container[:1] == "[":
        one, other = items_by_key(field, live), items_by_key(field, config)
        inner = container[1:]
        if field.list_type == "set":
            return [*one.values(), *(v for k, v in other.items() if k not in one)]
        return [_merge_value(field, inner, v, other[k]) if k in other else v for k, v in one.items()] + [
            v for k, v in other.items() if k not in one
        ]
    return merge(field.type, live, config)


def drop(obj: Json, tree: Tree) -> Json:
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
            obj[rest] = drop(value, sub)
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
            if compact(value) not in gone:
                kept.append(value)
            continue
        for key, sub in keyed:
            if all(value.get(k, KEY_DEFAULTS.get(k)) == v for k, v in key.items()):
                if is_member(sub):
                    break
                kept.append(drop(value, sub))
                break
        else:
            kept.append(value)
    return kept
