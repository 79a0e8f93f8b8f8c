"""Owns the lint of an audit policy that loads: what in it does not do what it seems to say, and what to write instead.

The parts: fields that are none (lint_fields), words that mean nothing (lint_words), groups and resources against the
real ones (lint_resources), what is split (lint_shape), and what is proven of whole rules (lint_reach), told here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from checkers.kube.audit_policy import STAGES, Level, Policy, Rule, decision_of
from checkers.kube.goyaml import Document, decode
from checkers.kube.policy.events import alike
from checkers.kube.policy.finding import Finder, Finding, Path, Severity, flow, listed, quoted
from checkers.kube.policy.lint_fields import field_findings
from checkers.kube.policy.lint_reach import (
    ALL,
    DIMENSIONS,
    ORDINARY,
    SOMEBODY,
    Credentials,
    Reach,
    covers,
    hiders,
    impossible,
    left_over,
    reach,
)
from checkers.kube.policy.lint_resources import resource_findings
from checkers.kube.policy.lint_shape import shape_findings
from checkers.kube.policy.lint_words import word_findings

__all__ = ["Finding", "Severity", "lint", "lint_file"]

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

# Of a policy with more in it than any person writes only the words are looked at, and only so much is told.
MOST_FINDINGS = 200
_MOST_RULES = 200
_MOST_WORDS = 4000
_MOST_IDENTITIES = 20_000
# Of more rules that never fire not all are explained: who mends those first sees the rest. Each is asked of all others.
_MOST_EXPLAINED = 60
_MOST_ASKED = 3000

_FIELDS = {name: name for name in DIMENSIONS} | {"user_groups": "userGroups", "non_resource_urls": "nonResourceURLs"}


def lint_file(policy: Policy, data: bytes) -> tuple[Finding, ...]:
    """Return what is found in a policy that was loaded from these bytes, in the order of the file."""
    return lint(policy, decode(data), data)


def lint(policy: Policy, document: Document, data: bytes = b"") -> tuple[Finding, ...]:
    """Return what is found in a policy, in the order of the file; `document` is what its file, `data`, decodes to.

    At most MOST_FINDINGS. A rule is said to never fire only where that is proven.
    """
    find = Finder(document)
    words = chain(
        shape_findings(policy, data, find),
        field_findings(policy, find),
        word_findings(policy, find),
        resource_findings(policy, find),
    )
    found = list(islice(words, MOST_FINDINGS))
    found += islice(_proven(policy, found, find), max(0, MOST_FINDINGS - len(found)))
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    found.sort(key=lambda f: (f.line, -1 if f.rule is None else f.rule, order[f.severity], f.path, f.id))
    return tuple(dict.fromkeys(found))


def _proven(policy: Policy, words: Sequence[Finding], find: Finder) -> Iterator[Finding]:
    if _too_big(policy):
        message = "so many rules and words that no proof is tried: which rules never fire is not known"
        yield find("too-big-to-prove", NOTE, ("rules",), message, "fewer rules, or groups instead of users")
        return
    reached = reach(policy)
    yield from _silent(policy, reached, words, find)
    for rule in policy.rules:
        if rule.index in reached.fires:
            yield from _changes_nothing(policy, rule, find)
            if shown := reached.shown.get(rule.index):
                completed = "ResponseComplete" in decision_of(policy, rule).stages
                yield _shows(rule, shown, completed, find)
    yield from _catch_all(policy, find)
    yield from _leaves_over(policy, find)
    yield from _records_nothing(policy, reached, find)


def _too_big(policy: Policy) -> bool:
    rules = policy.rules
    users = {user for rule in rules for user in rule.users}
    groups = {group for rule in rules for group in rule.user_groups}
    words = sum(len(getattr(rule, name)) for rule in rules for name in DIMENSIONS)
    words += sum(len(e.resources) * (1 + len(e.resource_names)) for rule in rules for e in rule.resources)
    return len(rules) > _MOST_RULES or words > _MOST_WORDS or (len(users) + 1) * (len(groups) + 1) > _MOST_IDENTITIES


# Rules that never fire


def _silent(policy: Policy, reached: Reach, words: Sequence[Finding], find: Finder) -> Iterator[Finding]:
    """Yield a finding for each rule that never fires, and for each that fires for nothing real."""
    likely: tuple[int, ...] = ()
    left = min(_MOST_EXPLAINED, _MOST_ASKED // len(policy.rules))
    for rule in policy.rules:
        if rule.index in reached.fires:
            continue
        left -= 1
        if left < 0:
            message = f"rule {rule.index} fires for odd requests only, or never"
            yield find(
                "rule-matches-nothing", WARNING, ("rules", rule.index), message, "mend the rules above, then see"
            )
            continue
        odd = rule.index in reached.odd
        scope = ORDINARY if odd else SOMEBODY if rule.index in reached.nobody else ALL
        fields = impossible(rule, ordinary=odd)
        hiding = () if fields else hiders(policy, rule.index, scope, likely)
        if hiding is None:
            continue
        likely = hiding or likely
        if fields:
            yield _impossible(rule, fields, odd, words, find)
        else:
            yield _hidden(policy, rule, hiding, reached, find)


def _impossible(rule: Rule, fields: Sequence[str], odd: bool, words: Sequence[Finding], find: Finder) -> Finding:
    path: Path = ("rules", rule.index)
    if not odd:
        message = f"rule {rule.index} can never fire: no request {_fits(fields)}"
        return find("rule-never-fires", ERROR, path, message, _mend(rule, fields, words))
    message = f"rule {rule.index} fires {_ODD}: none for anything real {_fits(fields)}"
    return find("rule-matches-nothing", ERROR, path, message, _mend(rule, fields, words))


_MOSTLY = "mostly refused ones (401, 404, 405)"
_ODD = f"for odd requests only, {_MOSTLY}"


def _hidden(policy: Policy, rule: Rule, hiding: Sequence[int], reached: Reach, find: Finder) -> Finding:
    path: Path = ("rules", rule.index)
    how = f"{_named(policy, hiding)} " + (
        "comes first and matches" if len(hiding) == 1 else "come first and together match"
    )
    own = decision_of(policy, rule)
    same = all(alike(own, decision_of(policy, policy.rules[i])) for i in hiding)
    if rule.index in reached.odd or rule.index in reached.nobody:
        only = "only for requests that end with a 401" if rule.index in reached.nobody else _ODD
        message = f"rule {rule.index} fires {only}: {how} all others that it matches"
        fix = "remove it: of anything real the same is recorded without it" if same else _before(hiding)
        return find("rule-matches-nothing", WARNING, path, message, fix)
    message = f"rule {rule.index} can never fire: {how} all that it matches"
    fix = f"remove it: {'they record' if len(hiding) > 1 else 'that one records'} the same" if same else _before(hiding)
    return find("rule-never-fires", WARNING, path, message, fix)


def _before(hiding: Sequence[int]) -> str:
    return f"move it before rule {hiding[0]}: the first rule that matches decides"


def _named(policy: Policy, indexes: Sequence[int]) -> str:
    """Name rules with their lines: `rule 0 (line 5)`, `rules 0 (line 5) and 2 (line 9)`."""
    names = [f"{i} (line {policy.rules[i].line})" for i in indexes]
    return f"rule {names[0]}" if len(names) == 1 else f"rules {listed(names)}"


def _fits(fields: Sequence[str]) -> str:
    names = [f"`{_FIELDS[name]}`" for name in fields]
    if not names:
        return "matches it"
    return f"has its {names[0]}" if len(names) == 1 else f"fits its {listed(names)} at once"


def _mend(rule: Rule, fields: Sequence[str], words: Sequence[Finding]) -> str:
    """Say what to write: what is said of the words that are to blame, where something is."""
    starts = tuple(f"rules[{rule.index}].{_FIELDS[name]}" for name in fields)
    for found in words:
        if found.rule == rule.index and found.severity is ERROR and found.path.startswith(starts):
            return found.fix
    if not fields:
        return "remove it"
    names = [f"`{_FIELDS[name]}`" for name in fields]
    return f"mend {names[0]}" if len(names) == 1 else f"mend one of {listed(names)}, or leave it out"


# Rules that do less or more than they seem to


def _is_catch_all(rule: Rule) -> bool:
    return not any(getattr(rule, name) for name in DIMENSIONS)


def _catch_all(policy: Policy, find: Finder) -> Iterator[Finding]:
    """Yield the finding for the first rule that matches every request, where others follow."""
    first = next((rule for rule in policy.rules if _is_catch_all(rule)), None)
    if first is None or first is policy.rules[-1]:
        return
    after = len(policy.rules) - first.index - 1
    what = "the rule after it" if after == 1 else f"the {after} rules after it"
    message = f"rule {first.index} matches every request, so it hides {what}"
    yield find("catch-all-not-last", WARNING, ("rules", first.index), message, "move it to the end")


def _leaves_over(policy: Policy, find: Finder) -> Iterator[Finding]:
    """Yield the finding for rules that name all verbs one by one, and so miss the requests with another one."""
    methods = left_over(policy)
    if methods is None:
        return
    last = next(rule for rule in reversed(policy.rules) if rule.verbs)
    others = f", nor are {listed([m.upper() for m in methods], 8)} of other paths" if methods else ""
    message = (
        "the rules name each verb of resources but the empty one, that of OPTIONS and of unknown methods (405): "
        f"those requests match no rule and are not recorded{others}"
    )
    fix = "end the policy with a rule that has no `verbs`: - level: Metadata"
    yield find("verbs-left-over", WARNING, ("rules", last.index, "verbs"), message, fix)


def _changes_nothing(policy: Policy, rule: Rule, find: Finder) -> Iterator[Finding]:
    """Yield a note where whatever the rule decides would be recorded alike without it, as the words show."""
    own = decision_of(policy, rule)
    path: Path = ("rules", rule.index)
    for later in policy.rules[rule.index + 1 :]:
        if not alike(own, decision_of(policy, later)):
            return
        if covers(later, rule):
            message = (
                f"rule {rule.index} changes nothing: without it rule {later.index} (line {later.line}) records the same"
            )
            yield find("rule-changes-nothing", NOTE, path, message, "remove it, or change its level")
            return
    if alike(own, decision_of(policy, None)):
        message = f"rule {rule.index} changes nothing: what no rule matches is not recorded either"
        yield find("rule-changes-nothing", NOTE, path, message, "remove it, if nothing is to follow it")


def _shows(rule: Rule, shown: Sequence[Credentials], completed: bool, find: Finder) -> Finding:
    # What is left of the bodies without the completion.
    panics = "" if completed else ", where the API server panics"
    message = (
        f"rule {rule.index} records bodies of {listed([c.what for c in shown])} at {rule.level}{panics}: "
        "who reads the log reads them in clear"
    )
    by_group: dict[str, list[str]] = {}
    for credentials in shown:
        by_group.setdefault(credentials.group, []).append(credentials.resource)
    items = ", ".join(f"{{group: {quoted(g)}, resources: {flow(names)}}}" for g, names in by_group.items())
    fix = f"before it: - level: Metadata, resources: [{items}]"
    return find("secret-bodies", WARNING, ("rules", rule.index, "level"), message, fix)


def _records_nothing(policy: Policy, reached: Reach, find: Finder) -> Iterator[Finding]:
    def recorded(rules: frozenset[int]) -> set[str]:
        return {stage for i in rules for stage in decision_of(policy, policy.rules[i]).stages}

    if recorded(reached.fires):
        return
    # A 401 has this stage alone.
    odd = recorded(reached.odd) or "ResponseStarted" in recorded(reached.nobody)
    message = "this policy records nothing" + (f" but odd requests, {_MOSTLY}" if odd else " of any request")
    yield find("records-nothing", WARNING, ("rules",), message, _record_something(policy, reached))


def _record_something(policy: Policy, reached: Reach) -> str:
    """Say what to write so that anything is recorded: a last rule helps where none that matches all comes before it."""
    if not any(stage not in policy.omit_stages for stage in STAGES):
        return "take ResponseComplete out of the policy's `omitStages`"
    for rule in policy.rules:
        if rule.index in reached.fires and rule.level is not Level.NONE and not decision_of(policy, rule).stages:
            return f"take ResponseComplete out of the `omitStages` of rule {rule.index} (line {rule.line})"
    for rule in policy.rules:
        if _is_catch_all(rule):
            return f"write level: Metadata in rule {rule.index} (line {rule.line}), which matches every request"
    return "end it with: - level: Metadata"
