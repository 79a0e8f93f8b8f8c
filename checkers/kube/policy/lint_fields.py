"""Owns the lint of fields that a policy does not have: which one is meant, where it belongs, and what its loss does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from checkers.kube.audit_policy import Policy
from checkers.kube.goyaml.nodes import Node
from checkers.kube.goyaml.types import GoType
from checkers.kube.policy.finding import Finder, Finding, Path, Severity, quoted
from checkers.kube.policy.load import POLICY

_RULE = "PolicyRule"
_ITEM = "GroupResources"
_TOP = "Policy"
_LEVELS = {_TOP: "at the top", _RULE: "in the rule itself", _ITEM: "in an item of the rule's `resources`"}
# Every level's fields, and what is a list in them.
_RULE_TYPE = POLICY.fields["rules"].item
assert _RULE_TYPE is not None
_ITEM_TYPE = _RULE_TYPE.fields["resources"].item
assert _ITEM_TYPE is not None
_TYPES = {_TOP: POLICY, _RULE: _RULE_TYPE, _ITEM: _ITEM_TYPE}

# What people write for a field of the same level, beyond what is spelt alike.
_SAID = {
    _RULE: {
        "groups": "userGroups",
        "group": "resources",
        "apigroups": "resources",
        "apigroup": "resources",
        "stages": "omitStages",
        "stage": "omitStages",
        "urls": "nonResourceURLs",
        "paths": "nonResourceURLs",
        "path": "nonResourceURLs",
        "nonresourcepaths": "nonResourceURLs",
        "serviceaccounts": "users",
        "subjects": "users",
    },
    _ITEM: {
        "apigroup": "group",
        "apigroups": "group",
        "groups": "group",
        "names": "resourceNames",
        "name": "resourceNames",
    },
    _TOP: {"rule": "rules", "stages": "omitStages"},
}
_LOST = {
    "users": "so the rule is about every user",
    "userGroups": "so the rule is about the users of every group",
    "verbs": "so the rule is about every verb",
    "namespaces": "so the rule is about every namespace",
    "omitStages": "so no stage is left out by it",
    "omitManagedFields": "so managed fields are recorded as before",
    "resourceNames": "so it is about objects of every name",
    "group": "so it is about the core group",
}
_DUPLICATE = re.compile(r"line (\d+): key (\".*\") already set in map")


def field_findings(policy: Policy, find: Finder) -> Iterator[Finding]:
    """Yield a finding for each unknown and each repeated field."""
    yield from _unknown(find.document.root, POLICY, (), policy, find)
    yield from _repeated(find)


def _unknown(node: Node, into: GoType, path: Path, policy: Policy, find: Finder) -> Iterator[Finding]:
    if into.kind == "list" and into.item is not None:
        for i, child in enumerate(node):
            yield from _unknown(child, into.item, (*path, i), policy, find)
        return
    if into.kind != "struct" or node.pairs is None:
        return
    seen = set()
    for key, line, child in node.pairs:
        inner = into.fields.get(key)
        if key in seen:
            # Only JSON keeps them apart; of YAML the document says it.
            yield _twice(key, line, (*path, key), find)
        seen.add(key)
        if inner is None:
            yield _finding(key, child, node, into, (*path, key), policy, find)
        elif inner.kind in ("struct", "list"):
            yield from _unknown(child, inner, (*path, key), policy, find)


def _finding(key: str, child: Node, parent: Node, into: GoType, path: Path, policy: Policy, find: Finder) -> Finding:
    level = into.struct or into.name
    name, belongs = _meant(key, level)
    dropped = f"`{key}` is no field here, and the API server drops it"
    if name is None:
        fix = f"remove it; the fields {_LEVELS[level]}: {', '.join(into.fields)}" if level in _LEVELS else "remove it"
        return find("unknown-field", Severity.WARNING, path, f"`{key}` is no field of a policy: it has no effect", fix)
    if name in ("kind", "apiVersion") and level == _TOP:
        message = f"`{key}` is no field of a policy, but the API server takes it for `{name}` all the same"
        return find("unknown-field", Severity.WARNING, path, message, f"write `{name}`, once")
    shown = _as_written(name, key, child, belongs)
    if belongs == level:
        if parent.get(name) is not None and level != _TOP:
            fix = f"remove `{key}`, or put what it says into `{name}`"
            return find("unknown-field", Severity.ERROR, path, f"{dropped}; `{name}` beside it counts alone", fix)
        fix = f"write {shown}"
        message = f"{dropped}, {_lost(name, level, path, policy)}; `{name}` is likely meant"
    else:
        fix = f"write it {_LEVELS[belongs]}: {shown}"
        message = f"{dropped}, {_lost(name, belongs, path, policy)}; `{name}` belongs {_LEVELS[belongs]}"
    severity = Severity.WARNING if name == "metadata" else Severity.ERROR
    return find("unknown-field", severity, path, message, fix)


def _meant(key: str, level: str) -> tuple[str | None, str]:
    """Return the field that is likely meant, and the level at which it belongs."""
    if level not in _TYPES:
        return None, level
    folded = key.replace("_", "").replace("-", "").casefold()
    if level == _RULE and folded in ("group", "apigroup", "apigroups"):
        return "group", _ITEM
    if (said := _SAID[level].get(folded)) is not None:
        return said, level
    for how in (_alike, _close):
        for candidate in (level, *(other for other in (_RULE, _ITEM, _TOP) if other != level)):
            # A policy's and a rule's own fields are one name each; metadata and kind are nobody's slip elsewhere.
            fields = [f for f in _TYPES[candidate].fields if candidate == level or f not in ("kind", "metadata")]
            if (found := how(folded, fields)) is not None:
                return found, candidate
    return None, level


def _alike(folded: str, fields: list[str]) -> str | None:
    """Return the field that differs in case or number only."""
    return next((f for f in fields if folded.rstrip("s") == f.casefold().rstrip("s")), None)


def _close(folded: str, fields: list[str]) -> str | None:
    if len(folded) > 40:
        return None
    by_folded = {f.casefold(): f for f in fields}
    found = get_close_matches(folded, by_folded, 1, 0.8)
    return by_folded[found[0]] if found else None


def _as_written(name: str, key: str, child: Node, level: str) -> str:
    """Return the right field with what the wrong one holds, where that is short."""
    wants_list = _TYPES[level].fields[name].kind == "list"
    values = [n.value for n in child.items] if child.items is not None else [child.value]
    plain = all(isinstance(value, str) for value in values) and child.kind in ("array", "string")
    if not plain or len(values) > 6 or (name in ("resources", "rules") and level != _ITEM):
        return f"`{name}:`" + (", a list" if wants_list else "")
    if not wants_list:
        return f"`{name}: {quoted(values[0])}`" if len(values) == 1 else f"`{name}:`, one in each item"
    return f"`{name}: [{', '.join(map(quoted, values))}]`"


def _lost(name: str, level: str, path: Path, policy: Policy) -> str:
    """Say what the rule is without the field."""
    index = path[1] if len(path) > 1 and path[0] == "rules" else None
    rule = policy.rules[index] if isinstance(index, int) and index < len(policy.rules) else None
    if level == _TOP or rule is None:
        return "so no stage is left out by it" if name == "omitStages" else "so it has no effect"
    anything = not (rule.resources or rule.namespaces or rule.non_resource_urls)
    if name == "nonResourceURLs" or (name == "resources" and level == _RULE):
        return f"so rule {rule.index} is about every request" if anything else f"so rule {rule.index} does without it"
    if name == "resources":
        item = path[3] if len(path) > 3 else 0
        entry = rule.resources[item] if isinstance(item, int) and item < len(rule.resources) else None
        group = f"of the group {entry.group}" if entry is not None and entry.group else "of the core group"
        return f"so rule {rule.index} is about every resource {group}"
    if level == _ITEM and len(path) < 5 and anything:
        return f"so rule {rule.index} is about every request"
    return _LOST.get(name, "so it has no effect")


def _repeated(find: Finder) -> Iterator[Finding]:
    """Yield a finding for each key that is in a mapping twice: the last one counts."""
    for text in find.document.duplicates:
        found = _DUPLICATE.search(text)
        if found is None:
            continue
        line, key = int(found[1]), found[2].strip('"')
        path = _path_at(find.document.root, line, key)
        yield _twice(key, find.document.line(path), path, find)


def _twice(key: str, line: int, path: Path, find: Finder) -> Finding:
    message = f"`{key}` is here twice: the last one counts"
    return replace(find("duplicate-field", Severity.WARNING, path, message, "keep one of them"), line=line)


def _path_at(root: Node, line: int, key: str) -> Path:
    """Return the path of the key that stands on a line; of what is above it where there is none."""
    path: list[str | int] = []
    node: Node | None = root
    while node is not None:
        # go-yaml names the line of the value, which may be the one after the key's.
        if any(name == key and line in (at, child.line) for name, at, child in node.pairs or ()):
            return (*path, key)
        children: list[tuple[str | int, int, Node]] = list(node.pairs or ())
        children += [(i, child.line, child) for i, child in enumerate(node.items or ())]
        above = [child for child in children if child[1] <= line]
        if not above:
            break
        step, _, node = max(above, key=lambda child: child[1])
        path.append(step)
    return path
