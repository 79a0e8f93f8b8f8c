"""Owns sets of fields: what is in both, in one only, and how people are told of them.

A set is held as the tree that FieldsV1 writes: `{"f:data": {".": {}, "f:k": {}}}`; an empty node is a leaf.
"""

from __future__ import annotations

from typing import Any

import msgspec

Tree = dict[str, Any]


def compact(value: Any) -> str:
    """Return JSON as it stands in the keys of a set."""
    return msgspec.json.encode(value).decode()


def is_member(tree: Tree) -> bool:
    """Say whether a node itself belongs to the set: a leaf does, and one with a dot."""
    return not tree or "." in tree


def union(one: Tree, other: Tree) -> Tree:
    """Return the members of either set."""
    result = dict(one)
    for key, sub in other.items():
        if key not in result:
            result[key] = sub
        elif key != ".":
            mine = result[key]
            merged = union(mine, sub)
            if merged and (is_member(mine) or is_member(sub)):
                merged["."] = {}
            result[key] = merged
    return result


def minus(one: Tree, other: Tree) -> Tree:
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
        inner = minus({k: v for k, v in mine.items() if k != "."}, theirs)
        stays = is_member(mine) and not is_member(theirs)
        if inner:
            result[key] = {".": {}, **inner} if stays else inner
        elif stays:
            result[key] = {}
    return result


def meet(one: Tree, other: Tree) -> Tree:
    """Return the leaves of `one` that are also in `other`."""
    result: Tree = {}
    for key, mine in one.items():
        theirs = other.get(key)
        if key == "." or theirs is None:
            continue
        inner = meet(mine, theirs)
        if inner or (is_member(mine) and is_member(theirs)):
            result[key] = inner
    return result


def paths_of(tree: Tree, prefix: str = "") -> list[str]:
    """Return the paths of a set's leaves, as people are shown them."""
    found: list[str] = []
    for key in sorted(tree):
        if key == ".":
            continue
        kind, _, rest = key.partition(":")
        if kind == "f":
            path = f"{prefix}.{rest}"
        elif kind == "k":
            pairs = msgspec.json.decode(rest)
            path = f"{prefix}[{','.join(f'{k}={compact(v)}' for k, v in pairs.items())}]"
        else:
            path = f"{prefix}[={rest}]"
        found += paths_of(tree[key], path) or [path]
    return found
