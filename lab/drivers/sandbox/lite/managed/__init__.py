"""Owns managedFields: who owns which fields after an update or an apply (Source: structured-merge-diff's behaviour).

Here are the entries; `sets` has the sets of fields in them, `comparing` what a change changed, `merging` what an apply
does to an object.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from ..border import Json
from ..convert import Converter, stamp
from ..status import failure
from .comparing import compare, without_system
from .merging import drop, given_fields, merge, tree_of
from .sets import Tree, compact, meet, minus, paths_of, union


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
    changed, removed = compare(type_name, _zeros(type_name) if old is None else old, new)
    mine = _identity(manager, "Update", api_version, part)
    kept: list[Json] = []
    own: Tree = {}
    was: Json | None = None
    for entry in entries:
        tree = deepcopy(entry.get("fieldsV1") or {})
        if _of(entry) == mine:
            own, was = tree, entry
            continue
        tree = minus(minus(tree, changed), removed)
        if tree:
            kept.append({**entry, "fieldsV1": tree})
    own = minus(union(own, changed), removed)
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
    asked = without_system(tree_of(type_name, config, made))
    mine = _identity(manager, "Apply", api_version, part)
    base = live if live is not None else {}
    merged = merge(type_name, deepcopy(base), given_fields(config, made))
    changed, _ = compare(type_name, base, _shape(type_name, merged)) if live is not None else ({}, {})
    conflicts: list[tuple[Json, list[str]]] = []
    kept: list[Json] = []
    before: Json | None = None
    for entry in entries:
        tree = deepcopy(entry.get("fieldsV1") or {})
        if _of(entry) == mine:
            before = entry
            continue
        clash = meet(tree, changed)
        if clash:
            conflicts.append((entry, paths_of(clash)))
            tree = minus(tree, clash)
        if tree:
            kept.append({**entry, "fieldsV1": tree})
    if conflicts and not force:
        raise _conflict(conflicts)
    if before is not None:
        dropped = minus(deepcopy(before.get("fieldsV1") or {}), asked)
        for entry in kept:
            dropped = minus(dropped, entry.get("fieldsV1") or {})
        merged = drop(merged, dropped)
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


def _conflict(conflicts: list[tuple[Json, list[str]]]) -> Exception:
    causes: list[Json] = []
    lines: list[str] = []
    total = sum(len(paths) for _, paths in conflicts)
    for entry, paths in conflicts:
        who = f"conflict with {compact(entry['manager'])}"
        if entry.get("subresource"):
            who += f" with subresource {compact(entry['subresource'])}"
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
