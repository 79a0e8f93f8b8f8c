"""Owns what to write instead of that for which an API server refuses a policy; its own words say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from checkers.kube.policy.finding import Finding, Severity, quoted
from checkers.kube.policy.load import GROUP, LEVELS, STAGES

# What the items of a list of mappings look like.
_ITEMS = {"rules": "- level: Metadata", "resources": '- {group: "", resources: [configmaps]}'}
_API_VERSION = f"apiVersion: {GROUP}/v1"


def _versioned(found: re.Match[str]) -> tuple[str, str, str, str]:
    group = "" if found[2] in ("core", "api") else found[2]
    message = f"a policy names groups without a version, which {found[3]!r} is"
    return "version-in-group", f"rules[{found[1]}].resources", message, f"group: {quoted(group)}"


def _star(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = "a star means every group from Kubernetes 1.36 on; before, each group is named"
    fix = "an item for each group, or leave `resources` out to mean everything"
    return "group-star", f"rules[{found[1]}].resources", message, fix


def _group(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = "a group is in lower case, such as apps or rbac.authorization.k8s.io"
    return "bad-group", f"rules[{found[1]}].resources", message, f"group: {quoted(found[2].lower())}"


def _level(found: re.Match[str]) -> tuple[str, str, str, str]:
    close = _alike(found[2], LEVELS)
    fix = f"level: {close}" if close else f"level: one of {', '.join(LEVELS)}"
    return "unknown-level", f"rules[{found[1]}].level", f"{found[2]!r} is no level; capitals count", fix


def _no_level(found: re.Match[str]) -> tuple[str, str, str, str]:
    path = f"rules[{found[1]}].level"
    return "no-level", path, "every rule says at which level it records", "level: Metadata, or another"


def _stage(found: re.Match[str]) -> tuple[str, str, str, str]:
    close = _alike(found[2], STAGES)
    fix = f"write {close}" if close else f"one of {', '.join(STAGES)}"
    return "unknown-stage", found[1], f"{found[2]!r} is no stage; capitals count", fix


def _both(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = "a rule is about resources or about other paths, not about both"
    return "paths-and-resources", f"rules[{found[1]}].nonResourceURLs", message, "write two rules"


def _path(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = f"{found[2]!r} is no path"
    return "bad-path", found[1], message, f"write {'/' + found[2].lstrip('/')}"


def _path_star(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = "a path has a star at its end or none"
    return "bad-path", found[1], message, f"write {found[2].partition('*')[0]}*"


def _names(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = "names belong to a resource"
    return "names-without-resources", f"rules[{found[1]}].resources", message, "add `resources:` beside `resourceNames`"


def _no_version(found: re.Match[str]) -> tuple[str, str, str, str]:
    return (
        "no-api-version",
        "apiVersion",
        "the file is empty, or does not say what it is",
        f"{_API_VERSION}, kind: Policy",
    )


def _kind(found: re.Match[str]) -> tuple[str, str, str, str]:
    return "wrong-kind", "kind", "this is no audit policy, or one of another version", f"{_API_VERSION}, kind: Policy"


def _no_rules(found: re.Match[str]) -> tuple[str, str, str, str]:
    return "no-rules", "rules", "a policy has at least one rule", "rules: with - level: Metadata"


def _list(found: re.Match[str]) -> tuple[str, str, str, str]:
    field = found[1].rpartition(".")[2]
    message = f"`{field}` is a list, even of one"
    if field in _ITEMS and found[2].startswith("v1."):
        return "list-wanted", found[1], message, f"a list of items such as {_ITEMS[field]}"
    return "list-wanted", found[1], message, f"{field}: […], or each in a line with a dash"


def _text(found: re.Match[str]) -> tuple[str, str, str, str]:
    message = f"YAML reads a {found[1]} there, and a text is wanted"
    return "text-wanted", found[2], message, "put it in quotes"


def _mapping_for_list(found: re.Match[str]) -> tuple[str, str, str, str]:
    field = found[1].rpartition(".")[2]
    if field in _ITEMS and found[2] != "string":
        message = f"`{field}` is a list, and its first item has no dash"
        return (
            "list-wanted",
            found[1],
            message,
            f"a dash before each item: - {'level' if field == 'rules' else 'group'}: …",
        )
    message = f"`{field}` is a list of plain words, and YAML reads a mapping there"
    return "list-wanted", found[1], message, f"{field}: […], or each in a line with a dash and without a colon"


def _item(found: re.Match[str]) -> tuple[str, str, str, str]:
    field = found[2].rpartition(".")[2]
    if found[1] == "array":
        message = f"an item of `{field}` is a list here: there is a dash, or a pair of brackets, too many"
    else:
        message = f"an item of `{field}` is a mapping, and no {'text' if found[1] == 'string' else found[1]}"
    return "mapping-wanted", found[2], message, f"items such as {_ITEMS[field]}"


def _one_text(found: re.Match[str]) -> tuple[str, str, str, str]:
    field, what = found[2].rpartition(".")[2], "list" if found[1] == "array" else "mapping"
    message = f"YAML reads a {what} there, and one text is wanted"
    if field == "group":
        fix = "an item for each group"
    elif field == "level":
        fix = f"level: one of {', '.join(LEVELS)}"
    else:
        fix = f"{field}: […] with plain words in it"
    return "text-wanted", found[2], message, fix


def _boolean(found: re.Match[str]) -> tuple[str, str, str, str]:
    field = found[2].rpartition(".")[2]
    message = f"YAML reads a {found[1]} there, and true or false is wanted"
    return "boolean-wanted", found[2], message, f"{field}: true, or false, without quotes"


_RULE = r"rules\[(\d+)\]"
_VALUE = r'Invalid value: "((?:[^"\\]|\\.)*)"'
_OBJECT = r"cannot unmarshal object into Go struct field \w+\.([\w.]+) "
_ITEM_IN = r"cannot unmarshal (\w+) into Go struct field \w+\.([\w.]*(?:rules|resources)) of type "
_REFUSALS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str, str, str]]], ...] = tuple(
    (re.compile(pattern), build)
    for pattern, build in (
        (_RULE + r'\.resources\.group: Invalid value: "([^"/]*)/([^"]*)"', _versioned),
        (_RULE + r'\.resources\.group: Invalid value: "\*"', _star),
        (_RULE + r"\.resources\.group: " + _VALUE, _group),
        (_RULE + r'\.level: Unsupported value: "([^"]*)"', _level),
        (_RULE + r"\.level: Required value", _no_level),
        (r"((?:rules\[\d+\]\.)?omitStages\[\d+\]): " + _VALUE, _stage),
        (_RULE + r"\.nonResourceURLs: Invalid value: .*: rules cannot apply to both", _both),
        (r"(rules\[\d+\]\.nonResourceURLs\[\d+\]): " + _VALUE + ": non-resource URL rules must begin", _path),
        (r"(rules\[\d+\]\.nonResourceURLs\[\d+\]): " + _VALUE + ": non-resource URL wildcards", _path_star),
        (_RULE + r"\.resources\.resourceNames: Invalid value: .*: using resourceNames requires", _names),
        (r"^unknown group version field|^failed decoding: Object 'apiVersion' is missing", _no_version),
        (r"^failed decoding: no kind |unknown conversion$", _kind),
        (r"^loaded illegal policy with 0 rules$", _no_rules),
        (r"cannot unmarshal (?:string|number|bool) into Go struct field \w+\.([\w.]+) of type \[\]([\w.]+)", _list),
        (
            r"cannot unmarshal (number|bool) into Go struct field \w+\.([\w.]+) "
            r"of type (?:string|v1\.(?:Level|Stage))$",
            _text,
        ),
        (_OBJECT + r"of type \[\](v1\.(?:PolicyRule|GroupResources)|string|v1\.Stage)", _mapping_for_list),
        (_ITEM_IN + r"v1\.(?:PolicyRule|GroupResources)$", _item),
        (r"cannot unmarshal (array|object) into Go struct field \w+\.([\w.]+) of type (?:string|v1\.\w+)$", _one_text),
        (r"cannot unmarshal (string|number) into Go struct field \w+\.([\w.]+) of type bool$", _boolean),
    )
)


def why_refused(text: str, line: int | None) -> Finding | None:
    """Return what is wrong and what to write instead, of the server's first words that are known; None where none is.

    `text` and `line` are those of the PolicyError.
    """
    found = [(match.start(), match, build) for pattern, build in _REFUSALS if (match := pattern.search(text[:4096]))]
    if not found:
        return None
    _, match, build = min(found, key=lambda one: one[0])
    name, path, message, fix = build(match)
    rule = re.match(_RULE, path)
    return Finding(name, Severity.ERROR, int(rule[1]) if rule else None, line or 1, path, message, fix)


def _alike(word: str, known: tuple[str, ...]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower()[:64], by_lower, 1, 0.75)
    return by_lower[found[0]] if found else None
