"""Owns the lint of a rule's groups and resources: wrong groups, singulars, short names, kinds and misspelt ones.

What is right is in builtin_resources, the API server's own discovery. A group that is not built in may be that of a
CustomResourceDefinition, or of an add-on's API server: of those hardly anything can be said.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache, lru_cache

from checkers.kube.audit_policy import GroupResources, Policy
from checkers.kube.builtin_resources import BuiltinResource, builtin_groups, builtin_resources
from checkers.kube.policy.finding import Finder, Finding, Path, Severity, flow, listed, quoted

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

_CORE_SAID = frozenset(("core", "v1", "api", "core.k8s.io", "legacy"))
# Once built in; a rule for them does no harm and is often kept on purpose.
_REMOVED_GROUPS = {"extensions": "1.22", "settings.k8s.io": "1.20", "auditregistration.k8s.io": "1.19"}
_REMOVED = {
    ("policy", "podsecuritypolicies"): "1.25",
    ("resource.k8s.io", "resourceclasses"): "1.31",
    ("resource.k8s.io", "podschedulingcontexts"): "1.32",
    ("resource.k8s.io", "resourceclaimparameters"): "1.31",
    ("resource.k8s.io", "resourceclassparameters"): "1.31",
    ("networking.k8s.io", "clustercidrs"): "1.30",
    ("batch", "scheduledjobs"): "1.8",
    ("storage.k8s.io", "csinodeinfos"): "1.17",
}


def resource_findings(policy: Policy, find: Finder) -> Iterator[Finding]:
    """Yield what is found in the groups and resources of all rules."""
    for rule in policy.rules:
        for k, entry in enumerate(rule.resources):
            at: Path = ("rules", rule.index, "resources", k)
            if entry.group == "*" and rule.group_star:
                yield from _any_group(entry, at, find)
            elif entry.group in builtin_groups():
                yield from _builtin(entry, at, find)
            else:
                yield from _other_group(entry, at, find)


def _any_group(entry: GroupResources, at: Path, find: Finder) -> Iterator[Finding]:
    for i, word in enumerate(entry.resources):
        path = (*at, "resources", i)
        found = _pattern(word, path, find) or _misnamed(word, path, None, find)
        if found is not None:
            yield found


def _builtin(entry: GroupResources, at: Path, find: Finder) -> Iterator[Finding]:
    elsewhere: dict[str, list[str]] = {}
    for i, word in enumerate(entry.resources):
        path = (*at, "resources", i)
        resource, slash, subresource = word.partition("/")
        known = builtin_resources().get((entry.group, resource))
        found = _pattern(word, path, find)
        if found is not None:
            yield found
        elif word == "*":
            continue
        elif resource == "*":
            if not any(subresource in r.subresources for r in _of_group(entry.group)):
                yield _no_such_subresource(word, path, entry.group, find)
        elif known is not None:
            if slash and subresource not in ("*", *known.subresources):
                yield _wrong_subresource(word, known, path, find)
            elif subresource == "*" and resource in entry.resources:
                message = f"{word} means {resource} as well as their subresources: {resource} beside it adds nothing"
                yield find("needless-resource", NOTE, path, message, f"remove {resource}")
        elif (entry.group, resource) in _REMOVED:
            since = _REMOVED[entry.group, resource]
            message = f"{resource} of the group {entry.group or quoted('')} are no more since Kubernetes {since}"
            yield find("removed-resource", NOTE, path, message, "remove it")
        elif groups := _groups_of(resource):
            for group in groups[:1]:
                elsewhere.setdefault(group, []).append(word)
        else:
            yield _misnamed(word, path, entry.group, find) or _unknown(word, path, entry.group, find)
    yield from _wrong_group(entry, elsewhere, at, find)


def _other_group(entry: GroupResources, at: Path, find: Finder) -> Iterator[Finding]:
    group, path = entry.group, (*at, "group")
    if group in _CORE_SAID:
        message = f"no group is called {group}: the core group (configmaps, pods, secrets, …) has an empty name"
        yield find("wrong-group", ERROR, path, message, 'group: ""')
        return
    if group in _REMOVED_GROUPS:
        message = f"the group {group} is no more since Kubernetes {_REMOVED_GROUPS[group]}"
        moved = sorted({g for word in entry.resources for g in _groups_of(word.partition("/")[0])[:1]})
        fix = f"its resources are in {listed([g or 'core' for g in moved])} now" if moved else "remove it"
        yield find("removed-group", NOTE, path, message, fix)
        return
    right = _likely_group(group, entry)
    if "." not in group:
        message = (
            f"no group is called {group}: the group of a custom resource has a dot, and no built-in one is called so"
        )
        fix = f"group: {quoted(right)}" if right is not None else f"one of {', '.join(sorted(builtin_groups() - {''}))}"
        yield find("wrong-group", ERROR, path, message, fix)
    elif right is not None and group.endswith(".k8s.io"):
        message = f"no built-in group is called {group}"
        yield find("wrong-group", WARNING, path, message, f"group: {quoted(right)}")
    else:
        for i, word in enumerate(entry.resources):
            if word != word.lower():
                message = f"{word!r}: resources are in lower case and plural"
                yield find("unknown-resource", NOTE, (*at, "resources", i), message, f"write {word.lower()}")


def _likely_group(group: str, entry: GroupResources) -> str | None:
    """Return the built-in group that is likely meant by one that is not built in."""
    named = {g for word in entry.resources for g in _groups_of(word.partition("/")[0])}
    stem = group.partition(".")[0]
    if "." not in group:
        starts = sorted(g for g in builtin_groups() if g and g.partition(".")[0] == stem)
        if starts:
            return starts[0]
    close = _close_group(group)
    if close is not None and (not entry.resources or close in named or "." not in group):
        return close
    if "." not in group and len(named) == 1:
        return named.pop()
    return None


@lru_cache(maxsize=256)
def _close_group(group: str) -> str | None:
    found = get_close_matches(group[:64], sorted(builtin_groups() - {""}), 1, 0.85)
    return found[0] if found else None


def _wrong_group(entry: GroupResources, elsewhere: dict[str, list[str]], at: Path, find: Finder) -> Iterator[Finding]:
    for right, words in elsewhere.items():
        here = "the core group" if entry.group == "" else f"the group {entry.group}"
        message = f"{here} has no {listed(words)}: {'they are' if len(words) > 1 else 'that is'} in " + (
            "the core group, which has an empty name" if right == "" else right
        )
        item = f"{{group: {quoted(right)}, resources: {flow(words)}}}"
        fix = f"group: {quoted(right)}" if len(words) == len(entry.resources) else f"an item of its own: {item}"
        yield find("wrong-group", ERROR, (*at, "group"), message, fix)


def _pattern(word: str, path: Path, find: Finder) -> Finding | None:
    """Say where a word has a star that is none, or is no word."""
    resource, slash, subresource = word.partition("/")
    if word == "":
        return find("empty-word", ERROR, path, "no resource has an empty name", 'write "*" for all of the group')
    if resource == "*" and subresource == "*":
        message = "'*/*' matches nothing real: its first star is a letter like any other"
        return find("star-is-literal", ERROR, path, message, 'write "*": it means subresources too')
    if "*" in word and resource != "*" and subresource != "*" and word != "*":
        message = f"in {word!r} the star is a letter like any other: only *, */SUBRESOURCE and RESOURCE/* are patterns"
        return find("star-is-literal", ERROR, path, message, "name the resources")
    if slash and not (resource and subresource):
        fix = f'write "{resource or "*"}{"/" if subresource else ""}{subresource}"'
        return find("unknown-resource", ERROR, path, f"{word!r} has a slash and nothing on one side of it", fix)
    return None


def _wrong_subresource(word: str, known: BuiltinResource, path: Path, find: Finder) -> Finding:
    subresource = word.partition("/")[2]
    has = sorted(known.subresources)
    message = f"{known.name} have no subresource {subresource!r}"
    close = _close(subresource.lower(), tuple(has))
    if close:
        fix = f"write {known.name}/{close}"
    else:
        fix = f"they have {', '.join(has)}" if has else f"write {known.name}"
    return find("wrong-subresource", ERROR, path, message, fix)


def _no_such_subresource(word: str, path: Path, group: str, find: Finder) -> Finding:
    has = sorted({s for r in _of_group(group) for s in r.subresources})
    close = _close(word[2:].lower(), tuple(has))
    message = f"no resource of {'the core group' if group == '' else group} has a subresource {word[2:]!r}"
    fix = f'write "*/{close}"' if close else f"they have {', '.join(has)}" if has else "remove it"
    return find("wrong-subresource", ERROR, path, message, fix)


def _misnamed(word: str, path: Path, group: str | None, find: Finder) -> Finding | None:
    """Say which resource a word means that is none: a singular, a short name, a kind, a subresource by itself.

    `group` None: of any group.
    """
    resource, slash, subresource = word.partition("/")
    lower = resource.lower()
    for name, table, what in (
        ("singular-resource", _singulars(), "a singular"),
        ("short-name", _short_names(), "a short name of kubectl's"),
        ("kind-for-resource", _plurals(), "in capitals"),
    ):
        known = _preferred(table.get(lower, ()), group)
        if known is None or (name == "kind-for-resource" and lower == resource):
            continue
        if name == "singular-resource" and resource != lower:
            name, what = "kind-for-resource", "a kind"
        elif name == "short-name" and resource != lower:
            continue
        message = (
            f"{resource} is {what}, and matches nothing real: resources are plural and in lower case, {known.name} here"
        )
        return find(name, ERROR, path, message, _write(known, slash + subresource, group))
    first, dot, rest = resource.partition(".")
    if dot and (rest, first) in builtin_resources():
        message = f"{word!r} is kubectl's way to name a resource with its group, which stands in `group` here"
        return find("group-in-resource", ERROR, path, message, f"{{group: {quoted(rest)}, resources: {flow([first])}}}")
    if not slash and group in ("", None):
        owners = [r.name for r in _of_group("") if lower in r.subresources]
        if owners and lower in ("log", "exec", "attach", "portforward", "eviction", "token", "binding", "proxy"):
            message = f"{word!r} is a subresource, and is named with its resource"
            return find("wrong-subresource", ERROR, path, message, f"write {listed([f'{o}/{lower}' for o in owners])}")
    return None


def _unknown(word: str, path: Path, group: str, find: Finder) -> Finding:
    resource, slash, subresource = word.partition("/")
    inside = tuple(r.name for r in _of_group(group))
    close = _close(resource.lower(), inside)
    here = "the core group" if group == "" else f"the group {group}"
    message = f"{here} has no resource {resource!r}"
    if close:
        return find("unknown-resource", ERROR, path, message, f"write {close}{slash}{subresource}")
    outside = _close(resource.lower(), tuple(name for _, name in builtin_resources()))
    if outside:
        known = builtin_resources()[_groups_of(outside)[0], outside]
        return find("unknown-resource", ERROR, path, message, _write(known, slash + subresource, group))
    fix = f"it has {listed(inside, 8)}; of a custom resource write its own group"
    return find("unknown-resource", WARNING, path, message, fix)


def _write(known: BuiltinResource, subresource: str, group: str | None) -> str:
    name = known.name + subresource
    if group is None or group == known.group:
        return f"write {name}"
    return f"write {{group: {quoted(known.group)}, resources: {flow([name])}}}"


# The table, by other keys


@cache
def _all_groups() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for group, name in builtin_resources():
        found[name] = (*found.get(name, ()), group)
    return found


def _groups_of(resource: str) -> tuple[str, ...]:
    """Return the groups that have a resource, the everyday one first."""
    return _all_groups().get(resource, ())


@cache
def _of_group(group: str) -> tuple[BuiltinResource, ...]:
    return tuple(r for r in builtin_resources().values() if r.group == group)


def _by(names: list[tuple[str, BuiltinResource]]) -> dict[str, tuple[BuiltinResource, ...]]:
    found: dict[str, tuple[BuiltinResource, ...]] = {}
    for name, resource in names:
        found[name] = (*found.get(name, ()), resource)
    return found


@cache
def _singulars() -> dict[str, tuple[BuiltinResource, ...]]:
    return _by([(r.singular, r) for r in builtin_resources().values() if r.singular != r.name])


@cache
def _short_names() -> dict[str, tuple[BuiltinResource, ...]]:
    return _by([(s, r) for r in builtin_resources().values() for s in r.short_names])


@cache
def _plurals() -> dict[str, tuple[BuiltinResource, ...]]:
    return _by([(r.name, r) for r in builtin_resources().values()])


def _preferred(found: tuple[BuiltinResource, ...], group: str | None) -> BuiltinResource | None:
    return next((r for r in found if r.group == group), found[0] if found else None)


@lru_cache(maxsize=512)
def _close(word: str, names: tuple[str, ...]) -> str | None:
    found = get_close_matches(word[:64], names, 1, 0.8)
    return found[0] if found else None
