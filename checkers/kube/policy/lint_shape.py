"""Owns the lint of a policy file's shape: what a dash or a line of three splits, so that it says something else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from checkers.kube.audit_policy import GroupResources, Policy
from checkers.kube.builtin_resources import builtin_groups, builtin_resources
from checkers.kube.goyaml.json import is_json
from checkers.kube.goyaml.reader import characters
from checkers.kube.policy.finding import Finder, Finding, Path, Severity, flow, listed, quoted

_BREAKS = "\r\n\x85\u2028\u2029"
_BREAK = re.compile(f"\r\n|[{_BREAKS}]")
_WORDS = re.compile(rf"\S[^{_BREAKS}]*")
"""A line from its first character on that is no blank: of millions of empty lines nothing is seen."""
_MARK = re.compile(r"(?:---|\.\.\.)(?!\S)")


def shape_findings(policy: Policy, data: bytes, find: Finder) -> Iterator[Finding]:
    """Yield what is found in the file's documents and in the items of its rules' `resources`."""
    line = _second_document(data)
    if line is not None:
        message = "a second document starts here: the API server reads the first alone, and does not say so"
        fix = "put its rules into the list of the first, or remove it"
        yield replace(find("second-document", Severity.ERROR, (), message, fix), line=line)
    for rule in policy.rules:
        yield from _split_items(rule.resources, ("rules", rule.index, "resources"), find)


def _second_document(data: bytes) -> int | None:
    """Return the line of the mark behind which a second document has anything in it."""
    if is_json(data):
        return None
    text = characters(data).text
    begun = ended = False
    at = 0
    for found in _WORDS.finditer(text):
        words = found[0]
        is_first = found.start() == 0 or text[found.start() - 1] in _BREAKS
        if is_first and _MARK.match(words):
            at, ended, words = found.start(), ended or begun, words[3:].lstrip()
        elif is_first and words.startswith("%") and ended == begun:
            words = ""  # a directive is no content
        if not words or words.startswith("#"):
            continue
        if ended:
            return len(_BREAK.findall(text, 0, at)) + 1
        begun = True
    return None


def _split_items(entries: tuple[GroupResources, ...], at: Path, find: Finder) -> Iterator[Finding]:
    nodes = list(find.document.node(at) or ())
    keys = [{key for key, _, _ in node.pairs or ()} for node in nodes]
    k = 0
    while k + 1 < min(len(keys), len(entries)):
        pair = (k, k + 1) if keys[k] == {"group"} else (k + 1, k)
        alone, other = pair
        if (
            keys[alone] != {"group"}
            or "resources" not in keys[other]
            or not keys[other] <= {"resources", "resourceNames"}
        ):
            k += 1
            continue
        severity = _meant_together(entries[alone].group, entries[other])
        if severity is not None:
            yield _split(entries[alone].group, entries[other], pair, severity, at, find)
        k += 2


def _meant_together(group: str, entry: GroupResources) -> Severity | None:
    """Say how sure it is that a group by itself and resources without one are one thing; None: they may well be two."""
    words = [word.partition("/")[0] for word in entry.resources]
    if group == "" or all((group, word) in builtin_resources() for word in words):
        return Severity.ERROR
    if group in builtin_groups() or all(("", word) in builtin_resources() for word in words):
        return None
    return Severity.WARNING


def _split(
    group: str, entry: GroupResources, pair: tuple[int, int], severity: Severity, at: Path, find: Finder
) -> Finding:
    of = "the core group" if group == "" else group
    message = (
        f"a dash too many: item {pair[0]} is about every resource of {of}, "
        f"and item {pair[1]} about {listed(entry.resources) if entry.resources else 'every resource'} of the core group"
    )
    names = f", resourceNames: {flow(entry.resource_names)}" if entry.resource_names else ""
    fix = f"one item: {{group: {quoted(group)}, resources: {flow(entry.resources)}{names}}}"
    return find("split-item", severity, (*at, max(pair)), message, fix)
